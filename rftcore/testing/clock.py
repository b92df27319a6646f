"""An end to calls that may never end, and times that a busy machine does not falsify."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from rftcore.scoring.deadlines import deadline


class TooLong(BaseException):
    """A call took longer than its law allows; `DeadlineExceeded` is a reward's own deadline."""


def within(seconds: float) -> AbstractContextManager[None]:
    """Raise `TooLong` in the block after `seconds` by the clock."""
    return deadline(seconds, TooLong)


def computing_at_most(seconds: float) -> AbstractContextManager[None]:
    """Raise `TooLong` in the block after `seconds` of computing: a busy machine adds nothing.

    Waiting does not count either: that is for `within`.
    """
    return deadline(seconds, TooLong, computing=True)


def computing(call: Callable[[], object]) -> float:
    """Seconds that a call computes, the waiting of a busy machine not counted.

    In this thread alone: others, such as torch's, go on spinning for a while after their work.
    """
    start = time.thread_time()
    call()
    return time.thread_time() - start


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
