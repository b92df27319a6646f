"""`rft eval`: options to an evaluation, its table and its files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rftcore import jsontext
from rftcore.errors import RecipeError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rftcore.pipeline.measure import Evaluation

OF_TASKS = ("task", "splits", "prompt", "parser")  # options that mean nothing to a suite


@click.command("eval", short_help="Evaluate a run or a model on a task or a suite.")
@click.argument("run_or_model")
@click.option("--task", help="What to measure on.  [default: the run's own task]")
@click.option("--split", "splits", multiple=True, help="A split; repeat it for several.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--prompt",
    type=click.Choice(["reason", "direct"]),
    default="reason",
    show_default=True,
    help="Prompt for reasoning, as in training, or for the bare answer.",
)
@click.option(
    "--parser",
    type=click.Choice(["strict", "forgiving"]),
    default="strict",
    show_default=True,
    help="Parse answers as in training, or as in the zero-shot row of a run.",
)
@click.option("--suite", help="Measure on an offered suite instead of a task.")
@click.option("--limit", type=click.IntRange(1), help="Samples per measure of the suite.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write every number here.")
@click.option(
    "--answers", type=click.Path(path_type=Path), help="Write every completion here, as JSONL."
)
def evaluate(
    run_or_model: str,
    task: str | None,
    splits: tuple[str, ...],
    settings: tuple[str, ...],
    prompt: str,
    parser: str,
    suite: str | None,
    limit: int | None,
    file: Path | None,
    answers: Path | None,
) -> None:
    """Measure a run's policy, or a model, on splits of a task or on a suite.

    \b
    Example:
      rft eval runs/counting-nano-s0-20260131-235959 --split ood-vehicles
      rft eval nano --task counting --split val --json val.json
      rft eval nano --suite perception --limit 100 --answers answers.jsonl
    """
    from rftcore.pipeline import measure, measure_suite
    from rftcore.plugins import Catalogue

    _check_mixture(suite, limit)
    paths = Paths(file, answers)
    if suite is not None:
        options = measure_suite.suite_options(settings)
        catalogue = Catalogue.load()
        seen = measure_suite.evaluate_on_suite(
            catalogue, run_or_model, suite, options=options, limit=limit, within=_quiet
        )
        _show(seen, paths)
        return
    found = measure.evaluate_splits(
        Catalogue.load(),
        run_or_model,
        task=task,
        splits=splits,
        settings=settings,
        prompt=prompt,
        parser=parser,
        within=_quiet,
    )
    _show(found, paths)
    if found.found.stopped is not None:
        raise found.found.stopped


@dataclass(frozen=True)
class Paths:
    """Where the report and the answers go. Raises: `RecipeError` if they cannot go there."""

    report: Path | None
    answers: Path | None

    def __post_init__(self) -> None:
        for flag, path in (("--json", self.report), ("--answers", self.answers)):
            if path is not None and path.is_dir():
                raise RecipeError(f"{flag} {path}: this is a folder; name a file")
            if path is not None and not path.parent.is_dir():
                raise RecipeError(f"{flag} {path}: there is no folder {path.parent}; make it first")
            if path is not None and not os.access(path if path.exists() else path.parent, os.W_OK):
                raise RecipeError(f"{flag} {path}: it cannot be written to; name another file")
        if self.report is not None and self.report == self.answers:
            raise RecipeError(f"--json and --answers are both {self.report}; name two files")


def _check_mixture(suite: str | None, limit: int | None) -> None:
    """Raise `RecipeError` for options of tasks with a suite, or of suites without one."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    flags = {option.name: option.opts[0] for option in context.command.params}
    given = [flags[name] for name in OF_TASKS if context.get_parameter_source(name) != default]
    if suite is not None and given:
        raise RecipeError(
            "--suite measures the model with questions of its own, not on a task: "
            f"leave out {', '.join(given)}"
        )
    if suite is None and limit is not None:
        raise RecipeError(
            f"--limit {limit} is for --suite; to take fewer samples of a split, "
            f"--set evaluation.samples.SPLIT={limit}"
        )


def _show(found: "Evaluation", paths: Paths) -> None:
    """Print the table and write the files, once."""
    from rftcore.distributed import is_main

    if not is_main():
        return
    files = [str(path or "") for path in (paths.report, paths.answers)]
    click.echo("\n".join((found.table(), *(f"note: {note}" for note in found.notes(*files)))))
    if paths.report:
        _write("--json", paths.report, jsontext.dumps(found.report(*files), indent=2) + "\n")
    if paths.answers:
        _write("--answers", paths.answers, jsontext.lines(each.to_json() for each in found.answers))


def _quiet() -> "AbstractContextManager[None]":
    from rftcore.training.callbacks import quiet_libraries

    return quiet_libraries()


def _write(flag: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{flag} {path}: {error.strerror}") from error
