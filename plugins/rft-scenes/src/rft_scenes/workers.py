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

from rft_scenes.pictures import Job, draw
from rft_scenes.rendering import RenderError, RenderSettings, limit_threads

CHUNK = 4  # pictures per message to a worker


def draw_in_processes(
    jobs: Sequence[Job], settings: RenderSettings, workers: int, done: Callable[[int], None]
) -> None:
    """Draw every job, telling `done` how many more are finished.

    Raises: RenderError when a worker dies.
    """
    chunks = [jobs[i : i + CHUNK] for i in range(0, len(jobs), CHUNK)]
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
    )
    try:
        for future in as_completed([pool.submit(_draw_chunk, c, settings) for c in chunks]):
            done(future.result())
    except BrokenProcessPool as error:
        raise RenderError(
            "a rendering process died: out of memory, killed, or started from a script without "
            'an `if __name__ == "__main__":` guard. Finished pictures are kept: run again, with '
            "workers=1 to see the cause"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
    # The parent decides. Blocked, not ignored: Mitsuba answers SIGINT with half a picture.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_follow_parent, daemon=True).start()
    limit_threads(1)


def _follow_parent() -> None:
    """End with a killed parent, which cannot say so: the queue would block for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw_chunk(jobs: Sequence[Job], settings: RenderSettings) -> int:
    for job in jobs:
        draw(job, settings)
    return len(jobs)
