"""What a worker process does: it makes the rewards, then answers call after call."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from rftcore.distributed import leave_with_parent
from rftcore.errors import describe
from rftcore.scoring.calling import call
from rftcore.scoring.outcomes import Called, Outcome
from rftcore.scoring.specs import Blueprint
from rftcore.scoring.wire import unpack
from rftcore.types import Reward

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def serve(pipe: Connection, blueprint: Blueprint, timeout_s: float) -> None:
    """Say what cannot be made, then answer until the pipe closes."""
    if hasattr(os, "setpgid"):  # ended with all it has started, and not by a Ctrl-C
        os.setpgid(0, 0)
    # A batch system sends SIGTERM to every process of a run. The run finishes its step and still
    # needs this one, whose end would look like a failed reward.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    leave_with_parent()
    made, unmade = blueprint.rewards()
    pipe.send(unmade)
    while True:
        try:
            name, parcel = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(made[name], parcel, timeout_s))


def _answer(function: Reward, parcel: bytes, timeout_s: float) -> Called:
    try:
        x = unpack(parcel)
    except Exception as error:
        note = f"a worker process cannot read what it is given: {describe(error)}"
        return Called(Outcome("error", note=note))
    return replace(call(function, x, timeout_s), cause=None)  # which may not pickle
