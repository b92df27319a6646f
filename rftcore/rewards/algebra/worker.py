"""The worker process for algebra: reads one JSON request per line, writes one JSON reply per line.

It is a separate process because algebra may never end, and because math-verify sets
alarms, which only work in the main thread and would replace those of scoring.
`rftcore.rewards.maths` starts it. It ends with its input, and a signal ends it at its deadline.
Deadlines are CPU time, so that they do not depend on the load of the machine.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

from rftcore.rewards.algebra.parts import same_part
from rftcore.rewards.algebra.reading import parsed
from rftcore.signals import REQUESTS

START_S = 60.0


def main() -> None:
    """Reply to every line of standard input."""
    for request in (signal.SIGINT, *REQUESTS):  # the parent kills this process
        signal.signal(request, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, START_S)  # `_reply` clears it
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries may print: keep that out of the replies
    logging.disable()

    from math_verify import parse, verify

    sum_up = {"kind": "value", "text": "", "latex": "1+x"}
    _same_expression(parse, verify, sum_up, sum_up)  # builds the tables of the grammar
    parse("$1$")
    _reply(replies, {})
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request["deadline_s"])
        _reply(replies, _compared(parse, verify, request))


def _reply(replies: TextIO, reply: dict[str, Any]) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(reply), file=replies, flush=True)


def _compared(parse: Any, verify: Any, request: dict[str, Any]) -> dict[str, Any]:
    compare: Callable[..., dict[str, Any]] = _KINDS[request["kind"]]
    try:
        return compare(parse, verify, request["gold"], request["answer"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _accepts(parse: Any, verify: Any, gold: str, answer: str) -> dict[str, Any]:
    """Find expressions in two texts and compare them, as math-verify does by default."""
    found = [parse(text, parsing_timeout=None) for text in (gold, answer)]
    return {"same": verify(*found, timeout_seconds=None)}


def _same_expression(parse: Any, verify: Any, gold: Any, answer: Any) -> dict[str, Any]:
    """Compare two answers read by `notation`."""
    wanted, given = parsed(gold), parsed(answer)
    if wanted is None:
        return {"unreadable": True}
    return {"same": given is not None and same_part(wanted, given)}


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "accepts": _accepts,
    "same_expression": _same_expression,
}
