"""Deadlines of laws, and times that a busy machine does not distort."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from rftcore.deadlines import deadline
from rftcore.errors import Interrupt


class TooLong(Interrupt):
    """A call took longer than its law allows; `DeadlineExceeded` is a reward's own deadline."""


def within(seconds: float) -> AbstractContextManager[None]:
    """Raise `TooLong` in the block after `seconds` by the clock."""
    return deadline(seconds, TooLong)


def computing_at_most(seconds: float) -> AbstractContextManager[None]:
    """Raise `TooLong` in the block after `seconds` of CPU time, which excludes waiting."""
    return deadline(seconds, TooLong, computing=True)


def computing(call: Callable[[], object]) -> float:
    """CPU seconds of a call, in this thread only.

    Other threads, such as torch's, spin for a while after their work.
    """
    start = time.thread_time()
    call()
    return time.thread_time() - start


def least(call: Callable[[], object], enough: float, repeats: int = 10) -> float:
    """The shortest of up to `repeats` calls by the clock, seconds; `enough` ends the repeats.

    Waiting counts, since a reward may wait for something; the minimum excludes a busy machine.
    """
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        if best <= enough:
            break
    return best
