"""GRPO for hours: memory, open files, threads, processes and the run folder do not grow.

A case is one run. It is watched from outside: a sample per step that appears in its metrics.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.forks import TRAINING, Running, Server
from tests.campaigns.frame import Attempts, Verdict
from tests.campaigns.lively import TASK

MB = 2**20
WARM = 0.25  # of the steps: what is there by then may stay
RSS_MB = 64.0  # that resident memory may grow by after that, and
RSS_SHARE = 0.05  # this share of it: allocators keep what they free
FILES, THREADS, CHILDREN = 4, 2, 0  # that may be more than at the end of the warm-up
LEAST = 8  # steps
ENDED = (0, 128 + signal.SIGTERM)  # exit codes, the second one after a request to stop
STEP_KB = 64.0  # of the run folder per step, beside checkpoints and policies
SETTINGS = (
    *("sft.enabled=false", "vision_check.enabled=false", "grpo.samples=32", "grpo.save_steps=50"),
    *("grpo.save_total_limit=2", "evaluation.zero_shot=false", "scoring.workers=1"),
    *("scoring.isolate_all=true", "grpo.max_completion_length=16", "report=false"),
    *("evaluation.splits=[val]", "evaluation.samples.val=2", "evaluation.blind=0"),
)


@dataclass(frozen=True)
class Sample:
    """What a run uses after a step. folder: bytes of its files without weights."""

    step: int
    rss: int
    files: int
    threads: int
    children: int
    folder: int


class Soak:
    """Runs GRPO with nano for so many steps per case."""

    name = "soak"
    promise = "hours of GRPO need no more memory, files, threads or processes than the first steps"

    def __init__(self, steps: int = 100_000) -> None:
        self._steps, self.seconds = steps, float("inf")  # of a run, if its steps take longer

    @contextmanager
    def opened(self) -> Iterator[Attempts]:
        """A server process."""
        with ExitStack() as stack:
            self._work = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "work"
            self._server = stack.enter_context(Server(TRAINING))
            yield self._attempt

    def _attempt(self, rng: random.Random) -> Verdict:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        settings = (*SETTINGS, f"grpo.max_steps={self._steps}")
        words = [word for each in settings for word in ("--set", each)]
        seed = ("--seed", str(rng.randrange(1000)))
        arguments = ("--task", f"{TASK}:squares", "--smoke", "--model", "nano", "--out", "run")
        running = self._server.start("train", *arguments, *seed, *words, within=self._work)
        samples = list(self._watched(running))
        ended = running.end()
        fault = f"it does not end: {ended}" if ended.code not in ENDED else growth(samples)
        what = f"{samples[-1].step if samples else 0} steps of GRPO, {len(samples)} samples"
        return Verdict(what, "broken" if fault else "held", fault or shown(samples))

    def _watched(self, running: Running) -> Iterator[Sample]:
        """A sample after each step, and a request to stop when the time is over."""
        last, end = 0, time.monotonic() + self.seconds
        while not running.ended():
            step = _step(self._work / "run")
            if step > last:
                last = step
                if sample := _sample(running.pid, step, self._work / "run"):
                    yield sample
            if time.monotonic() > end and last > LEAST:
                running.send(signal.SIGTERM)
                end = float("inf")
            time.sleep(0.05)


def _step(run: Path) -> int:
    """The last step with a whole line in the metrics, 0 before the first."""
    try:
        *lines, _torn = (run / "metrics.jsonl").read_bytes()[-20_000:].split(b"\n")
    except OSError:
        return 0
    return int(json.loads(lines[-1])["step"]) if lines else 0


def _sample(pid: int, step: int, run: Path) -> Sample | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            files, threads = process.num_fds(), process.num_threads()
            rss, children = process.memory_info().rss, len(process.children(recursive=True))
        sizes = [p.stat().st_size for p in run.rglob("*") if p.is_file() and _counts(p, run)]
    except (psutil.Error, OSError):  # it has ended, or deletes a checkpoint
        return None
    return Sample(step, rss, files, threads, children, sum(sizes))


def _counts(path: Path, run: Path) -> bool:
    return path.relative_to(run).parts[0] not in ("sft", "grpo", "base")


def growth(samples: Sequence[Sample]) -> str:
    """What has grown beyond its limit after the warm-up, or ""."""
    warm = [s for s in samples if s.step <= max(1, WARM * samples[-1].step)] if samples else []
    later = samples[len(warm) :]
    if not warm or not later:
        return f"too few samples: {len(samples)}"
    most = {name: max(getattr(s, name) for s in warm) for name in Sample.__annotations__}
    limits = {
        "rss": most["rss"] * (1 + RSS_SHARE) + RSS_MB * MB,
        "files": most["files"] + FILES,
        "threads": most["threads"] + THREADS,
        "children": most["children"] + CHILDREN,
        "folder": warm[-1].folder + STEP_KB * 1024 * (later[-1].step - warm[-1].step),
    }
    for name, limit in limits.items():
        worst = max(later, key=lambda sample: getattr(sample, name))
        if (found := getattr(worst, name)) > limit:
            return f"{name} is {found:,} at step {worst.step}, over {limit:,.0f}: {shown(samples)}"
    return ""


def shown(samples: Sequence[Sample]) -> str:
    """The first sample, that after the warm-up and the last one, as text."""
    if not samples:
        return "no sample"
    some = (samples[0], samples[int(WARM * (len(samples) - 1))], samples[-1])
    return "; ".join(
        f"step {s.step}: {s.rss / MB:.0f} MB, {s.files} files, {s.threads} threads, "
        f"{s.children} processes, folder {s.folder / 1024:.0f} kB"
        for s in some
    )
