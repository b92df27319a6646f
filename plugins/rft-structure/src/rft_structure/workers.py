"""Draw many pictures at once, one process per core.

Processes are spawned, not forked: the parent may hold threads or a model. A
worker ends with its parent, and a worker that dies is an error, never a hang.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from rft_structure.cache import Job, write
from rftcore.errors import DataError

CHUNK = 16  # pictures per message to a worker


def write_in_processes(jobs: Sequence[Job], workers: int, done: Callable[[int], None]) -> None:
    """Draw every job into its file, telling `done` how many more are finished.

    Raises: DataError when a worker dies.
    """
    chunks = [jobs[at : at + CHUNK] for at in range(0, len(jobs), CHUNK)]
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
    )
    try:
        for future in as_completed([pool.submit(_write_chunk, chunk) for chunk in chunks]):
            done(future.result())
    except BrokenProcessPool as error:
        raise DataError(
            "a drawing process died: out of memory, killed, or started from a script without an "
            '`if __name__ == "__main__":` guard. Finished pictures are kept: run again'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End with a killed parent, which cannot say so: the queue would block for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_chunk(jobs: Sequence[Job]) -> int:
    for job in jobs:
        write(job)
    return len(jobs)
