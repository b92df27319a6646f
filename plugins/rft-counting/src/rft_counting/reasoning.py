"""The chain of thought for a program's answer.

First the question in a canonical form: what is counted, what is left out, what
is added or subtracted. Then the objects from left to right, each with a mark
that follows from the object, the plan and the count so far: the new count, or
"no". Then at most one line of arithmetic.
"""

from __future__ import annotations

from rft_counting.language import (
    LESS,
    LIST_ADDS_UP,
    LIST_OPENS,
    MORE,
    NOT_COUNTED,
    OUT,
    PLAN,
    describe,
    phrase,
)
from rft_counting.programs import Program, Things, change, counts, removed


def reasoning(program: Program, things: Things) -> str:
    """The chain of thought: the plan, a list with a running count, then arithmetic if any."""
    count = sum(counts(program, thing) for thing in things)
    listed = f"{LIST_OPENS} {', '.join(steps(program, things))}."
    lines = [plan(program), listed, LIST_ADDS_UP.format(count=count)]
    more = change(program)
    if more:
        sign = "+" if more > 0 else "-"
        lines.append(f"{count} {sign} {abs(more)} = {count + more}.")
    return " ".join(lines)


def steps(program: Program, things: Things) -> tuple[str, ...]:
    """Each object with its mark: "small red rubber cube 2", "large gray metal sphere no"."""
    listed: list[str] = []
    count = 0
    for thing in things:
        count += counts(program, thing)
        mark = str(count) if counts(program, thing) else NOT_COUNTED
        listed.append(f"{describe(thing)} {mark}")
    return tuple(listed)


def plan(program: Program) -> str:
    """The question in a canonical form: "Count cubes, not small red objects, plus 2."."""
    more = change(program)
    parts = [phrase(program.asked), *(OUT.format(of=phrase(of)) for of in removed(program))]
    if more:
        parts.append((MORE if more > 0 else LESS).format(number=abs(more)))
    return PLAN.format(what=", ".join(parts))
