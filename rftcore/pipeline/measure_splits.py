"""Measure the policy of a run, or any model, on splits of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rftcore.config import Layer, Recipe, read_recipe_file
from rftcore.errors import RecipeError
from rftcore.pipeline.measure import Within, run_at
from rftcore.pipeline.plan import Request, Settings, setting_layers
from rftcore.pipeline.score_splits import score_splits
from rftcore.pipeline.splits_evaluation import SplitsEvaluation
from rftcore.plugins import Catalogue
from rftcore.runs import RunFolder
from rftcore.types import Task

if TYPE_CHECKING:
    from rftcore.models.endpoint import Settings as EndpointSettings
    from rftcore.models.vllm import EngineSettings

PARSERS = ("strict", "forgiving")  # how completions are read
# of a run's recipe: what is not about its task
SHARED = ("model", "paradigm", "seed", "policy", "scoring")


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
    "strict" or "forgiving". endpoint: how `target`, the name of a model, is queried by HTTP.
    engine: how vLLM is started, which then writes the completions. If an error ends it after a
    split, the splits before are in the result, with the error as its `error`.
    Raises: RecipeError for settings; what scoring and models raise, before the first split ends.
    """
    if parser not in PARSERS:
        raise RecipeError(f"parser={parser!r}: use {' or '.join(map(repr, PARSERS))}")
    run = run_at(catalogue, target) if endpoint is None else None
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
        found = score_splits(plan, prompt or plan.asked, parser, backend, progress=progress)
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
