"""Draw many images in worker processes, one per core.

Processes are spawned, not forked: the parent may have threads or a model. A worker exits with
its parent, and a worker that dies is an error, not a hang.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from rftcore.distributed import leave_with_parent
from rftcore.errors import DataError
from rftcore.images.files import write

CHUNK = 4  # images per message to a worker

Thing = TypeVar("Thing")


def draw_in_processes(
    draw: Callable[[Thing], bytes],
    jobs: Sequence[tuple[Path, Thing]],
    workers: int,
    in_worker: Callable[[], object] | None,
    done: Callable[[int], None],
) -> None:
    """Draw every thing into its file; `done` is called with the number of newly finished ones.

    Raises: DataError when a worker dies, and whatever `draw` raises.
    """
    chunks = [jobs[at : at + CHUNK] for at in range(0, len(jobs), CHUNK)]
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(in_worker,),
    )
    try:
        for future in as_completed([pool.submit(_draw_chunk, draw, chunk) for chunk in chunks]):
            done(future.result())
    except BrokenProcessPool as error:
        raise DataError(
            "a process that draws images died: out of memory, killed, or started from a script "
            'without an `if __name__ == "__main__":` guard. Finished images are kept: run '
            "again (from Python, draw_all with workers=1 shows the cause)"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(in_worker: Callable[[], object] | None) -> None:
    # The parent handles it. Blocked, not ignored: Mitsuba returns half an image on SIGINT.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    leave_with_parent()
    if in_worker is not None:
        in_worker()


def _draw_chunk(draw: Callable[[Thing], bytes], jobs: Sequence[tuple[Path, Thing]]) -> int:
    for path, thing in jobs:
        write(path, draw(thing))
    return len(jobs)
