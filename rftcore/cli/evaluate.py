"""`rft eval`: measure a run or any model, with the prompt and parser that training uses.

Or on a suite, which measures the model itself: then no task, and no recipe, is involved.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rftcore import jsontext
from rftcore.errors import RecipeError

if TYPE_CHECKING:
    from rftcore.config import Layer, Recipe
    from rftcore.evaluation.splits import Answered
    from rftcore.types import SplitScore, Task

SHARED = ("model", "seed", "scoring")  # of a run's recipe: what is not about its task
OF_TASKS = ("task", "splits", "prompt", "parser")  # options that mean nothing to a suite


@click.command("eval")
@click.argument("run_or_model")
@click.option("--task", help="What to measure on.  [default: the run's own task]")
@click.option("--split", "splits", multiple=True, help="A split; repeat it for several.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--prompt",
    type=click.Choice(["reason", "direct"]),
    default="reason",
    show_default=True,
    help="Ask for reasoning as in training, or for the bare answer.",
)
@click.option(
    "--parser",
    type=click.Choice(["strict", "forgiving"]),
    default="strict",
    show_default=True,
    help="How answers are read: as in training, or as in the zero-shot row of a run.",
)
@click.option("--suite", help="Measure on an offered suite instead of a task.")
@click.option(
    "--limit", type=click.IntRange(1), help="Take so many samples of each of its measures."
)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write every number here.")
@click.option(
    "--answers", type=click.Path(path_type=Path), help="Write what the model said here, as JSONL."
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
      rft eval nano --suite perception --limit 100 --answers said.jsonl
    """
    _refuse_mixture(suite, limit)
    paths = Paths(file, answers)
    if suite is None:
        _evaluate_splits(run_or_model, task, splits, settings, prompt, parser, paths)
    else:
        _evaluate_suite(run_or_model, suite, _suite_options(settings), limit, paths)


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


def _refuse_mixture(suite: str | None, limit: int | None) -> None:
    """Refuse options of tasks with a suite, and of suites without one. Raises `RecipeError`."""
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


def _evaluate_splits(
    run_or_model: str,
    task: str | None,
    splits: Sequence[str],
    settings: Sequence[str],
    prompt: str,
    parser: str,
    paths: Paths,
) -> None:
    from rftcore.config import check_splits, evaluated_splits, load_recipe, model_defaults
    from rftcore.datasets.slices import dataset_of
    from rftcore.plugins import Catalogue

    own, options = _own(run_or_model, task), _options(run_or_model, task, splits)
    catalogue = Catalogue.load()
    named = load_recipe(*own, *options, overrides=settings)
    chosen = catalogue.task_of(named)
    trained = _policy(run_or_model)
    same_task = any("task" in layer for _, layer in own)  # then the run has settled everything
    if not same_task:
        model = model_defaults(trained or catalogue.model(named.model))
        own = [*model, *own, catalogue.defaults_of(named.task, chosen)]
    recipe = load_recipe(*own, *options, overrides=settings)
    offered = dataset_of(chosen).splits
    check_splits(recipe, offered)
    measured = evaluated_splits(recipe, offered)
    if not measured:
        raise RecipeError(
            f"there is no split to measure on: name one with --split. "
            f"The task has {', '.join(offered)}"
        )
    source = trained or catalogue.model(recipe.model)
    found = _measure(source, chosen, recipe, measured, prompt, parser)
    if same_task:
        found = replace(found, changed=_changed(run_or_model, found.data, recipe))
    _tell(found, recipe, str(source), str(trained or recipe.model), paths)
    if found.stopped is not None:
        raise found.stopped


def _own(target: str, task: str | None) -> "list[Layer]":
    """The run's own recipe, as far as it fits the task; nothing if `target` is no run.

    Which splits to measure on, on how many samples, and how long an answer may be is about
    the run's own task alone.
    """
    from rftcore.config import read_recipe_file
    from rftcore.runs import RECIPE, RunFolder

    if not _is_run(target):
        return []
    own = read_recipe_file(RunFolder(target).recipe_file)
    if task in (None, own["task"]):
        return [(f"{target}/{RECIPE}", own)]
    kept = {key: own[key] for key in SHARED if key in own}
    kept["evaluation"] = {"batch_size": own["evaluation"]["batch_size"]}
    return [(f"{target}/{RECIPE}", kept)]


