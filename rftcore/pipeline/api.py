"""rft from Python: train, evaluate, and read the results of a run.

The command line calls the same functions. As a library, rft prints bars and nothing else, logs
to the logger `rftcore`, installs no signal handler and never exits: what a user can fix is an
`RftError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rftcore.arguments import checked, names
from rftcore.errors import RecipeError
from rftcore.pipeline import measure_splits, measure_suite
from rftcore.pipeline.measure import Evaluation
from rftcore.pipeline.plan import Settings
from rftcore.pipeline.results import Run, load_run
from rftcore.pipeline.splits_evaluation import SplitsEvaluation
from rftcore.pipeline.start import prepare, work
from rftcore.plugins import Catalogue
from rftcore.progress import no_bars
from rftcore.reports import MAX_MB, find_runs, write_report
from rftcore.types import Task

__all__ = ["Run", "evaluate", "load_run", "report", "train"]

AnyTask = str | Task | Callable[..., Task]


@checked
def train(
    task: AnyTask | None = None,
    *,
    model: str | Path | None = None,
    paradigm: str | None = None,
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
    arguments are `task_options`. paradigm: "zero-shot", "ans-sft", "cot-sft", "reason-rft-zero"
    or "reason-rft" (the default). recipe: a file, or a mapping. set: single settings, as
    `["grpo.group_size=8"]` or `{"grpo.group_size": 8}`. The rest is as in `rft train`.

    Returns: the finished run.
    Raises: `RftError` for whatever a user can fix. If a run had begun, a note has the call that
    continues it; a KeyboardInterrupt has that note too.
    """
    catalogue = Catalogue.load()
    with shown(bars=progress):  # a model may be made on first use
        job = prepare(
            catalogue,
            task=named(catalogue, task),
            model=None if model is None else str(model),
            paradigm=paradigm,
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
        with shown(bars=progress):
            work(job)
    except BaseException as error:
        if job.run.path.exists():
            again = ", task=..." if task is not None and not isinstance(task, str) else ""
            error.add_note(f"rft.train(resume={str(job.run.path)!r}{again}) continues the run")
        raise
    return load_run(job.run.path)


@checked
def evaluate(
    run_or_model: str | Path | Run,
    *,
    task: AnyTask | None = None,
    splits: Sequence[str] | None = None,
    set: Settings = (),  # noqa: A002
    prompt: str | None = None,
    parser: str = "strict",
    suite: str | None = None,
    limit: int | None = None,
    progress: bool = True,
) -> Evaluation:
    """Measure a run's newest policy, or a model, as `rft eval` does.

    task: as in `train`; by default the run's own. splits: by default `val`, `test` and every
    `ood-...`. prompt: "reason" or "direct"; by default as the run was trained. parser: "strict"
    or "forgiving". suite: measure on an offered suite in place of a task, on `limit` samples of
    each of its measures.

    Returns: `scores` (mappings), `answers` (`rftcore.completions.ScoredCompletion`), `table()`,
        `notes()` and `report()`.
    Raises: `RftError` for whatever a user can fix. If an error, or a KeyboardInterrupt, ends the
        evaluation after a split, its attribute `evaluation` is what this function would return
        for the splits before.
    """
    catalogue = Catalogue.load()
    within = partial(shown, bars=progress)
    target = str(run_or_model.path if isinstance(run_or_model, Run) else run_or_model)
    if suite is not None:
        if task is not None or splits is not None or prompt is not None or parser != "strict":
            raise RecipeError("a suite is not a task: leave out task, splits, prompt and parser")
        if limit is not None and limit < 1:
            raise RecipeError(f"limit={limit}: use 1 or more")
        options = measure_suite.suite_options(set)
        return measure_suite.evaluate_on_suite(
            catalogue,
            target,
            suite,
            options=options,
            limit=limit,
            progress=progress,
            within=within,
        )
    if limit is not None:
        raise RecipeError("limit is for a suite; for a split set evaluation.samples.SPLIT")
    found = measure_splits.evaluate_splits(
        catalogue,
        target,
        task=named(catalogue, task),
        splits=names("splits", splits),
        settings=set,
        prompt=prompt,
        parser=parser,
        progress=progress,
        within=within,
    )
    if found.error is not None:
        raise _with(found.error, found)
    return found


@checked
def report(
    *runs: str | Path | Run,
    out: str | Path | None = None,
    max_mb: float = MAX_MB,
    progress: bool = True,
) -> Path:
    """Write runs as one HTML page, as `rft report` does.

    runs: runs, their folders, or folders that contain runs. out: the file; by default
    `report.html` in the folder of a single run. max_mb: most megabytes of answers and images.

    Returns: the path of the page.
    Raises: RunError for a folder without runs, or a page that cannot be written.
    """
    folders = find_runs(run.path if isinstance(run, Run) else run for run in runs)
    with shown(bars=progress):
        written = write_report(folders, Catalogue.load(), out=out, max_mb=max_mb, progress=progress)
    return written.path


def _with(error: BaseException, found: SplitsEvaluation) -> BaseException:
    """The error that ended an evaluation, with the splits that were finished before."""
    vars(error)["evaluation"] = found  # an attribute that no exception class declares
    done = ", ".join(score["split"] for score in found.scores)
    error.add_note(f"measured before it: {done}; the attribute `evaluation` has the results")
    return error


@contextmanager
def shown(*, bars: bool) -> Iterator[None]:
    """Show progress within the block, or no bar at all: neither of rft nor of libraries."""
    if bars:
        yield
        return
    from rftcore.training.library_logs import without_bars

    with no_bars(), without_bars():
        yield


def named(catalogue: Catalogue, task: AnyTask | None) -> str | None:
    """The name by which a recipe reaches a task; an object is offered to this call alone."""
    if task is None or isinstance(task, str):
        return task
    if isinstance(task, Task):
        made = task
        return catalogue.offer_task(_plain(task.name), lambda: made)
    return catalogue.offer_task(_plain(getattr(task, "__name__", "task")), task)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "task"
