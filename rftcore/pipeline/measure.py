"""Measure the policy of a run, or any model, on splits of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rftcore.completions import ScoredCompletion
from rftcore.config import Layer, Recipe, read_recipe_file
from rftcore.errors import RecipeError
from rftcore.evaluation.scores import SplitScore
from rftcore.pipeline.plan import Plan, Request, Settings, setting_layers
from rftcore.plugins import Catalogue
from rftcore.runs import RunFolder, is_run
from rftcore.types import Task
from rftcore.usage import Usage

if TYPE_CHECKING:
    from rftcore.evaluation.notes import Measured
    from rftcore.models.endpoint import Settings as EndpointSettings
    from rftcore.models.vllm import EngineSettings

    Backend = EndpointSettings | EngineSettings

Within = Callable[[], AbstractContextManager[None]]  # what libraries run in, once they load
PARSERS = ("strict", "forgiving")  # how completions are read
# of a run's recipe: what is not about its task
SHARED = ("model", "paradigm", "seed", "policy", "scoring")


class Answer(Protocol):
    """A completion that a file of answers has a line for."""

    def to_json(self) -> dict[str, Any]:
        """The values of the line."""


class Evaluation(Protocol):
    """What was measured, as plain data."""

    @property
    def scores(self) -> list[dict[str, Any]]:
        """One mapping per split or measure."""

    @property
    def answers(self) -> Sequence[Answer]:
        """The completion for each sample: a `ScoredCompletion`, or a suite's `SuiteAnswer`."""

    def notes(self, report: str = "", answers: str = "") -> list[str]:
        """Notes on the scores. report, answers: files that have the details."""

    def table(self) -> str:
        """The scores as text."""

    def report(self, *files: str) -> dict[str, Any]:
        """Every number, with where it comes from."""


@dataclass(frozen=True)
class Found:
    """What was measured, and the reward calls that failed: their fields and the split."""

    splits: Sequence[tuple[SplitScore, Sequence[ScoredCompletion]]]
    failures: Sequence[Mapping[str, Any]] = ()
    data: Mapping[str, str] = field(default_factory=dict)  # a fingerprint per split
    changed: Sequence[str] = ()  # splits whose data is not what the run measured on
    missing: Sequence[str] = ()  # splits that were not measured, because of `error`
    error: BaseException | None = None  # what ended the evaluation early
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class SplitsEvaluation:
    """A policy on splits of a task. label: the model as the caller wrote it."""

    found: Found
    recipe: Recipe
    model: str
    label: str

    @cached_property
    def scores(self) -> list[dict[str, Any]]:
        """One mapping per split: the fields of `rftcore.evaluation.scores.SplitScore`."""
        return [asdict(score) for score, _ in self.found.splits]

    @cached_property
    def answers(self) -> list[ScoredCompletion]:
        """The completion for each sample, split by split."""
        return [each for _, answers in self.found.splits for each in answers]

    @property
    def failures(self) -> Sequence[Mapping[str, Any]]:
        """The reward calls that failed."""
        return self.found.failures

    @property
    def error(self) -> BaseException | None:
        """What ended the evaluation early, after at least one split."""
        return self.found.error

    def notes(self, report: str = "", answers: str = "") -> list[str]:
        """Notes on the scores. report: the file that has the failures."""
        return list(self._notes(report))

    def table(self) -> str:
        """The scores as text."""
        from rftcore.evaluation.details import detail_tables
        from rftcore.evaluation.tables import labeled, score_table

        scores = [score for score, _ in self.found.splits]
        rows = [(labeled(self.label, scores), scores)]
        return "\n\n".join([score_table(rows), *detail_tables(rows)])

    def report(self, *files: str) -> dict[str, Any]:
        """Every number, with the recipe, fingerprints of the data, failures and notes."""
        return {
            "model": self.model,
            "task": self.recipe.task,
            "recipe": self.recipe.model_dump(mode="json"),
            "scores": self.scores,
            "data": self.found.data,
            "failures": self.failures,
            "usage": self.found.usage.to_json(),
            "notes": self.notes(*files),
        }

    def _notes(self, report: str) -> Iterator[str]:
        from rftcore.evaluation.notes import failure_note, score_notes

        found, most_tokens = self.found, self.recipe.evaluation.max_new_tokens
        scores = [score for score, _ in found.splits]
        yield from score_notes({self.label: scores}, most_tokens, self._reason)
        if found.missing:
            yield f"not measured, because the evaluation stopped: {', '.join(found.missing)}"
        if found.changed:
            yield (
                f"the data of {', '.join(found.changed)} is not what the run began with: these "
                "accuracies cannot be compared with the run's own"
            )
        if found.failures:
            kept_in = report or "--json FILE keeps them with their tracebacks"
            yield failure_note(found.failures, kept_in, all_kept=True)

    def _reason(self, measured: Measured) -> str:
        """Why the first completion without an answer has none."""
        answers = next(found for score, found in self.found.splits if score is measured.score)
        return next((error for each in answers if (error := each.parse_error)), "none")


