"""Work on images in threads, a few items ahead of the caller, with results in order.

Pillow and hashlib release the GIL while they decode and hash, so threads are enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from rftcore.distributed import cores

MOST = 16  # threads: with more, the calling thread is the bottleneck
AHEAD = 4  # jobs per thread that are submitted before their turn

Item = TypeVar("Item")
Result = TypeVar("Result")
Job = Callable[[], Result]


class Threads(Generic[Item, Result]):
    """A thread pool as a context manager; on exit, also by Ctrl-C, waiting jobs are canceled.

    count: threads, by default one per core; 0: each job runs in the caller's thread, in order.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = min(cores(), MOST) if count is None else count
        self._pool = ThreadPoolExecutor(self.count) if self.count else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def ahead(
        self, items: Iterable[Item], jobs: Callable[[Item], Iterable[Job[Result]]]
    ) -> Iterator[tuple[Item, list[Job[Result]]]]:
        """Each item, in order, with a function per job that returns its result or raises.

        `items` and `jobs` run in the caller's thread, up to `AHEAD` jobs per thread early. An
        exception of theirs is raised after all items before it have been yielded, as it would
        be without threads.
        """
        waiting: deque[tuple[Item, list[Job[Result]]]] = deque()
        begun = 0
        try:
            for item in items:
                waiting.append((item, [self._begin(job) for job in jobs(item)]))
                begun += len(waiting[-1][1])
                while waiting and (not self.count or begun > AHEAD * self.count):
                    begun -= len(waiting[0][1])
                    yield waiting.popleft()
        except Exception:
            yield from waiting
            raise
        yield from waiting

    def _begin(self, job: Job[Result]) -> Job[Result]:
        return self._pool.submit(job).result if self._pool else job