def _options(target: str, task: str | None, splits: Sequence[str]) -> "list[Layer]":
    """What the command line says, without --set."""
    # training is over: the splits that it needs are not asked for
    layers: list[Layer] = [("eval", {"sft": {"enabled": False}, "grpo": {"enabled": False}})]
    if not _is_run(target):
        layers.append(("RUN_OR_MODEL", {"model": target}))
    if task:
        layers.append(("--task", {"task": task}))
    if splits:
        layers.append(("--split", {"evaluation": {"splits": list(splits)}}))
    return layers


def _is_run(target: str) -> bool:
    from rftcore.runs import MANIFEST

    return (Path(target) / MANIFEST).is_file()


def _policy(target: str) -> Path | None:
    """A run's newest policy; None if it has none yet, or `target` is no run."""
    from rftcore.runs import RunFolder

    if not _is_run(target):
        return None
    return RunFolder.open(target).newest_policy()


@dataclass(frozen=True)
class Found:
    """What was measured, and the reward calls that failed: their fields and the split."""

    splits: "Sequence[tuple[SplitScore, Sequence[Answered]]]"
    failures: Sequence[Mapping[str, Any]] = ()
    data: Mapping[str, str] = field(default_factory=dict)  # a fingerprint per split
    changed: Sequence[str] = ()  # splits whose data is not what the run measured on
    missing: Sequence[str] = ()  # splits that were not measured, because `stopped` came first
    stopped: BaseException | None = None


def _measure(
    source: Path | str,
    task: "Task",
    recipe: "Recipe",
    splits: Sequence[str],
    prompt: str,
    parser: str,
) -> Found:
    from rftcore.evaluation.splits import evaluate_split, prompt_of
    from rftcore.models.loading import load_model
    from rftcore.scoring import Failure, Scorer
    from rftcore.training.callbacks import hush

    prompt_of(task, prompt)  # refuses before a model loads, as does the scorer
    settings = recipe.evaluation
    found: list[tuple[SplitScore, list[Answered]]] = []
    failures, at = [], ""
    stopped: BaseException | None = None

    def record(failure: Failure) -> None:
        failures.append({"split": at, **asdict(failure)})

    with Scorer.of(task, recipe, record, forgiving=parser == "forgiving") as scorer:
        hush()
        policy = load_model(source)
        for at in splits:
            try:
                one = evaluate_split(
                    policy,
                    task,
                    at,
                    scorer=scorer,
                    limit=settings.samples.get(at),
                    prompt=prompt,
                    batch_size=settings.batch_size,
                    max_new_tokens=settings.max_new_tokens,
                )
            except (Exception, KeyboardInterrupt) as error:
                if not found:
                    raise
                stopped = error  # what is measured is reported first
                break
            found.append(one)
    done, missing = splits[: len(found)], splits[len(found) :]
    data = _fingerprints(task, recipe, done)
    return Found(found, failures, data, missing=missing, stopped=stopped)


def _fingerprints(task: "Task", recipe: "Recipe", splits: Sequence[str]) -> dict[str, str]:
    """What was measured on, as a run's manifest has it; empty but in the main process."""
    from rftcore.datasets.content import fingerprint
    from rftcore.datasets.slices import take
    from rftcore.distributed import is_main

    samples = recipe.evaluation.samples
    measured = splits if is_main() else ()
    return {split: fingerprint(take(task, split, samples.get(split))) for split in measured}


def _tell(found: Found, recipe: "Recipe", source: str, label: str, paths: Paths) -> None:
    from rftcore.evaluation.tables import asked_as, score_table

    scores = [score for score, _ in found.splits]
    notes = list(_notes(found, recipe.evaluation.max_new_tokens, label, paths))
    report = {
        "model": source,
        "task": recipe.task,
        "recipe": recipe.model_dump(mode="json"),
        "scores": [asdict(score) for score in scores],
        "data": found.data,
        "failures": found.failures,
        "notes": notes,
    }
    said = [(score.split, each) for score, answered in found.splits for each in answered]
    answers = [{"split": split, **each.record()} for split, each in said]
    table = "\n".join(
        (score_table([(asked_as(label, scores), scores)]), *(f"note: {note}" for note in notes))
    )
    _say(table, report, answers, paths)


def _changed(run: str, data: Mapping[str, str], recipe: "Recipe") -> list[str]:
    """The splits that were as many samples when the run began, and other ones."""
    from rftcore.config import read_recipe_file
    from rftcore.runs import RunFolder

    folder = RunFolder.open(run)
    began = folder.manifest().get("data", {})
    then = read_recipe_file(folder.recipe_file)["evaluation"]["samples"]
    now = recipe.evaluation.samples
    return [
        split
        for split, found in data.items()
        if split in began and now.get(split) == then.get(split) and found != began[split]
    ]


