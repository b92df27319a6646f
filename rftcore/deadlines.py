"""Deadlines for calls that may never return, even inside a runaway regular expression."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rftcore.errors import Interrupt


class DeadlineExceeded(Interrupt):
    """The deadline passed."""


def can_interrupt() -> bool:
    """Whether a deadline works here: in the main thread of a system with interval timers."""
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


@contextmanager
def deadline(
    seconds: float, late: type[BaseException] = DeadlineExceeded, *, computing: bool = False
) -> Iterator[None]:
    """Raise `late` in the block after `seconds`; where `can_interrupt` is false, do nothing.

    computing: count CPU seconds, which exclude waiting and other processes.

    Deadlines nest: an outer one is paused during the block and resumes with the time it had
    left. Give the inner one its own `late`, to distinguish the two.
    """
    if not can_interrupt():
        yield
        return

    rang = False

    def ring(_signal: int, _frame: FrameType | None) -> None:
        nonlocal rang
        rang = True
        raise late

    alarm = signal.SIGPROF if computing else signal.SIGALRM
    timer = signal.ITIMER_PROF if computing else signal.ITIMER_REAL
    clock = time.process_time if computing else time.monotonic
    start = clock()
    handler = signal.signal(alarm, ring)
    # again and again, for code that catches every exception and waits once more
    left, interval = signal.setitimer(timer, seconds, seconds)
    try:
        yield
        if rang:  # a bare "except:" has caught the exception
            raise late
    finally:
        try:
            signal.setitimer(timer, 0)
        finally:
            signal.signal(alarm, handler or signal.SIG_DFL)
            if left:
                signal.setitimer(timer, max(left - (clock() - start), 1e-3), interval)
