"""Let a model answer the splits of a plan and score its answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rftcore.completions import ScoredCompletion
from rftcore.config import Recipe
from rftcore.evaluation.scores import SplitScore
from rftcore.pipeline.plan import Plan
from rftcore.pipeline.splits_evaluation import Found
from rftcore.types import Task
from rftcore.usage import Usage

if TYPE_CHECKING:
    from rftcore.models.endpoint import Settings as EndpointSettings
    from rftcore.models.vllm import EngineSettings

    Backend = EndpointSettings | EngineSettings


def score_splits(
    plan: Plan, prompt: str, parser: str, backend: Backend | None, *, progress: bool
) -> Found:
    """What the plan's model scores on its splits, one after another.

    backend: how completions are requested by HTTP, or how vLLM is started to write them. An error
    after the first split ends it; it is in the result, with the splits before.
    """
    from rftcore.evaluation.keeping import Keeper
    from rftcore.evaluation.splits import evaluate_split, prompt_of
    from rftcore.scoring import Failure, Scorer

    task, splits, settings = plan.task, plan.splits, plan.recipe.evaluation
    prompt_of(task, prompt)  # raises before a model loads, as does the scorer
    found: list[tuple[SplitScore, list[ScoredCompletion]]] = []
    failures, at, used = [], "", Usage()
    ended_by: BaseException | None = None

    def record(failure: Failure) -> None:
        failures.append({"split": at, **asdict(failure)})

    forgiving = parser == "forgiving"
    with Scorer.of(task, plan.recipe, record, forgiving=forgiving) as scorer, ExitStack() as open_:
        policy = _policy(plan, backend, open_)
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


def _policy(plan: Plan, backend: Backend | None, open_: ExitStack) -> Any:
    """What writes the completions; what must be closed is closed with `open_`."""
    from rftcore.models.endpoint import Endpoint
    from rftcore.models.endpoint import Settings as EndpointSettings
    from rftcore.models.loading import load_model
    from rftcore.models.vllm import Engine

    how = plan.recipe.policy
    if isinstance(backend, EndpointSettings):
        return open_.enter_context(Endpoint(str(plan.model), backend))
    if backend is not None:
        return Engine(plan.model, how, backend, plan.recipe.seed)
    return load_model(plan.model, how, dtype=how.evaluation_dtype)


def _fingerprints(task: Task, recipe: Recipe, splits: Sequence[str]) -> dict[str, str]:
    """What was measured on, as a run's manifest has it; empty but on rank 0."""
    from rftcore.datasets.content import fingerprint
    from rftcore.datasets.slices import take
    from rftcore.distributed import is_main

    samples = recipe.evaluation.samples
    measured = splits if is_main() else ()
    return {split: fingerprint(take(task, split, samples.get(split))) for split in measured}
