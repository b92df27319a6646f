"""Deadlines for calls that may never return, even inside a runaway regular expression."""

from __future__ import annotations

import inspect
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rftcore.errors import Interrupt

IMPORT_S = 120.0  # that a deadline may wait for imports


class DeadlineExceeded(Interrupt):
    """The deadline passed."""


def can_interrupt() -> bool:
    """Whether a deadline works here: in the main thread of a system with interval timers."""
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


def _imports(frame: FrameType | None) -> int:
    """How many imports are going on in a frame and those that have called it."""
    found = 0
    while frame is not None:
        found += frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return found


@contextmanager
def deadline(
    seconds: float,
    late: type[BaseException] = DeadlineExceeded,
    *,
    computing: bool = False,
    importing: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Raise `late` in the block after `seconds`; where `can_interrupt` is false, do nothing.

    computing: count CPU seconds, which exclude waiting and other processes.
    importing: called in place of raising while the block imports a module, for `IMPORT_S` at most.
        An import that is interrupted leaves half a module, with which every later call fails.

    Deadlines nest: an outer one is paused during the block and resumes with the time it had
    left. Give the inner one its own `late`, to distinguish the two.
    """
    if not can_interrupt():
        yield
        return

    rang, imports = False, _imports(inspect.currentframe())

    def ring(_signal: int, frame: FrameType | None) -> None:
        nonlocal rang
        if importing and _imports(frame) > imports and clock() - start < IMPORT_S:
            importing()  # it rings again
            return
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
