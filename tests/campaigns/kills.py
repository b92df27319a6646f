"""Runs that are killed at random moments and continued: equal to one that was not, bit for bit.

A moment is a number of writes into the run folder and some milliseconds after it, so that a case
depends on the seed; without a C compiler it is a share of the time of a run.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.campaigns.forks import TRAINING, At, Ended, Running, Server, left_over, library
from tests.campaigns.frame import Attempts, Verdict
from tests.campaigns.lively import differences, lost, results, resumed, start, with_a_note

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STOPPED = {signal.SIGTERM: 143, signal.SIGINT: 130}  # exit codes
MOST = 3  # signals of a case
DELAYS = (0, 0, 1, 30, 300, 2_000)  # milliseconds after a write
WORKERS = ("scoring.isolate_all=true", "scoring.workers=1")


class Kills:
    """Interrupts a run up to `most` times per case."""

    name = "kills"
    promise = "a run that is killed at any moment continues to what an uninterrupted run gives"

    def __init__(self, most: int = MOST) -> None:
        self._most = most

    @contextmanager
    def opened(self) -> Iterator[Attempts]:
        """A run that is not interrupted."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._work, self._preload = folder / "work", library(folder)
            self._server = stack.enter_context(Server(TRAINING, preload=self._preload))
            (folder / "whole").mkdir()
            begin, count = time.monotonic(), At(folder / "whole" / "run")
            whole = start(self._server, folder / "whole", at=count if self._preload else None).end()
            self._seconds, self._writes = time.monotonic() - begin, whole.writes
            if whole.code:
                raise LookupError(f"a run does not end: {whole}")
            self._whole = results(folder / "whole" / "run")
            yield self._attempt

    def _attempt(self, rng: random.Random) -> Verdict:
        shutil.rmtree(self._work, ignore_errors=True)
        run = with_a_note(self._work / "run")
        workers = WORKERS if rng.random() < 0.2 else ()
        tried = []
        for _ in range(rng.randrange(1, self._most + 1)):
            number, share, delay = rng.choice(SIGNALS), rng.random(), rng.choice(DELAYS)
            writes = 1 + int(share * self._writes)
            at = At(self._work / "run", writes, signal=number, delay_ms=delay)
            running = self._go_on(workers, at if self._preload else None)
            if not self._preload and _waited(running, share * self._seconds):
                running.send(number)
            ended = running.end()
            tried.append(f"{number.name} {delay} ms after write {writes}, {_phase(self._work)}")
            if ended.code == 0:
                break
            if fault := end_fault(number, ended, self._work) or left_over(running):
                return Verdict("; ".join(tried), "broken", fault)
        running = self._go_on(workers, None)
        last = running.end()
        fault = f"it does not continue: {last}" if last.code else ""
        fault = fault or differences(run, self._whole) or _left(run)
        fault = fault or left_over(running) or lost(run)
        what = "; ".join(tried) + " with a worker" * bool(workers)
        return Verdict(what, "broken" if fault else "held", fault)

    def _go_on(self, workers: tuple[str, ...], at: At | None) -> Running:
        """Continue the run, or start it if it has not begun."""
        if (self._work / "run" / "manifest.json").is_file():
            return resumed(self._server, self._work, at=at)
        return start(self._server, self._work, *workers, at=at)


def _waited(running: Running, seconds: float) -> bool:
    """Wait for a moment of a run; whether it still runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if running.ended():
            return False
        time.sleep(0.02)
    return True


def _phase(work: Path) -> str:
    """What a run was about to do, by the phases that are done."""
    try:
        done = re.findall(r'"([\w:]+)"', (work / "run" / "state.json").read_text())
    except OSError:
        return "before the run began"
    return f"after {done[-1]}" if len(done) > 1 else "in the data check"


def end_fault(number: signal.Signals, ended: Ended, work: Path) -> str:
    """What is wrong with how a signal ended a run: its code, or what it says to do."""
    if number == signal.SIGKILL:
        return "" if ended.code == 128 + number else f"SIGKILL: {ended}"
    if ended.code != STOPPED[number] or "Traceback" in ended.err:
        return f"{number.name}: {ended}"
    begun = (work / "run" / "manifest.json").is_file()
    if begun and "continue with: rft train --resume run" not in ended.err:
        return f"it does not say how to go on: {ended}"
    return ""


def _left(run: Path) -> str:
    """Temporary files that a finished run has left."""
    left = [path.name for pattern in (".*.tmp", "partial") for path in run.rglob(pattern)]
    return f"it has left {left}" if left else ""
