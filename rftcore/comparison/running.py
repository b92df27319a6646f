"""Make the runs that a comparison lacks, each in its folder; take those that exist.

A run that was killed is continued, and a policy of SFT that another row of the same seed has
made with the same settings is taken over, as a fork does.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rftcore import jsontext
from rftcore.comparison.wanted import RowSpec, Wanted
from rftcore.config import Layer, Recipe, differences
from rftcore.errors import RftError, RunError
from rftcore.pipeline.forks import shares_sft
from rftcore.pipeline.job import Job
from rftcore.pipeline.plan import Plan, Request, Settings, recipe_layer, setting_layers
from rftcore.pipeline.results import Run, load_run
from rftcore.pipeline.start import prepare, work
from rftcore.plugins import Catalogue
from rftcore.runs import is_run
from rftcore.signals import StopRequest
from rftcore.splits import PHASE_SPLITS

logger = logging.getLogger(__name__)

RUNS = "runs"  # in the folder of a comparison

Work = Callable[[Job], object]


@dataclass
class Runs:
    """The runs of a comparison. settings, recipe, ...: of every run, as for `prepare`."""

    folder: Path
    catalogue: Catalogue
    task: str | None = None
    model: str | None = None
    recipe: str | Path | Mapping[str, Any] | None = None
    settings: Settings = ()
    smoke: bool = False
    progress: bool = True
    stop: StopRequest = field(default_factory=StopRequest)
    work: Work = work
    report: Callable[[str], None] = logger.info

    def plan(self, wanted: Wanted) -> Plan:
        """What a run would do. Raises: RecipeError for its settings, before anything is made."""
        return self._request(wanted).plan(self.catalogue).located()

    def sizes(self, specs: Sequence[RowSpec]) -> dict[str, dict[str, int]]:
        """By row, the number of samples that each phase trains on."""
        return {spec.name: _sizes(self.plan(Wanted(spec, 0))) for spec in specs}

    def check(self, every: Sequence[Wanted]) -> None:
        """Check all runs before the first is made.

        Raises: RecipeError for settings; RunError for a run that exists with other settings.
        """
        from rftcore.training.settings_check import check_settings, check_steps

        checked: set[str] = set()
        for wanted in every:
            plan = self.plan(wanted)
            if is_run(self._path(wanted)):
                self._check_recipe(load_run(self._path(wanted)), plan.recipe)
            elif wanted.seed == every[0].seed:  # no seed changes whether settings are right
                check_steps(plan.recipe, _sizes(plan))
                sections = {f"{phase} {getattr(plan.recipe, phase)}" for phase in _sizes(plan)}
                if sections - checked:  # it takes seconds
                    check_settings(plan.recipe)
                checked |= sections

    def make(self, every: Sequence[Wanted]) -> dict[str, str]:
        """Make or finish every run; the message of each that failed, by its folder's name."""
        failed: dict[str, str] = {}
        for number, wanted in enumerate(every, 1):
            at = f"{wanted.folder} ({number} of {len(every)})"
            if self._ended(wanted):
                self.report(f"{at}: exists")
                continue
            try:
                job = self._job(wanted, every, at)
                job.stop, job.progress = self.stop, self.progress
                self.work(job)
            except RftError as error:
                logger.error("%s failed: %s", wanted.folder, error)
                failed[wanted.folder] = error.headline
            self.stop.check()
        return failed

    def run(self, wanted: Wanted) -> Run | None:
        """A finished run; None if it has not ended."""
        return load_run(self._path(wanted)) if self._ended(wanted) else None

    def _path(self, wanted: Wanted) -> Path:
        return self.folder / RUNS / wanted.folder

    def _ended(self, wanted: Wanted) -> bool:
        path = self._path(wanted)
        return is_run(path) and load_run(path).ended

    def _request(self, wanted: Wanted) -> Request:
        given = {"task": self.task, "model": self.model, "seed": wanted.seed}
        options: list[Layer] = [
            (f"--{name}", {name: value}) for name, value in given.items() if value is not None
        ]
        return Request(
            recipe_layer(self.recipe), options, setting_layers(self._all(wanted)), self.smoke
        )

    def _all(self, wanted: Wanted) -> Settings:
        """The comparison's settings, then the user's, then the row's: the last one holds."""
        own = [f"{name}={_yaml(value)}" for name, value in wanted.settings.items()]
        users = self.settings
        if isinstance(users, Mapping):
            users = [f"{name}={_yaml(value)}" for name, value in users.items()]
        return [*own, *([users] if isinstance(users, str) else users), *wanted.row.settings]

    def _job(self, wanted: Wanted, every: Sequence[Wanted], at: str) -> Job:
        """A run that is ready to start or continue."""
        path = self._path(wanted)
        if is_run(path):
            self.report(f"{at}: continued")
            return prepare(self.catalogue, resume=path)
        if path.exists():  # of a process that was killed before the folder was a run
            shutil.rmtree(path)
        recipe = self.plan(wanted).recipe
        if parent := self._parent(wanted, every, recipe):
            self.report(f"{at}: reuses the SFT of {parent.name}")
            whole = recipe.model_dump(mode="json")
            return prepare(self.catalogue, fork=parent, recipe=whole, out=path)
        self.report(f"{at}: started")
        return prepare(
            self.catalogue,
            task=self.task,
            model=self.model,
            recipe=self.recipe,
            settings=self._all(wanted),
            out=path,
            seed=wanted.seed,
            smoke=self.smoke,
        )

    def _parent(self, wanted: Wanted, every: Sequence[Wanted], recipe: Recipe) -> Path | None:
        """The run of another row whose policy of SFT this one would have; None without one."""
        for other in every:
            path = self._path(other)
            if other is wanted or other.seed != wanted.seed or not is_run(path):
                continue
            run = load_run(path)
            if "sft" in run.done and shares_sft(run.recipe, recipe):
                return path
        return None

    def _check_recipe(self, run: Run, recipe: Recipe) -> None:
        if changed := differences(self.catalogue.located(run.recipe), recipe):
            raise RunError(
                f"{run.path} was made with other settings: {', '.join(changed)}. Set them as they "
                f"were (its recipe), delete {run.path}, or choose another --out"
            )


def _sizes(plan: Plan) -> dict[str, int]:
    return {phase: len(plan.part(phase)) for phase in PHASE_SPLITS if plan.enabled(phase)}


def _yaml(value: object) -> str:
    """A value as the text after `--set KEY=`: JSON is YAML."""
    return jsontext.dumps(value)
