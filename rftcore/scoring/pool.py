"""Worker processes that call rewards and can be killed.

A worker interrupts a call past its deadline by its own timer, as the main thread does.
Code that does not return to Python never handles that timer's signal: then the worker is
killed `GRACE_S` later. If a worker ends, the call that it was running has failed, and the
next call gets a new worker. Whatever ends it, what it has started is killed. Processes are
spawned, not forked, since the parent may hold threads or a model.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from rftcore.arguments import WORKER
from rftcore.distributed import cores
from rftcore.errors import PluginError
from rftcore.scoring.outcomes import Called, Outcome
from rftcore.scoring.specs import RewardSpecs
from rftcore.scoring.worker import serve

GRACE_S = 0.5  # for a worker to interrupt a call by its own timer
START_S = 120.0  # for a worker to import what its rewards need
MOST_BY_DEFAULT = 8

Call = tuple[str, bytes]  # the term, and its packed input


def default_workers() -> int:
    """One per core that this process may use, divided by the ranks on this machine."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_BY_DEFAULT, cores() // here))


class Pool:
    """At most `workers` processes, started when there is work for them."""

    def __init__(self, specs: RewardSpecs, *, workers: int, timeout_s: float) -> None:
        self._specs = specs
        self._most = workers
        self._timeout_s = timeout_s
        self._workers: list[_Worker] = []
        self._unmade: Mapping[str, str] | None = None

    def check(self, names: Iterable[str]) -> None:
        """Start a worker, unless one has been. Raises `PluginError` if it cannot make a reward."""
        if self._unmade is None:
            self._grow(1)
            while self._unmade is None:
                list(self._receive())
        for name in names:
            if name in self._unmade:
                raise PluginError(
                    f"reward {name!r} must run in a worker process (it declares itself slow, "
                    "scoring.isolate_all is set, or this is not the main thread), but a worker "
                    f"cannot make it: {self._unmade[name]}. Write it as a function of a module, or "
                    "let a plugin offer it; scoring.workers=0 runs it in this process, where a "
                    "call into C code or another thread cannot be interrupted"
                )

    def run(self, calls: Sequence[Call]) -> Iterator[tuple[int, Called]]:
        """The index and result of each call, as they finish; closing this early ends busy workers.

        Raises: PluginError if no worker can be started.
        """
        waiting = deque(enumerate(calls))
        try:
            while waiting or self._busy():
                self._grow(len(waiting) + len(self._busy()))
                self._send_waiting(waiting)
                yield from self._receive()
        finally:
            for worker in self._busy():
                worker.end()
            self._forget()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end()
        self._forget()

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.job is not None]

    def _grow(self, wanted: int) -> None:
        while len(self._workers) < min(wanted, self._most):
            self._workers.append(_Worker(self._specs, self._timeout_s))

    def _send_waiting(self, waiting: deque[tuple[int, Call]]) -> None:
        for worker in self._workers:
            if worker.idle and waiting and worker.send(*waiting[0]):
                waiting.popleft()
        self._forget()

    def _receive(self) -> Iterator[tuple[int, Called]]:
        """Wait for the next message or deadline; the calls that are finished."""
        from multiprocessing.connection import wait

        active = [worker for worker in self._workers if not worker.idle]
        first = min((worker.until for worker in active), default=0.0)
        wait([worker.pipe for worker in active], timeout=max(0.0, first - time.monotonic()))
        for worker in active:
            job = worker.job
            message = worker.receive()
            if isinstance(message, Called) and job is not None:
                yield job, message
            elif isinstance(message, Mapping):
                self._unmade = message
        self._forget()

    def _forget(self) -> None:
        self._workers = [worker for worker in self._workers if not worker.ended]


class _Worker:
    """One process: starting, then idle, or busy with a `job`; its state ends at `until`."""

    def __init__(self, specs: RewardSpecs, timeout_s: float) -> None:
        import multiprocessing

        _end_at_exit()
        context = multiprocessing.get_context("spawn")
        self.pipe, child_end = context.Pipe()
        self.job: int | None = None
        self.ended = False
        self._started = False
        self._timeout_s = timeout_s
        self._sent_at = time.monotonic()
        self.until = self._sent_at + START_S
        arguments = (child_end, specs, timeout_s)
        self._process = context.Process(target=serve, args=arguments, name=WORKER)
        self._process.start()
        self._group = self._process.pid
        child_end.close()  # else the pipe would never signal that the process has ended
        _RUNNING.add(self)

    @property
    def idle(self) -> bool:
        """Whether it is ready for a call."""
        return self._started and self.job is None and not self.ended

    def send(self, job: int, call: Call) -> bool:
        """Send a call; false if the process has ended since the last one."""
        try:
            self.pipe.send(call)
        except OSError:
            self.end()
            return False
        self.job, self._sent_at = job, time.monotonic()
        self.until = self._sent_at + self._timeout_s + GRACE_S
        return True

    def receive(self) -> Called | Mapping[str, str] | None:
        """Its message: a `Called`, or which rewards it cannot make; None if there is none yet.

        Raises: PluginError if it does not start.
        """
        if self.pipe.poll():
            try:
                message: Called | Mapping[str, str] | str = self.pipe.recv()
            except (EOFError, OSError):
                return self._lost(f"its process ended with {self._code()}", "error")
            if isinstance(message, str):  # IMPORTING
                self.until = time.monotonic() + self._timeout_s + GRACE_S
                return None
            self._started, self.job = True, None
            return message
        if time.monotonic() < self.until:
            return None
        note = f"no result within {self._timeout_s:g} s, and its process had to be killed"
        return self._lost(note, "timeout")

    def _lost(self, note: str, kind: Any) -> Called:
        seconds = time.monotonic() - self._sent_at
        if not self._started:
            raise PluginError(
                f"a worker process for rewards did not start: it ended with {self._code()} after "
                f"{seconds:.0f} s. Was it killed, does a plugin's import end it, or has a script "
                'no `if __name__ == "__main__":` guard? scoring.workers=0 uses no workers'
            )
        self.end()
        return Called(Outcome(kind, note=note, seconds=seconds, cause=note))

    def _code(self) -> str:
        self.end(kill=False)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"code {code}"

    def end(self, *, kill: bool = True) -> None:
        """End the process and what it has started."""
        from multiprocessing.connection import wait

        self.job, self.ended = None, True
        if not kill:  # it has ended or is ending: keep its own exit code
            wait([self._process.sentinel], 1)
        # before `join`, after which another process may have its number
        if self._group is not None and hasattr(os, "killpg"):
            with suppress(OSError):  # it has no process group before it has started
                os.killpg(self._group, signal.SIGKILL)
        self._group = None
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.pipe.close()
        _RUNNING.discard(self)


_RUNNING: WeakSet[_Worker] = WeakSet()
_prepared = False


def _end_at_exit() -> None:
    """End the workers before multiprocessing's own exit handler, which would wait for them."""
    global _prepared
    if not _prepared:
        import multiprocessing.util  # noqa: F401 -- registers its handler, which then runs later

        atexit.register(_end_all)
        if hasattr(os, "register_at_fork"):  # a forked child must not end its parent's workers
            os.register_at_fork(after_in_child=_RUNNING.clear)
        _prepared = True


def _end_all() -> None:
    for worker in list(_RUNNING):
        worker.end()
