"""Disks that fail, and files of a run that are damaged: named, and repaired or rejected.

A write of a run fails (full, read-only, over quota, broken), once or from then on; every write
takes long; the run folder is deleted under it; four processes share an empty cache folder; a file
of an interrupted or a finished run is cut off, has a flipped bit, is empty or gone.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.campaigns import rows
from tests.campaigns.forks import TRAINING, At, Ended, Running, Server, library
from tests.campaigns.frame import Attempts, Verdict
from tests.campaigns.lively import differences, lost, results, resumed, start, with_a_note

ERRORS = (errno.ENOSPC, errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)
# Records of what happened, from which nothing is computed: a bit flipped inside a text or a number
# that leaves valid JSON shows nowhere. So do files that the next session writes anew.
RECORDS = ("usage.json", "evaluation/")


class Disk:
    """Tries one fault per case."""

    name = "disk"
    promise = "a fault of the disk, or a damaged file of a run, is named, and repaired or rejected"

    @contextmanager
    def opened(self) -> Iterator[Attempts]:
        """A finished run, one that was stopped in GRPO, and the number of writes of both."""
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            preload = library(self._folder)
            self._server = stack.enter_context(Server(TRAINING, preload=preload))
            self._work = self._folder / "work"
            self._finished, self._stopped = self._folder / "finished", self._folder / "stopped"
            self._finished.mkdir()
            count = At(self._finished / "run") if preload else None
            whole = start(self._server, self._finished, at=count).end()
            if whole.code:
                raise LookupError(f"a run does not end: {whole}")
            self._writes, self._whole = whole.writes, results(self._finished / "run")
            self._stop()
            self._kinds = [self._damaged, self._damaged, self._shared]
            if preload:
                self._kinds += [self._failing, self._failing, self._deleted, self._slow]
            yield self._attempt

    def _stop(self) -> None:
        """A copy of the finished run as it was after its first step of GRPO."""
        run = self._stopped / "run"
        shutil.copytree(self._finished, self._stopped)
        for gone in ("checkpoint-2", "model"):
            shutil.rmtree(run / "grpo" / gone)
        for path in (*run.glob("evaluation/**/grpo*"), run / "grpo.json", *run.glob("summary.*")):
            path.unlink()
        (run / "report.html").unlink()
        state = run / "state.json"
        done = [name for name in self._whole["phases"]["done"] if "grpo" not in name]
        state.write_text(rows.line({**self._whole["phases"], "done": done}))

    def _attempt(self, rng: random.Random) -> Verdict:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        return rng.choice(self._kinds)(rng)

    # --- writes that fail ---

    def _failing(self, rng: random.Random) -> Verdict:
        error, lasting = rng.choice(ERRORS), rng.random() < 0.5
        run = with_a_note(self._work / "run")
        at = At(run, rng.randrange(1, self._writes + 1), error, lasting=lasting)
        what = f"write {at.number} fails{' and all after it' * lasting}: {os.strerror(error)}"
        ended = start(self._server, self._work, at=at).end()
        fault = end_fault(ended, os.strerror(error), "torch could not write a file")
        return _verdict(what, fault or lost(run) or self._after(ended) or lost(run))

    def _slow(self, rng: random.Random) -> Verdict:
        """Every write takes long; half of the runs are stopped in the middle, too."""
        at = At(self._work / "run", 1, lasting=True, delay_ms=rng.choice((2, 20)))
        running = start(self._server, self._work, at=at)
        stopped = rng.random() < 0.5
        if stopped and self._wait_for(running, rng.random() * 20):
            running.send(signal.SIGTERM)
        ended = running.end()
        what = f"every write takes {at.delay_ms} ms more{', and SIGTERM' * stopped}"
        fault = str(ended) if ended.code not in (0, 128 + signal.SIGTERM) else self._after(ended)
        return _verdict(what, fault)

    def _wait_for(self, running: Running, seconds: float) -> bool:
        """Wait so long; whether it still runs and its run has begun."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not running.ended():
            time.sleep(0.05)
        return not running.ended() and (self._work / "run" / "manifest.json").is_file()

    def _deleted(self, rng: random.Random) -> Verdict:
        """The run folder is deleted while the run is stopped at a write."""
        number = rng.randrange(10, self._writes + 1)
        at = At(self._work / "run", number, signal=signal.SIGSTOP)
        running = start(self._server, self._work, at=at)
        while not running.ended() and not _is_stopped(running.pid):
            time.sleep(0.02)
        shutil.rmtree(self._work / "run", ignore_errors=True)
        running.send(signal.SIGCONT)
        ended = running.end()
        return _verdict(f"the run folder is deleted at write {number}", end_fault(ended, "run"))

    def _after(self, ended: Ended) -> str:
        """What is wrong with the run once the disk works again, or ""."""
        if ended.code == 0:
            return differences(self._work / "run", self._whole)
        if (self._work / "run" / "manifest.json").is_file():
            again = resumed(self._server, self._work).end()
        else:
            again = start(self._server, self._work).end()
        if again.code:
            return f"it does not continue: {again}"
        return differences(self._work / "run", self._whole)

    # --- files that are damaged ---

    def _damaged(self, rng: random.Random) -> Verdict:
        source = rng.choice((self._finished, self._stopped, self._stopped))
        shutil.copytree(source / "run", self._work / "run")
        paths = sorted(p for p in (self._work / "run").rglob("*") if p.is_file())
        path = rng.choice([p for p in paths if p.name != ".lock" and p.stat().st_size])
        name = path.relative_to(self._work / "run").as_posix()
        how = rng.choice(list(DAMAGES))
        DAMAGES[how](path, rng)
        what = f"{name} of a {source.name} run {how}"
        return _verdict(what, *self._used(name, how, source is self._finished))

    def _used(self, name: str, how: str, finished: bool) -> tuple[str, str]:
        ended = resumed(self._server, self._work).end()
        if ended.code:
            return _named_fault(ended, name), "held"
        if finished and name.startswith("grpo/model/"):
            measured = self._server.run("eval", "run", within=self._work)
            return ("" if measured.code == 0 else _named_fault(measured, name)), "held"
        fault = differences(self._work / "run", self._whole)
        if fault and f"run/{name} is not what it was when" in ended.err:
            return "", "held"
        if fault and name.startswith(RECORDS) and how == "has a flipped bit":
            return "", "valid"
        if fault and finished:  # nothing is left to do but to show the table
            return "", "valid"
        return fault, "held"

    # --- a shared cache folder ---

    def _shared(self, rng: random.Random) -> Verdict:
        form = rows.FORMS[rng.choice(("csv", "parquet"))]
        form.write(self._work / form.name, rows.good(self._work))
        command = ("data", "check", form.name, "--task", "counting")
        places = [self._work / str(n) for n in range(4)]
        for place in places:
            shutil.copytree(self._work, place, ignore=shutil.ignore_patterns("[0-3]", "cache"))
        environment = {"RFT_CACHE": str(self._work / "cache")}
        all_ = [self._server.start(*command, within=place, env=environment) for place in places]
        ended = [each.end() for each in all_]
        bad = [str(each) for each in ended if each.code or "no faults" not in each.out]
        left = [path.name for path in (self._work / "cache").rglob(".*.tmp")]
        fault = (bad or [""])[0] or (f"it has left {left}" if left else "")
        return _verdict(f"four processes read {form.name} with one empty cache", fault)


