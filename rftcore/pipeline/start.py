"""Start a run: a new one, a fork or a resumed one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.config import DEFAULT, Layer, differences, dump_recipe, load_recipe, read_recipe_file
from rftcore.distributed import all_gather, is_main
from rftcore.errors import RecipeError, RftError, RunError
from rftcore.pipeline.forks import Fork
from rftcore.pipeline.job import Job
from rftcore.pipeline.plan import Plan, Request, Settings, recipe_layer, setting_layers
from rftcore.plugins import Catalogue
from rftcore.runs import MANIFEST, RunFolder, changed_versions, default_run_dir, manifest, now

if TYPE_CHECKING:
    from rftcore.evaluation.tables import Summary

logger = logging.getLogger(__name__)


def prepare(
    catalogue: Catalogue,
    *,
    task: str | None = None,
    model: str | None = None,
    paradigm: str | None = None,
    recipe: str | Path | Mapping[str, Any] | None = None,
    settings: Settings = (),
    out: str | Path | None = None,
    seed: int | None = None,
    smoke: bool = False,
    resume: str | Path | None = None,
    fork: str | Path | None = None,
    chosen: Callable[[Path], object] = lambda folder: None,
) -> Job:
    """A run that is ready to start or continue: its plan is checked and its folder exists, locked.

    chosen: called with the folder of a new run, before it is made.
    Raises: RecipeError for settings, UnknownNameError for names, RunError for a folder; then no
    folder was made.
    """
    given = {"task": task, "model": model, "paradigm": paradigm, "seed": seed}
    options = [(f"--{name}", {name: value}) for name, value in given.items() if value is not None]
    if resume is not None and (recipe or out or smoke or fork):
        raise RecipeError(
            "--resume keeps the run's settings: leave out --recipe, --out, --smoke, --fork"
        )
    if fork is not None and smoke:
        raise RecipeError("--fork keeps the settings of its run: leave out --smoke")
    request = Request(recipe_layer(recipe), options, setting_layers(settings), smoke)
    folder = None if out is None else Path(out)
    if resume is not None:
        return _resumed(catalogue, Path(resume), request)
    if fork is not None:
        plan, taken = _forked(catalogue, Path(fork), request)
        smoke = bool(taken.parent.manifest().get("smoke"))
    else:
        plan, taken = request.plan(catalogue).located(), None
    folder = _folder(plan, folder, smoke=smoke)
    chosen(folder)
    return Job(plan, _create(plan, folder, smoke=smoke, fork=taken), fork=taken)


def work(job: Job) -> Summary:
    """Run every phase that is not done yet, with the folder locked; return the table.

    If an error ends it before the first phase has ended, a new run's folder is removed, so that
    a corrected start finds it free.
    """
    from rftcore.pipeline.loop import train

    with job.run:
        try:
            return train(job)
        except Exception as error:
            if not isinstance(error, RftError):  # a library whose file is gone raises anything
                job.run.check_there()
            job.run.discard_unstarted()
            raise
        finally:
            if "tracking" in vars(job):
                job.tracking.close()


def _folder(plan: Plan, out: Path | None, *, smoke: bool) -> Path:
    """The folder of a new run: `out`, or one named after the recipe and the time."""
    if out is not None:
        return out
    recipe = plan.recipe
    named = "" if recipe.paradigm == DEFAULT else recipe.paradigm
    folder = default_run_dir(recipe.task, recipe.model, recipe.seed, paradigm=named, smoke=smoke)
    return all_gather(folder)[0]  # its name has the time, which differs between ranks


def _create(plan: Plan, folder: Path, *, smoke: bool, fork: Fork | None) -> RunFolder:
    recipe = plan.recipe
    facts = manifest(
        recipe.model_dump(mode="json"),
        plugins=plan.catalogue.distributions(),
        model=str(plan.model),
        paradigm=recipe.paradigm,
        smoke=smoke,
    )
    if fork is None:
        return RunFolder.create(folder, facts, dump_recipe(recipe))
    return RunFolder.create(folder, {**facts, **fork.facts()}, dump_recipe(recipe), fork.fill)


def _forked(catalogue: Catalogue, folder: Path, request: Request) -> tuple[Plan, Fork]:
    """The recipe of another run, changed, and what that one has finished."""
    parent = RunFolder.open(folder)
    own = _own_recipe(parent)
    changes: Sequence[Layer] = [*([request.file] if request.file else []), *request.options]
    recipe = catalogue.located(load_recipe(own, *changes, *request.settings))
    fork = Fork(parent, load_recipe(own), recipe)
    model = catalogue.model(recipe.model, recipe.origin("model"))
    return Plan.of(recipe, catalogue.task_of(recipe), model, catalogue), fork


def _resumed(catalogue: Catalogue, folder: Path, request: Request) -> Job:
    """The run with its own recipe. A setting may be repeated, not changed."""
    run = RunFolder.resume(folder)
    own = _own_recipe(run)
    recipe = load_recipe(own)
    requested = catalogue.located(load_recipe(own, *request.options, *request.settings))
    if changed := differences(catalogue.located(recipe), requested):
        raise RecipeError(
            f"--resume cannot change {', '.join(changed)}: {folder} began with other values. "
            "Leave the change out, or start a new run."
        )
    began = run.manifest()
    moved = changed_versions(began, catalogue.distributions())
    if moved and is_main():
        logger.warning(
            "other versions than the run began with (%s): "
            "the results may differ from those of an uninterrupted run",
            "; ".join(moved),
        )
    session = {"at": now(), "changed_versions": moved}
    run.record(resumed=[*began.get("resumed", []), session])
    model = catalogue.model(recipe.model, recipe.origin("model"))
    plan = Plan.of(recipe, catalogue.task_of(recipe), model, catalogue)
    return Job(plan, run)


def _own_recipe(run: RunFolder) -> Layer:
    """A run's recipe. Raises `RunError` if it was edited: what is finished was not made so."""
    own = (str(run.recipe_file), read_recipe_file(run.recipe_file))
    began = run.manifest().get("recipe")
    if began and (edited := differences(load_recipe((MANIFEST, began)), load_recipe(own))):
        raise RunError(
            f"{own[0]} is not the recipe that {run.path} began with (recipe in its {MANIFEST}): "
            f"{', '.join(edited)} was edited. Set it back, and change settings in a new run, by "
            "--fork with --set, or by --recipe"
        )
    return own