def _notes(found: Found, most_tokens: int, label: str, paths: Paths) -> Iterator[str]:
    from rftcore.evaluation.notes import Measured, failure_note, score_notes

    def reason(measured: Measured) -> str:
        answered = next(said for score, said in found.splits if score is measured.score)
        return next((str(r) for each in answered if (r := each.score.parsed.error)), "none")

    yield from score_notes({label: [score for score, _ in found.splits]}, most_tokens, reason)
    if found.missing:
        yield f"not measured, because the evaluation stopped: {', '.join(found.missing)}"
    if found.changed:
        yield (
            f"the data of {', '.join(found.changed)} is not what the run began with: these "
            "accuracies cannot be compared with the run's own"
        )
    if found.failures:
        kept_in = str(paths.report or "--json FILE keeps them with their tracebacks")
        yield failure_note(found.failures, kept_in, all_kept=True)


def _say(
    table: str, report: Mapping[str, Any], answers: Sequence[Mapping[str, Any]], paths: Paths
) -> None:
    """Print the table and write the files, once."""
    from rftcore.distributed import is_main
    from rftcore.rescore.stored import write_rows

    if not is_main():
        return
    click.echo(table)
    if paths.report:
        _write("--json", paths.report, jsontext.dumps(report, indent=2) + "\n")
    if paths.answers:
        _write("--answers", paths.answers, write_rows(answers))


def _write(flag: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{flag} {path}: {error.strerror}") from error


# --- suites ------------------------------------------------------------------


def _suite_options(settings: Sequence[str]) -> dict[str, Any]:
    """What --set says about the suite's factory. Raises `RecipeError` for anything else."""
    from rftcore.config import parse_override

    options: dict[str, Any] = {}
    for origin, layer in map(parse_override, settings):
        given = layer.get("suite_options")
        if not isinstance(given, Mapping):
            raise RecipeError(
                f"{origin}: no recipe is involved in measuring a suite; it has only options of "
                "its own: --set suite_options.NAME=VALUE"
            )
        options |= given
    return options


def _evaluate_suite(
    target: str, name: str, options: Mapping[str, Any], limit: int | None, paths: Paths
) -> None:
    from rftcore import prompts
    from rftcore.distributed import main_first
    from rftcore.evaluation.suites import evaluate_suite, fingerprints, measures_of
    from rftcore.evaluation.tables import suite_table
    from rftcore.models.loading import load_model
    from rftcore.models.policy import pixel_budget
    from rftcore.models.processor_check import ProcessorCheck
    from rftcore.plugins import Catalogue
    from rftcore.runs import provenance
    from rftcore.training.callbacks import hush

    catalogue = Catalogue.load()
    suite = catalogue.suite(name, options, origin=_set_by)
    with main_first():  # a model such as toy is made when it is first asked for
        trained = _policy(target)
        source = trained or catalogue.model(_model_of(target))
    measures = measures_of(suite, limit)
    check = ProcessorCheck(source, prompts.direct())
    for measure in measures.values():
        for sample in measure.samples:
            check.refuse_special(sample)
    hush()
    policy = load_model(source)
    score, said = evaluate_suite(policy, suite, measures)
    about = {
        "model": str(source),
        "suite": catalogue.find("suite", name).qualified,
        "suite_options": options,
        "limit": limit,
        "data": fingerprints(measures),
        "pixel_budget": pixel_budget(policy),
        **provenance(catalogue.distributions()),
    }
    report = {**asdict(score)["measures"], "blind": asdict(score)["blind"], "about": about}
    label = trained or _model_of(target)  # as the user wrote it; the report says where it lies
    title = f"{label}: {suite.summary or suite.name}"
    lines = [title, suite_table(score)]
    if failed := [each.failure for each in said if each.failure]:
        where = f": {paths.answers}" if paths.answers else ""
        number = f"{len(failed)} answer{'s' * (len(failed) != 1)}"
        lines.append(f"note: {number} could not be scored{where}; first: {failed[0]}")
    _say("\n".join(lines), report, [each.record() for each in said], paths)


def _model_of(target: str) -> str:
    """The name of the model that a run began with, or `target` itself."""
    from rftcore.config import read_recipe_file
    from rftcore.runs import RunFolder

    if not _is_run(target):
        return target
    return str(read_recipe_file(RunFolder(target).recipe_file)["model"])


def _set_by(*path: str) -> str:
    return f"--set {'.'.join(path)}"
