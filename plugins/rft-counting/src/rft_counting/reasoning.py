"""The reasoning that leads to a program's answer, as a person would write it down.

One pass over the objects from left to right. Each gets a mark that follows
from the object, the question and the count so far: the new count, "removed",
or "no" for what is not asked. Then at most one line of arithmetic.
"""

from __future__ import annotations

from rft_scenes import Object

from rft_counting.language import (
    LIST_ADDS_UP,
    LIST_OPENS,
    NOT_COUNTED,
    REMOVED,
    describe,
)
from rft_counting.programs import Program, Things, change, counts, is_removed


def reasoning(program: Program, things: Things) -> str:
    """The chain of thought: a list with a running count, then the arithmetic if there is any."""
    listed: list[str] = []
    count = 0
    for thing in things:
        count += counts(program, thing)
        mark = str(count) if counts(program, thing) else _why_not(program, thing)
        listed.append(f"{describe(thing)} {mark}")
    lines = [f"{LIST_OPENS} {', '.join(listed)}.", LIST_ADDS_UP.format(count=count)]
    more = change(program)
    if more:
        sign = "+" if more > 0 else "-"
        lines.append(f"{count} {sign} {abs(more)} = {count + more}.")
    return " ".join(lines)


def _why_not(program: Program, thing: Object) -> str:
    return REMOVED if is_removed(program, thing) else NOT_COUNTED
