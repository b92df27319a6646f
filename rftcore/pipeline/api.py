"""rft from Python: train, evaluate, and read the results of a run.

The command line calls the same functions. As a library, rft prints bars and nothing else, logs
to the logger `rftcore`, installs no signal handler and never exits: what a user can fix is an
`RftError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rftcore.errors import RecipeError
from rftcore.pipeline import measure, measure_suite
from rftcore.pipeline.plan import Settings
from rftcore.pipeline.results import Run, load_run
from rftcore.pipeline.start import prepare, work
from rftcore.plugins import Catalogue
from rftcore.types import Task

__all__ = ["Run", "evaluate", "load_run", "train"]

AnyTask = str | Task | Callable[..., Task]


def train(
    task: AnyTask | None = None,
    *,
    model: str | Path | None = None,
    recipe: str | Path | Mapping[str, Any] | None = None,
    set: Settings = (),  # noqa: A002  as the option --set
    out: str | Path | None = None,
    seed: int | None = None,
    smoke: bool = False,
    resume: str | Path | Run | None = None,
    fork: str | Path | Run | None = None,
    progress: bool = True,
) -> Run:
    """Train a policy on a task as `rft train` does: SFT, then GRPO, evaluated between.

    task: an offered name, "./file.py:factory", a task, or a function that returns one, whose
    arguments are `task_options`. recipe: a file, or a mapping. set: single settings, as
    `["grpo.group_size=8"]` or `{"grpo.group_size": 8}`. The rest is as in `rft train`.

    Returns: the finished run.
    Raises: `RftError` for whatever a user can fix. If a run had begun, a note has the call that
    continues it; a KeyboardInterrupt has that note too.
    """
    catalogue = Catalogue.load()
    job = prepare(
        catalogue,
        task=_named(catalogue, task),
        model=None if model is None else str(model),
        recipe=recipe,
        settings=set,
        out=out,
        seed=seed,
        smoke=smoke,
        resume=resume.path if isinstance(resume, Run) else resume,
        fork=fork.path if isinstance(fork, Run) else fork,
    )
    job.progress = progress
    try:
        work(job)
    except BaseException as error:
        if job.run.path.exists():
            again = ", task=..." if task is not None and not isinstance(task, str) else ""
            error.add_note(f"rft.train(resume={str(job.run.path)!r}{again}) continues the run")
        raise
    return load_run(job.run.path)


def evaluate(
    run_or_model: str | Path | Run,
    *,
    task: AnyTask | None = None,
    splits: Sequence[str] = (),
    set: Settings = (),  # noqa: A002
    prompt: str = "reason",
    parser: str = "strict",
    suite: str | None = None,
    limit: int | None = None,
    progress: bool = True,
) -> measure.Evaluation:
    """Measure a run's newest policy, or a model, as `rft eval` does.

    task: as in `train`; by default the run's own. splits: by default `val`, `test` and every
    `ood-...`. prompt: "reason" or "direct". parser: "strict" or "forgiving". suite: measure on
    an offered suite in place of a task, on `limit` samples of each of its measures.

    Returns: `scores` (mappings), `answers` (`rftcore.completions.ScoredCompletion`), `table()`,
        `notes()` and `report()`.
    Raises: `RftError` for whatever a user can fix.
    """
    catalogue = Catalogue.load()
    target = str(run_or_model.path if isinstance(run_or_model, Run) else run_or_model)
    if suite is not None:
        if task is not None or splits or prompt != "reason" or parser != "strict":
            raise RecipeError("a suite is not a task: leave out task, splits, prompt and parser")
        if limit is not None and limit < 1:
            raise RecipeError(f"limit={limit}: use 1 or more")
        options = measure_suite.suite_options(set)
        return measure_suite.evaluate_on_suite(
            catalogue, target, suite, options=options, limit=limit, progress=progress
        )
    if limit is not None:
        raise RecipeError("limit is for a suite; for a split set evaluation.samples.SPLIT")
    found = measure.evaluate_splits(
        catalogue,
        target,
        task=_named(catalogue, task),
        splits=[splits] if isinstance(splits, str) else splits,
        settings=set,
        prompt=prompt,
        parser=parser,
        progress=progress,
    )
    if found.found.stopped is not None:
        raise found.found.stopped
    return found


def _named(catalogue: Catalogue, task: AnyTask | None) -> str | None:
    """The name by which a recipe reaches a task; an object is offered to this call alone."""
    if task is None or isinstance(task, str):
        return task
    if isinstance(task, Task):
        made = task
        return catalogue.offer_task(_plain(task.name), lambda: made)
    if not callable(task):
        raise RecipeError(f"task={task!r}: give a name, a Task or a function that returns one")
    return catalogue.offer_task(_plain(getattr(task, "__name__", "task")), task)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "task"
