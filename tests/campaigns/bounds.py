"""Bounds of one call: deadlines, and memory where the system can limit it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rftcore.testing.clock import TooLong, computing_at_most, within

__all__ = ["SECONDS", "TooLong", "bounded"]

SECONDS = 20.0  # of CPU time; a hang guard, not a measure of speed
WAITING = 8  # times as long by the clock: a busy machine, or a process that the call waits for
MEMORY = 2**30  # bytes that one call may add


@contextmanager
def bounded(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Raise `TooLong` in the block after `seconds` of CPU time, or `WAITING` times that in all.

    Raises: MemoryError in the block where it needs more memory.

    Memory is limited on Linux only.
    """
    with _limited(memory), within(WAITING * seconds), computing_at_most(seconds):
        yield


@contextmanager
def _limited(memory: int) -> Iterator[None]:
    used = _address_space()
    if used is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = used + memory if hard == resource.RLIM_INFINITY else min(used + memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Bytes of this process's address space; None where there is no /proc."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