def evaluate_splits(
    catalogue: Catalogue,
    target: str,
    *,
    task: str | None = None,
    splits: Sequence[str] = (),
    settings: Settings = (),
    prompt: str | None = None,
    parser: str = "strict",
    endpoint: EndpointSettings | None = None,
    engine: EngineSettings | None = None,
    progress: bool = True,
    within: Within = nullcontext,
) -> SplitsEvaluation:
    """Measure a run's newest policy, or a model, on splits of the run's task or of another.

    prompt: "reason" or "direct"; by default the one that the run's paradigm teaches. parser:
    "strict" or "forgiving". endpoint: how `target`, the name of a model, is asked by HTTP.
    engine: how vLLM is started, which then writes the completions. If an error ends it after a
    split, the splits before are in the result, with the error as its `error`.
    Raises: RecipeError for settings; what scoring and models raise, before the first split ends.
    """
    if parser not in PARSERS:
        raise RecipeError(f"parser={parser!r}: use {' or '.join(map(repr, PARSERS))}")
    run = RunFolder.open(target) if endpoint is None and is_run(target) else None
    request = _request(target, run, task, splits, setting_layers(settings))
    if endpoint is not None:
        request = replace(request, policy=Path(target))
    plan = request.plan(catalogue)
    if not plan.splits:
        raise RecipeError(
            f"there is no split to measure on: name one with --split. "
            f"The task has {', '.join(_offered(plan.task))}"
        )
    with within():
        backend = endpoint or engine
        found = _measure(plan, prompt or plan.asked, parser, backend, progress=progress)
    if run is not None and request.settled:
        found = replace(found, changed=_changed(run, found.data, plan.recipe))
    label = str(request.policy or plan.recipe.model)
    return SplitsEvaluation(found, plan.recipe, str(plan.model), label)


def _request(
    target: str,
    run: RunFolder | None,
    task: str | None,
    splits: Sequence[str],
    settings: Sequence[Layer],
) -> Request:
    """The settings of an evaluation. A run's own recipe settles everything on its own task.

    On another task the run gives what is not about a task: splits, numbers of samples and the
    length of an answer are about its own task alone.
    """
    options: list[Layer] = []
    if run is None:
        options.append(("RUN_OR_MODEL", {"model": target, "paradigm": "zero-shot"}))
    if task:
        options.append(("--task", {"task": task}))
    if splits:
        options.append(("--split", {"evaluation": {"splits": list(splits)}}))
    request = Request(options=options, settings=settings, trains=False)
    if run is None:
        return request
    own, origin = read_recipe_file(run.recipe_file), str(run.recipe_file)
    request = replace(request, policy=run.newest_policy())
    if task in (None, own["task"]):
        return replace(request, file=(origin, own), settled=True)
    kept = {key: own[key] for key in SHARED if key in own}
    kept["evaluation"] = {"batch_size": own["evaluation"]["batch_size"]}
    return replace(request, weak=[(origin, kept)])


def _offered(task: Task) -> Sequence[str]:
    from rftcore.datasets.slices import dataset_of

    return dataset_of(task).splits


def _measure(
    plan: Plan, prompt: str, parser: str, backend: Backend | None, *, progress: bool
) -> Found:
    from rftcore.evaluation.keeping import Keeper
    from rftcore.evaluation.splits import evaluate_split, prompt_of
    from rftcore.models.endpoint import Endpoint
    from rftcore.models.endpoint import Settings as EndpointSettings
    from rftcore.models.loading import load_model
    from rftcore.models.vllm import Engine
    from rftcore.scoring import Failure, Scorer

    task, splits, settings = plan.task, plan.splits, plan.recipe.evaluation
    prompt_of(task, prompt)  # raises before a model loads, as does the scorer
    found: list[tuple[SplitScore, list[ScoredCompletion]]] = []
    failures, at, used = [], "", Usage()
    ended_by: BaseException | None = None

    def record(failure: Failure) -> None:
        failures.append({"split": at, **asdict(failure)})

    forgiving, how = parser == "forgiving", plan.recipe.policy
    with Scorer.of(task, plan.recipe, record, forgiving=forgiving) as scorer, ExitStack() as open_:
        policy: Any = None
        if isinstance(backend, EndpointSettings):
            policy = open_.enter_context(Endpoint(str(plan.model), backend))
        elif backend is not None:
            policy = Engine(plan.model, how, backend, plan.recipe.seed)
        else:
            policy = load_model(plan.model, how, dtype=how.evaluation_dtype)
        for at in splits:
            try:
                keeper = Keeper()
                one = evaluate_split(
                    policy,
                    task,
                    at,
                    scorer=scorer,
                    limit=settings.samples.get(at),
                    prompt=prompt,
                    batch_size=settings.batch_size,
                    max_new_tokens=settings.max_new_tokens,
                    blind=settings.blind,
                    drawn=plan.drawn,
                    keeper=keeper,
                    progress=progress,
                )
            except (Exception, KeyboardInterrupt) as error:
                if not found:
                    raise
                ended_by = error  # what is measured is reported first
                break
            found.append(one)
            used += keeper.usage
    done, missing = splits[: len(found)], splits[len(found) :]
    data = _fingerprints(task, plan.recipe, done)
    return Found(found, failures, data, missing=missing, error=ended_by, usage=used)


def _fingerprints(task: Task, recipe: Recipe, splits: Sequence[str]) -> dict[str, str]:
    """What was measured on, as a run's manifest has it; empty but on rank 0."""
    from rftcore.datasets.content import fingerprint
    from rftcore.datasets.slices import take
    from rftcore.distributed import is_main

    samples = recipe.evaluation.samples
    measured = splits if is_main() else ()
    return {split: fingerprint(take(task, split, samples.get(split))) for split in measured}


def _changed(run: RunFolder, data: Mapping[str, str], recipe: Recipe) -> list[str]:
    """The splits that were as many samples when the run began, and other ones."""
    began = run.manifest().get("data", {})
    then = read_recipe_file(run.recipe_file)["evaluation"]["samples"]
    now = recipe.evaluation.samples
    return [
        split
        for split, found in data.items()
        if split in began and now.get(split) == then.get(split) and found != began[split]
    ]
