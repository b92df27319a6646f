"""The main function of a worker process: it makes the rewards, then runs call after call."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

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
    while True:
        try:
            name, packed = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(made[name], packed, timeout_s))


def _answer(function: Reward, packed: bytes, timeout_s: float) -> Called:
    try:
        x = unpack(packed)
    except Exception as error:
        note = f"a worker process cannot unpack its input: {describe(error)}"
        return Called(Outcome("error", note=note))
    return replace(call(function, x, timeout_s), cause=None)  # it may not pickle
