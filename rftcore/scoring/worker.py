"""The main function of a worker process: it makes the rewards, then runs call after call."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rftcore.distributed import leave_with_parent
from rftcore.errors import describe
from rftcore.scoring.calling import call
from rftcore.scoring.outcomes import Called, Outcome
from rftcore.scoring.specs import RewardSpecs
from rftcore.scoring.wire import unpack
from rftcore.signals import REQUESTS
from rftcore.types import Reward

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ORPHAN_S = 5.0  # that a call may last beyond its deadline, when the pool has long killed it
IMPORTING = "importing"  # what a worker sends in place of a result while its deadline waits
LONGEST_S = 1e7  # what a timer takes


def serve(pipe: Connection, specs: RewardSpecs, timeout_s: float) -> None:
    """Send which rewards cannot be made, then run calls until the pipe closes."""
    if hasattr(os, "setpgid"):  # so that it ends with all it has started, and not by a Ctrl-C
        os.setpgid(0, 0)
    # A batch system sends SIGTERM to every process of a run. The run finishes its step and still
    # needs this one; if it ended, its call would count as a failed reward.
    for request in REQUESTS:
        signal.signal(request, signal.SIG_IGN)
    leave_with_parent()
    made, unmade = specs.rewards()
    pipe.send(unmade)
    with Path(os.devnull).open("w") as nowhere:
        while True:
            try:
                name, packed = pipe.recv()
            except EOFError:
                return

            def importing() -> None:
                _end_after(timeout_s, nowhere)
                pipe.send(IMPORTING)

            _end_after(timeout_s, nowhere)
            try:
                answer = _answer(made[name], packed, timeout_s, importing)
            finally:
                faulthandler.cancel_dump_traceback_later()
            pipe.send(answer)


def _end_after(timeout_s: float, nowhere: TextIO) -> None:
    """End the process a while after the deadline, unless this is called again or cancelled.

    Also if C code holds the interpreter and the pool is gone: a thread of Python cannot run then;
    faulthandler's timer needs no interpreter.
    """
    seconds = min(timeout_s + ORPHAN_S, LONGEST_S)
    faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)


def _answer(
    function: Reward, packed: bytes, timeout_s: float, importing: Callable[[], None]
) -> Called:
    try:
        x = unpack(packed)
    except Exception as error:
        note = f"a worker process cannot unpack its input: {describe(error)}"
        return Called(Outcome("error", note=note, cause=type(error).__name__))
    return replace(call(function, x, timeout_s, importing), cause=None)  # it may not pickle