def _verdict(what: str, fault: str, state: Any = "held") -> Verdict:
    return Verdict(what, "broken" if fault else state, fault)


def end_fault(ended: Ended, *named: str) -> str:
    """What is wrong with how a fault of the disk ended a run, or "". named: one is in its error."""
    if ended.code == 0:  # such as a write of the report, which is a warning
        return ""
    told = re.findall("^error: .*", ended.err, re.MULTILINE)
    if ended.code != 2 or "Traceback" in ended.err or len(told) != 1:
        return f"not one error: {ended}"
    if not any(name in told[0] for name in named):
        return f"no error that names {' or '.join(named)}: {ended}"
    return ""


def _named_fault(ended: Ended, name: str) -> str:
    """What is wrong with how a damaged file is rejected, or ""."""
    told = re.findall("^error: .*", ended.err, re.MULTILINE)
    place = name.rpartition("/")[0] or name
    if ended.code != 2 or "Traceback" in ended.err or len(told) != 1 or place not in told[0]:
        return f"no error that names {name} or its folder: {ended}"
    return ""


def _is_stopped(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _cut(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def _flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


DAMAGES = {
    "is cut off": _cut,
    "has a flipped bit": _flip,
    "is empty": lambda path, rng: path.write_bytes(b""),
    "is gone": lambda path, rng: path.unlink(),
}
