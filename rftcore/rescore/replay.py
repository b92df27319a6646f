"""Score a run's rollouts again, with the plugins of today, and tell what has changed.

A rollout is a pure function's input: the sample follows from its row, the completion is
stored, so every difference comes from the parser, a reward, the dataset or what they use.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rftcore import rewards
from rftcore.config import Recipe, load_recipe, read_recipe_file
from rftcore.datasets.slices import Slice, take
from rftcore.errors import RunError
from rftcore.plugins import Catalogue
from rftcore.runs import ROLLOUTS, RunFolder
from rftcore.scoring import Failure, Score, Scorer
from rftcore.splits import RL
from rftcore.types import Task

NEEDED = ("step", "row", "completion", "answer", "total", "parts")
OF_THE_BATCH = {"tokens", "sibling_tokens", "siblings"}  # what runs did not store at first
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One value that is not what it was; `line` counts from 1 in `rollouts.jsonl`."""

    line: int
    step: int
    sample: str
    term: str
    before: Any
    now: Any


@dataclass(frozen=True)
class Replay:
    """What was compared. `compared` counts values by term; so do "sample", "answer", "total".

    `versions` holds then and now of each distribution whose version differs; `skipped`
    names terms that need what the run did not store; `failures` has the reward calls that
    fail now, as fields of `rftcore.scoring.Failure` with the `split`.
    """

    rollouts: int
    compared: Mapping[str, int]
    changes: Sequence[Change]
    versions: Mapping[str, tuple[str | None, str | None]]
    skipped: Sequence[str]
    failures: Sequence[Mapping[str, Any]] = ()

    @property
    def changed(self) -> Mapping[str, int]:
        """How many values of each term differ."""
        return Counter(change.term for change in self.changes)


def replay(run: RunFolder, catalogue: Catalogue) -> Replay:
    """Score every stored rollout again.

    Raises: RunError for a run without rollouts or with a damaged one, and what a task that
    cannot be made or scored raises.
    """
    lines = _lines(run)
    recipe = load_recipe((str(run.recipe_file), read_recipe_file(run.recipe_file)))
    task = catalogue.task_of(recipe)
    skipped = _skipped(task, lines)
    changes: list[Change] = []
    compared: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []

    def record(failure: Failure) -> None:
        failures.append({"split": RL, **asdict(failure)})

    with Scorer.of(task, recipe, record, error_budget=sys.maxsize) as scorer:
        for number, line, before, now in _pairs(lines, task, recipe, scorer):
            for term in (*before, *(name for name in now if name not in before)):
                if term in skipped:
                    continue
                compared[term] += 1
                old, new = before.get(term, "absent"), now.get(term, "absent")
                if not _same(old, new):
                    name = str(line.get("id", f"rl {line['row']}"))
                    changes.append(Change(number, line["step"], name, term, old, new))
    versions = _versions(run.manifest(), catalogue.distributions())
    return Replay(len(lines), dict(compared), changes, versions, sorted(skipped), failures)


def _lines(run: RunFolder) -> list[Line]:
    lines: list[Line] = list(run.rollouts())
    if not lines:
        raise RunError(f"run {run.path} has no rollouts: GRPO has not scored any completion yet")
    for number, line in enumerate(lines, 1):
        if fault := _fault(line):
            raise RunError(f"{run.path / ROLLOUTS} line {number} {fault}")
    return lines


def _fault(line: Any) -> str:
    """What is wrong with a line, or ""."""
    if not isinstance(line, dict):
        return f"is {type(line).__name__}, not an object"
    if missing := [key for key in NEEDED if key not in line]:
        return f"has no {', '.join(missing)}"
    for key in ("row", "step"):
        if type(line[key]) is not int or line[key] < 0:
            return f"has {key}={line[key]!r}, but it is a whole number, from 0"
    if not isinstance(line["completion"], str):
        return f"has completion={line['completion']!r}, which is not text"
    parts = line["parts"]
    if not isinstance(parts, dict) or not all(
        isinstance(part, dict) and {"kind", "value"} <= part.keys() for part in parts.values()
    ):
        return "has parts that are not outcomes with kind and value"
    return ""


def _skipped(task: Task, lines: Sequence[Line]) -> set[str]:
    """Terms that look at the batch, and the total with them, if the run stored too little."""
    if all("tokens" in line for line in lines):
        return set()
    terms = {
        name
        for name, term in task.rewards.items()
        if callable(term.reward) and rewards.uses(term.reward) & OF_THE_BATCH
    }
    return terms | {"total"} if terms else terms


def _pairs(
    lines: Sequence[Line], task: Task, recipe: Recipe, scorer: Scorer
) -> Iterator[tuple[int, Line, dict[str, Any], dict[str, Any]]]:
    """Each line with what it says and what is true now, step by step."""
    part = take(task, RL, recipe.grpo.samples)
    for step, batch in groupby(enumerate(lines, 1), key=lambda pair: pair[1]["step"]):
        numbered = list(batch)
        for (number, line), score in zip(
            numbered, _scores([line for _, line in numbered], step, part, scorer), strict=True
        ):
            sample = part[line["row"]]
            now = {"sample": [sample.id, sample.gold], **_said(score)}
            before = {"answer": line["answer"], "total": line["total"], **_parts(line)}
            if "id" in line:
                before["sample"] = [line["id"], line.get("gold")]
            else:
                del now["sample"]
            yield number, line, before, now


def _scores(batch: Sequence[Line], step: int, part: Slice, scorer: Scorer) -> list[Score]:
    rows = [line["row"] for line in batch]
    if gone := [row for row in rows if row >= len(part)]:
        raise RunError(
            f"a rollout is of row {gone[0]} of split 'rl', which has {len(part)} samples today: "
            "the task's data is another now"
        )
    tokens = [line["tokens"] for line in batch if line.get("tokens") is not None]
    with scorer.collective():
        return scorer.score(
            [line["completion"] for line in batch],
            [part[row] for row in rows],
            step=step,
            groups=rows,
            tokens=tokens if len(tokens) == len(batch) else None,
        )


def _parts(line: Line) -> dict[str, Any]:
    return {name: _short(part["kind"], part["value"]) for name, part in line["parts"].items()}


def _said(score: Score) -> dict[str, Any]:
    parts = {name: _short(part.kind, part.value) for name, part in score.parts.items()}
    return {"answer": score.answer, "total": score.total, **parts}


def _short(kind: str, value: float | None) -> float | str | None:
    return value if kind == "ok" else kind


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, float | int) and isinstance(now, float | int):
        return math.isclose(before, now, rel_tol=1e-9, abs_tol=1e-12)
    return bool(before == now)


def _versions(
    manifest: Mapping[str, Any], now: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    then = manifest.get("plugins", {})
    pairs = {name: (then.get(name), now.get(name)) for name in sorted({*then, *now})}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
