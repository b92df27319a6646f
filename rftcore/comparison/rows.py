"""Rows of a comparison: runs that differ in nothing but the seed, at the stage that is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rftcore.completions import ScoredCompletion
from rftcore.config import Recipe, of_phases
from rftcore.config.recipe import leaves
from rftcore.errors import RunError, path_faults
from rftcore.pipeline.results import STAGES, Run, load_run

AT = "@"  # RUN@STAGE
# of a recipe: what leaves the answers of a row as they are
NOT_OF_A_ROW: Any = {
    **dict.fromkeys(("seed", "scoring", "report", "tracking"), True),
    "evaluation": {"zero_shot", "after_each_phase", "blind", "sampled", "temperature"},
}
SHOWN = 3  # settings in a row's name
Question = tuple[str, str, str]


@dataclass(frozen=True)
class Measured:
    """A run at one of its evaluated stages: "start", "sft" or "grpo"."""

    run: Run
    stage: str

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.recipe.seed

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        return self.run.recipe

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The run's manifest."""
        return self.run.manifest

    @cached_property
    def scores(self) -> Mapping[str, Mapping[str, Any]]:
        """The stage's scores by split."""
        return {s["split"]: s for s in self.run.scores if s["stage"] == self.stage}

    def answers(self, split: str) -> tuple[list[Question], list[bool | None]]:
        """The questions of a split, and which were answered right; None: not scored."""
        found = self.run.answers(self.stage, split)
        return [_question(each) for each in found], [each.correct for each in found]

    @property
    def paradigm(self) -> str:
        """The paradigm that the run has followed up to the stage."""
        if self.stage == "start":
            return "zero-shot"
        done = STAGES[: STAGES.index(self.stage) + 1]
        sft, grpo = (p in done and getattr(self.recipe, p).enabled for p in ("sft", "grpo"))
        same = (sft, grpo) == (self.recipe.sft.enabled, self.recipe.grpo.enabled)
        return self.recipe.paradigm if same else of_phases(sft, grpo)

    @property
    def depends_on_seed(self) -> bool:
        """Whether another seed would have other answers: decoding is greedy."""
        return self.stage != "start"


@dataclass(frozen=True)
class Row:
    """A row of the table. name: as it is shown. runs: one per seed, in the order of seeds.

    share: of the training samples that the row `base` has; 1 for `base` itself.
    """

    name: str
    runs: tuple[Measured, ...]
    base: str = ""
    share: float = 1.0

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs."""
        return [each.seed for each in self.runs]

    @property
    def depends_on_seed(self) -> bool:
        """Whether its runs differ by more than chance: false of a model before training."""
        return any(each.depends_on_seed for each in self.runs)

    def of_seeds(self, seeds: Sequence[int]) -> list[Measured]:
        """The run of each seed; the same one for each, if the answers do not depend on seeds."""
        if not self.depends_on_seed:
            return [self.runs[0]] * len(seeds)
        by_seed = {each.seed: each for each in self.runs}
        return [by_seed[seed] for seed in seeds]


def read_rows(targets: Sequence[str | Path | Run]) -> list[Row]:
    """The rows of runs, in their order: "RUN", or "RUN@STAGE" for an earlier stage.

    Runs whose recipes differ only in the seed are one row.
    Raises: RunError for a folder that is no run, a stage that was not evaluated, or one seed twice.
    """
    groups: dict[str, list[Measured]] = {}
    for target in targets:
        measured = _measured(target)
        groups.setdefault(_identity(measured), []).append(measured)
    for group in groups.values():
        _check_seeds(group)
    names = _names([group[0] for group in groups.values()])
    return [
        Row(name, tuple(sorted(group, key=lambda each: each.seed)))
        for name, group in zip(names, groups.values(), strict=True)
    ]


def _measured(target: str | Path | Run) -> Measured:
    if isinstance(target, Run):
        return at_stage(target)
    path, at, stage = str(target).rpartition(AT)
    with path_faults(f"run {target}", RunError):
        whole = not at or "/" in stage or Path(target).is_dir()
    if whole:
        return at_stage(load_run(target))
    return at_stage(load_run(path), stage)


def at_stage(run: Run, stage: str = "") -> Measured:
    """A run at a stage, by default the last that was evaluated.

    Raises: RunError if it was not evaluated, or not on every split.
    """
    found = [each for each in STAGES if f"evaluate:{each}" in run.done]
    if not found:
        raise RunError(
            f"run {run.path} has no finished evaluation: continue it by "
            f"`rft train --resume {run.path}`"
        )
    if stage and stage not in found:
        raise RunError(f"run {run.path} has no stage {stage!r}: it has {', '.join(found)}")
    last = "grpo" if run.recipe.grpo.enabled else "sft" if run.recipe.sft.enabled else "start"
    if not stage and last not in found:
        raise RunError(
            f"run {run.path} has not ended: continue it by `rft train --resume {run.path}`, or "
            f"compare its last finished stage as {run.path}{AT}{found[-1]}"
        )
    return Measured(run, stage or last)


def _identity(measured: Measured) -> str:
    """What runs of one row share: stage and recipe, but for the seed and how scoring runs."""
    settings = measured.recipe.model_dump(mode="json", exclude=NOT_OF_A_ROW)
    if not measured.depends_on_seed:
        settings = {key: settings[key] for key in ("task", "task_options", "model", "policy")}
    return f"{measured.stage} {settings}"


def _check_seeds(group: Sequence[Measured]) -> None:
    seen: dict[int, Measured] = {}
    for each in group:
        if each.seed in seen and each.depends_on_seed:
            raise RunError(
                f"{seen[each.seed].run.path} and {each.run.path} have the same settings and the "
                f"same seed, {each.seed}: leave one out, or train with another --seed"
            )
        seen[each.seed] = each


def _names(firsts: Sequence[Measured]) -> list[str]:
    """A name for each row: the paradigm; then the model and settings in which rows differ."""
    models = {each.recipe.model for each in firsts}
    names = [
        each.paradigm + (f" {_short(each.recipe.model)}" if len(models) > 1 else "")
        for each in firsts
    ]
    while len(doubled := {name for name in names if names.count(name) > 1}):
        for name in doubled:
            alike = [i for i, other in enumerate(names) if other == name]
            for i, suffix in zip(alike, _told_apart([firsts[i] for i in alike]), strict=True):
                names[i] = f"{name} ({suffix})"
    return names


def _told_apart(alike: Sequence[Measured]) -> list[str]:
    """What distinguishes rows of one paradigm: settings, or else the folders."""
    settings = [_settings(each.recipe) for each in alike]
    differ = [
        key
        for key in sorted({key for each in settings for key in each})
        if len({repr(each.get(key)) for each in settings}) > 1
    ]
    texts = [
        ", ".join(f"{'.'.join(k)}={each.get(k, 'default')}" for k in differ) for each in settings
    ]
    if 0 < len(differ) <= SHOWN and len({*texts}) == len(texts):
        return texts
    return [str(each.run.path) + f"{AT}{each.stage}" for each in alike]


def _settings(recipe: Recipe) -> dict[tuple[str, ...], Any]:
    """The settings of a recipe by path; an empty mapping is as good as none."""
    found = leaves(recipe.model_dump(exclude=NOT_OF_A_ROW))
    return {path: value for path, value in found if value not in ({}, ())}


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2]


def _question(answer: ScoredCompletion) -> Question:
    return answer.id, answer.question, answer.gold
