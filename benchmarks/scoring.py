"""Measure the speed of rewards: on one core, in worker processes, relative to a GRPO step.

    python benchmarks/scoring.py --step-s 5.8 --json scoring.json

Prints a table. The last lines are the longest time that scoring waited for a call of
a misbehaving reward, which must be below the deadline plus a second.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rftcore import parsers, rewards
from rftcore.scoring import Scorer
from rftcore.types import RewardInput, Sample, Task, Term

BATCH = 64  # completions of a GRPO step
DEADLINE_S = 0.5
REASONING = "1. Red cube.\n2. Blue cube.\n3. First, I count the cubes, one by one.\n" * 4
TEXT = f"<think>{REASONING}</think><answer>{{}}</answer>"


@dataclass(frozen=True)
class Line:
    """One number of the report."""

    what: str
    value: float
    unit: str


@rewards.reward(uses=("completion",), slow=True)
def in_a_worker(x: RewardInput) -> float:
    """A trivial reward: what remains is the overhead of the worker."""
    return float(x.answer == x.gold)


def sleeps(x: RewardInput) -> float:
    """Sleep, which a timer can interrupt."""
    time.sleep(3600)
    return 1.0


def never_returns(x: RewardInput) -> float:
    """Loop in C, which a timer cannot interrupt."""
    from itertools import repeat

    return float(sum(repeat(0)))


def ends_its_process(x: RewardInput) -> float:
    """End the worker process."""
    os._exit(1)


def scorer_of(reward: object, **options: object) -> Scorer:
    """A scorer of one term."""
    task = Task("bench", "none", str, parsers.Number(), {"accuracy": Term(reward)})  # type: ignore[arg-type]
    return Scorer(task, **options)  # type: ignore[arg-type]


def per_batch(scorer: Scorer, seconds: float) -> float:
    """Seconds that a batch takes, the best of as many runs as fit into `seconds`."""
    texts = [TEXT.format(at % 7) for at in range(BATCH)]
    samples = [Sample(str(at), "How many?", str(at % 5)) for at in range(BATCH)]
    groups, tokens = [at // 8 for at in range(BATCH)], [50 + at for at in range(BATCH)]
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until or best == float("inf"):
        start = time.perf_counter()
        scorer.score(texts, samples, step=1, groups=groups, tokens=tokens)
        best = min(best, time.perf_counter() - start)
    return best


def report(seconds: float, step_s: float, workers: int) -> Iterator[Line]:
    """Every measurement, as it is made."""
    built_in = {
        "exact": rewards.exact,
        "tolerance": rewards.tolerance(),
        "tags": rewards.tags,
        "caption_tags": rewards.caption_tags,
        "steps": rewards.steps(),
        "length": rewards.length(),
    }
    for name, reward in built_in.items():
        yield Line(name, BATCH / per_batch(scorer_of(reward), seconds), "completions per second")
    terms = {"accuracy": Term(rewards.exact), "format": Term(rewards.tags)}
    usual = per_batch(Scorer(Task("bench", "none", str, parsers.Integer(), terms)), seconds)
    yield Line("exact and tags, a batch of 64", usual * 1000, "ms")
    yield Line(f"  of a step of {step_s:g} s", 100 * usual / step_s, "%")
    with scorer_of(in_a_worker, workers=workers) as there:
        away = per_batch(there, seconds)
    here = per_batch(scorer_of(in_a_worker, workers=0), seconds)
    yield Line(f"{workers} worker(s), more for a batch of 64", (away - here) * 1000, "ms")
    for hostile in (sleeps, never_returns, ends_its_process):
        yield Line(f"longest wait, {hostile.__name__}", _longest(hostile), "s")
    yield Line("  the deadline", DEADLINE_S, "s")


def _longest(hostile: object) -> float:
    options = {"workers": 1, "isolate_all": True, "timeout_s": DEADLINE_S}
    with scorer_of(hostile, **options) as scorer:
        scores = scorer.score(["5"] * 3, [Sample("a", "?", "5")] * 3)
    if any(score.total is not None for score in scores):
        raise SystemExit(f"a failure of {hostile} became a score")
    return max(score.parts["accuracy"].seconds for score in scores)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="per measurement")
    parser.add_argument("--step-s", type=float, default=5.8, help="seconds of a GRPO step")
    parser.add_argument("--workers", type=int, default=2, help="processes of the pool")
    parser.add_argument("--json", help="write the numbers to this file too")
    given = parser.parse_args()
    lines = []
    for line in report(given.seconds, given.step_s, given.workers):
        print(f"{line.what:<40}{line.value:>12,.2f} {line.unit}", flush=True)
        lines.append(vars(line))
    if given.json:
        Path(given.json).write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
