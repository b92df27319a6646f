"""One reward call in this process, with a deadline where the system can keep one."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from rftcore.errors import SampleError
from rftcore.scoring.outcomes import Called, Outcome, describe, outcome_of
from rftcore.types import Reward, RewardInput

TRACEBACK_KEPT = 4000  # characters, of its end


def call(function: Reward, x: RewardInput, timeout_s: float) -> Called:
    """Call a reward; whatever it does but end the process has a name."""
    start = time.perf_counter()
    called = _call(function, x, timeout_s)
    seconds = time.perf_counter() - start
    return replace(called, outcome=replace(called.outcome, seconds=seconds))


def _call(function: Reward, x: RewardInput, timeout_s: float) -> Called:
    try:
        with deadline(timeout_s):
            return Called(outcome_of(function(x)))
    except Late as error:
        note = f"no result within {timeout_s:g} s"
        return Called(Outcome("timeout", note=note), _traceback(error))
    except TimeoutError as error:  # a deadline of the reward's own
        return Called(Outcome("timeout", note=str(error)), _traceback(error))
    except SampleError as error:
        return Called(Outcome("error", note=str(error)), bad_data=str(error), cause=error)
    except (Exception, SystemExit) as error:
        return Called(Outcome("error", note=describe(error)), _traceback(error), cause=error)


def _traceback(error: BaseException) -> str:
    """The end of the traceback, without our own frame at its top."""
    ours = error.__traceback__
    below = ours.tb_next if ours is not None else None
    lines = traceback.format_exception(type(error), error, below or ours)
    return "".join(lines)[-TRACEBACK_KEPT:]


class Late(BaseException):
    """The deadline passed. Not an Exception, so that a reward cannot swallow it by mistake."""


def can_interrupt() -> bool:
    """Whether a deadline holds here: in the main thread of a system with interval timers."""
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise `Late` in the block after `seconds`, even inside a runaway regex.

    An alarm that someone else has set is put back with the time it has left.
    Where `can_interrupt` is false, this does nothing.
    """
    if not can_interrupt():
        yield
        return

    rang = False

    def ring(_signal: int, _frame: FrameType | None) -> None:
        nonlocal rang
        rang = True
        raise Late

    start = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
        if rang:  # a bare "except:" swallowed the alarm
            raise Late
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
            if left:
                passed = time.monotonic() - start
                signal.setitimer(signal.ITIMER_REAL, max(left - passed, 1e-3), interval)
