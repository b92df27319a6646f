"""An end to calls that may never end, even inside a runaway regular expression."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Late(BaseException):
    """The deadline passed. Not an Exception, so that a plugin cannot swallow it by mistake."""


def can_interrupt() -> bool:
    """Whether a deadline holds here: in the main thread of a system with interval timers."""
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


@contextmanager
def deadline(
    seconds: float, late: type[BaseException] = Late, *, computing: bool = False
) -> Iterator[None]:
    """Raise `late` in the block after `seconds`; where `can_interrupt` is false, do nothing.

    `computing` counts the processor's seconds, to which waiting and a busy machine add nothing.
    A deadline around this one waits for the end of the block, and then has the time it had
    left; give it a `late` of its own, or what it raises is taken for this one's.
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
    left, interval = signal.setitimer(timer, seconds)
    try:
        yield
        if rang:  # a bare "except:" swallowed the alarm
            raise late
    finally:
        try:
            signal.setitimer(timer, 0)
        finally:
            signal.signal(alarm, handler or signal.SIG_DFL)
            if left:
                signal.setitimer(timer, max(left - (clock() - start), 1e-3), interval)
