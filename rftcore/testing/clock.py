"""An end to calls that may never end, and times that a busy machine does not falsify."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class TooLong(BaseException):
    """A call took longer than it was given. No Exception: a plugin must not catch it by chance."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in the block after `seconds`, even inside a runaway regex.

    In the main thread only; elsewhere a call cannot be interrupted. A clock that someone else
    has set is put back with the time it has left.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TooLong

    start = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if left:  # a clock around ours goes on
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - start)))


@contextmanager
def computing_at_most(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in the block after `seconds` of computing: a busy machine adds nothing.

    In the main thread only. Waiting does not count either: that is for `within`.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TooLong

    handler = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler or signal.SIG_DFL)


def computing(call: Callable[[], object]) -> float:
    """Seconds that a call computes, the waiting of a busy machine not counted."""
    start = time.process_time()
    call()
    return time.process_time() - start


def least(call: Callable[[], object], enough: float, repeats: int = 10) -> float:
    """The shortest of up to `repeats` calls by the clock, seconds; `enough` ends the repeats.

    Waiting counts, since a reward may wait for something; that of a busy machine comes and goes.
    """
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        if best <= enough:
            break
    return best
