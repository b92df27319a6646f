"""`rft eval`: options to an evaluation, its table and its files."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rftcore import jsontext
from rftcore.errors import RecipeError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rftcore.models.endpoint import Settings
    from rftcore.models.vllm import EngineSettings
    from rftcore.pipeline.measure import Evaluation

# options that mean nothing to a suite
OF_TASKS = ("task", "splits", "prompt", "parser", "drawn", "backend", "engine", "responses")


@click.command("eval", short_help="Evaluate a run or a model on a task or a suite.")
@click.argument("run_or_model")
@click.option("--task", help="What to measure on.  [default: the run's own task]")
@click.option("--split", "splits", multiple=True, help="A split; repeat it for several.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--prompt",
    type=click.Choice(["reason", "direct"]),
    help="Prompt for reasoning, or for the bare answer.  [default: as the run was trained]",
)
@click.option(
    "--parser",
    type=click.Choice(["strict", "forgiving"]),
    default="strict",
    show_default=True,
    help="Parse answers as in training, or as in the zero-shot row of a run.",
)
@click.option(
    "--samples-per-question",
    "drawn",
    type=click.IntRange(1),
    help="Also draw this many completions per question: mean accuracy, pass@k, majority vote.",
)
@click.option(
    "--backend",
    type=click.Choice(["transformers", "vllm", "openai"]),
    default="transformers",
    show_default=True,
    help="Load the model here, in vLLM here, or ask an OpenAI-compatible endpoint for it.",
)
@click.option(
    "--engine", multiple=True, metavar="KEY=VALUE", help="An argument of vllm.LLM, for vllm."
)
@click.option("--url", envvar="OPENAI_BASE_URL", help="The endpoint, up to /v1.")
@click.option(
    "--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Requests at once."
)
@click.option(
    "--responses",
    type=click.Path(path_type=Path),
    help="Keep each response of the endpoint here; a repeated call asks only for the others.",
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
    prompt: str | None,
    parser: str,
    drawn: int | None,
    backend: str,
    engine: tuple[str, ...],
    url: str | None,
    concurrency: int,
    responses: Path | None,
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
      rft eval gpt-4o --backend openai --task counting --split test --responses r.jsonl
      rft eval RUN --backend vllm --engine max_model_len=8192 --split test
      rft eval nano --suite perception --limit 100 --answers answers.jsonl
    """
    from rftcore.pipeline import measure_splits, measure_suite
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
    if drawn is not None:
        settings = (*settings, f"evaluation.sampled={drawn}")
    found = measure_splits.evaluate_splits(
        Catalogue.load(),
        run_or_model,
        task=task,
        splits=splits,
        settings=settings,
        prompt=prompt,
        parser=parser,
        endpoint=_endpoint(backend, url, concurrency, responses),
        engine=_engine(backend, engine),
        within=_quiet,
    )
    _show(found, paths)
    if found.error is not None:
        raise found.error


def _endpoint(
    backend: str, url: str | None, concurrency: int, responses: Path | None
) -> "Settings | None":
    """How the endpoint is queried; None if the model is loaded here."""
    if backend != "openai":
        if responses is not None:
            raise RecipeError(f"--responses {responses} is for --backend openai: leave it out")
        return None
    from rftcore.models.endpoint import Settings

    if not url:
        raise RecipeError(
            "--backend openai needs --url, the endpoint up to /v1, such as "
            "http://localhost:8000/v1, or OPENAI_BASE_URL in the environment"
        )
    if responses is not None and not responses.parent.is_dir():
        raise RecipeError(
            f"--responses {responses}: there is no folder {responses.parent}; make it first"
        )
    return Settings(url, concurrency=concurrency, responses=responses)


def _engine(backend: str, arguments: Sequence[str]) -> "EngineSettings | None":
    """How vLLM is started; None for another backend."""
    if backend != "vllm":
        if arguments:
            raise RecipeError(f"--engine {arguments[0]} is for --backend vllm: leave it out")
        return None
    from rftcore.config import parse_override
    from rftcore.models.vllm import EngineSettings

    found: dict[str, Any] = {}
    for text in arguments:
        if "=" not in text:
            raise RecipeError(f"--engine {text!r}: write key=value, e.g. max_model_len=8192")
        found |= parse_override(text)[1]
    return EngineSettings(found)


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
