"""The process that math-verify runs in: one question a line in, one verdict a line out.

It is a process of its own because algebra may run for ever, and because math-verify
sets alarms, which works in the main thread only and would undo those of scoring.
Started as a script by `rftcore.rewards.maths`; it imports nothing of ours. It ends
when its input does, and the system ends it when it is late, whatever it is doing. Deadlines count
its own computing time: how busy the machine is says nothing about an answer.
"""

import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

START_S = 60.0
_LONGEST = 400  # characters of one expression

# What no single expression holds, but what math-verify would look for one in.
_PROSE = re.compile(r"\$|\\[\[\]()]|answer|boxed", re.IGNORECASE)
_EXPONENT = re.compile(r"(?<=\d)e([+-]?\d+)", re.IGNORECASE)  # not Euler's number
_MATHS_MARKS = (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"), (r"\boxed{", "}"))


def main() -> None:
    """Answer every line of the standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, START_S)  # `_reply` takes it back
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no verdict
    logging.disable()

    from math_verify import parse, verify

    _same_expression(parse, verify, "$1$", "$1$")  # builds the tables of its grammars
    _reply(replies, {})
    for line in sys.stdin:
        question = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, question["deadline_s"])
        _reply(replies, _answer(parse, verify, question))


def _reply(replies: Any, answer: dict[str, Any]) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(answer), file=replies, flush=True)


def _answer(parse: Any, verify: Any, question: dict[str, Any]) -> dict[str, Any]:
    compare: Callable[..., dict[str, Any]] = _KINDS[question["kind"]]
    try:
        return compare(parse, verify, question["gold"], question["answer"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _accepts(parse: Any, verify: Any, gold: str, answer: str) -> dict[str, Any]:
    """Look for expressions in two texts, and compare them, as math-verify does by default."""
    found = [parse(text, parsing_timeout=None) for text in (gold, answer)]
    return {"same": verify(*found, timeout_seconds=None)}


def _same_expression(parse: Any, verify: Any, gold: str, answer: str) -> dict[str, Any]:
    """Compare two texts that are one expression each."""
    wanted, given = _expression(parse, gold), _expression(parse, answer)
    if not wanted:
        return {"unreadable": gold}
    return {"same": bool(given) and verify(wanted, given, timeout_seconds=None)}


def _expression(parse: Any, text: str) -> list[Any]:
    from math_verify import LatexExtractionConfig

    text = _bare(text)
    if not text or len(text) > _LONGEST or _PROSE.search(text):
        return []
    text = _EXPONENT.sub(r"\\cdot 10^{\1}", text).replace("°", r"^{\circ}")
    found: list[Any] = parse(
        f"${text}$",
        [LatexExtractionConfig()],
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=None,
    )
    return found


def _bare(text: str) -> str:
    """Without the full stop and the marks around mathematics, on one line."""
    text = " ".join(text.split()).removesuffix(".")
    for start, end in _MATHS_MARKS:
        if text.startswith(start) and text.endswith(end) and len(text) >= len(start + end):
            text = text[len(start) : -len(end)].strip()
    return text


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "accepts": _accepts,
    "same_expression": _same_expression,
}

if __name__ == "__main__":
    main()
