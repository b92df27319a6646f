"""Score a run's rollouts again, with the installed plugins, and report what has changed.

The sample follows from its row and the completion is stored, so every difference comes from
the parser, a reward, the dataset or a package that they use.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rftcore.completions import ScoredCompletion
from rftcore.config import load_recipe, read_recipe_file
from rftcore.datasets.slices import Slice, take
from rftcore.errors import RunError
from rftcore.plugins import Catalogue
from rftcore.prompts import made
from rftcore.runs import ROLLOUTS, RunFolder, task_file
from rftcore.scoring import Failure, Scorer
from rftcore.splits import RL
from rftcore.types import Task


@dataclass(frozen=True)
class Change:
    """A value that differs from the stored one; `line` is a line of `rollouts.jsonl`, from 1."""

    line: int
    step: int
    sample: str
    term: str
    before: Any
    now: Any


@dataclass(frozen=True)
class Replay:
    """What was compared and what differs.

    `compared` counts values by term: by reward, and as "sample", "answer" and "total".
    `versions` has the stored and the installed version of each distribution for which they
    differ; of a task in a file, the hash of the file. `failures` are the reward calls that fail
    now: the fields of `rftcore.scoring.Failure` and the `split`.
    """

    rollouts: int
    compared: Mapping[str, int]
    changes: Sequence[Change]
    versions: Mapping[str, tuple[str | None, str | None]]
    failures: Sequence[Mapping[str, Any]] = ()

    @property
    def changed(self) -> Mapping[str, int]:
        """How many values of each term differ."""
        return Counter(change.term for change in self.changes)


def replay(run: RunFolder, catalogue: Catalogue) -> Replay:
    """Score every stored rollout again.

    Raises: RunError for a run without rollouts or with a damaged one; whatever a task raises
    that cannot be made or scored.
    """
    stored = _stored(run)
    recipe = load_recipe((str(run.recipe_file), read_recipe_file(run.recipe_file)))
    task = catalogue.task_of(recipe)
    changes: list[Change] = []
    compared: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []

    def record(failure: Failure) -> None:
        failures.append({"split": RL, **asdict(failure)})

    with Scorer.of(task, recipe, record, error_budget=sys.maxsize) as scorer:
        part = take(task, RL, recipe.grpo.samples)
        for line, (before, now) in enumerate(_pairs(stored, part, task, scorer), 1):
            old, new = _values(before), _values(now)
            for term in {**old, **new}:
                compared[term] += 1
                pair = old.get(term, "absent"), new.get(term, "absent")
                if not _same(*pair):
                    if term == "sample":
                        pair = _differing(*pair)
                    changes.append(Change(line, before.step or 0, before.id, term, *pair))
    versions = _versions(run.manifest(), catalogue.distributions(), recipe.task)
    return Replay(len(stored), dict(compared), changes, versions, failures)


def _stored(run: RunFolder) -> list[ScoredCompletion]:
    rollouts = run.rollouts()
    if not rollouts:
        raise RunError(f"run {run.path} has no rollouts: GRPO has not scored any completion yet")
    for number, rollout in enumerate(rollouts, 1):
        if rollout.step is None or rollout.index is None:
            raise RunError(f"{run.path / ROLLOUTS} line {number} is not a rollout: it has no step")
    return rollouts


def _pairs(
    stored: Sequence[ScoredCompletion], part: Slice, task: Task, scorer: Scorer
) -> Iterator[tuple[ScoredCompletion, ScoredCompletion]]:
    """Each rollout as stored and as scored now, step by step."""
    for step, batch in groupby(stored, key=lambda rollout: rollout.step):
        rollouts = list(batch)
        yield from zip(rollouts, _scored(rollouts, step, part, task, scorer), strict=True)


def _scored(
    batch: Sequence[ScoredCompletion], step: int | None, part: Slice, task: Task, scorer: Scorer
) -> list[ScoredCompletion]:
    indices = [rollout.index or 0 for rollout in batch]
    if missing := [index for index in indices if index >= len(part)]:
        raise RunError(
            f"a rollout is of row {missing[0]} of split {RL!r}, which has {len(part)} samples now: "
            "the task's data has changed since this run"
        )
    samples = [part[index] for index in indices]
    texts = [rollout.completion for rollout in batch]
    tokens = [rollout.tokens for rollout in batch if rollout.tokens is not None]
    with scorer.collective():
        scores = scorer.score(
            texts,
            samples,
            step=step,
            groups=indices,
            tokens=tokens if len(tokens) == len(batch) else None,
        )
    return [
        score.record(sample, text, images=made(task.prompt, sample).images)
        for score, sample, text in zip(scores, samples, texts, strict=True)
    ]


def _values(rollout: ScoredCompletion) -> dict[str, Any]:
    """The values to compare, by term. A reward without a value gives the reason."""
    return {
        "sample": rollout.of_sample,
        "answer": rollout.answer,
        "total": rollout.total,
        **{
            name: rollout.failures.get(name, "n/a") if value is None else value
            for name, value in rollout.rewards.items()
        },
    }


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Any, Any]:
    """What differs of a sample, before and now."""
    keys = [key for key in before if before[key] != now[key]]
    return {key: before[key] for key in keys}, {key: now[key] for key in keys}


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, float | int) and isinstance(now, float | int):
        return math.isclose(before, now, rel_tol=1e-9, abs_tol=1e-12)
    return bool(before == now)


def _versions(
    manifest: Mapping[str, Any], now: Mapping[str, str | None], task: str
) -> dict[str, tuple[str | None, str | None]]:
    stored = {**manifest.get("plugins", {}), task: _short(manifest.get("task_file"))}
    now = {**now, task: _short(task_file(task))}
    pairs = {name: (stored.get(name), now.get(name)) for name in sorted({*stored, *now})}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _short(digest: str | None) -> str | None:
    return f"SHA-256 {digest[:12]}" if digest else None
