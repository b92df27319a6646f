"""`rft.plan`: what a run will need, from the arguments of `rft.train`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rftcore.arguments import checked
from rftcore.errors import RecipeError
from rftcore.pipeline.api import AnyTask, named, shown
from rftcore.pipeline.plan import Request, Settings, recipe_layer, setting_layers
from rftcore.planning.advice import size_of
from rftcore.planning.forecast import forecast
from rftcore.planning.planner import SAMPLES, Planner
from rftcore.planning.planner import Request as PlanRequest
from rftcore.planning.probe import loaded, timed
from rftcore.planning.report import Report
from rftcore.planning.tracing import config_of
from rftcore.plugins import Catalogue
from rftcore.training.callbacks import quiet_libraries

DEVICES = (None, "cuda", "cpu")


@checked
def plan(
    task: AnyTask | None = None,
    *,
    model: str | Path | None = None,
    recipe: str | Path | Mapping[str, Any] | None = None,
    set: Settings = (),  # noqa: A002  as the option --set
    samples: int | None = SAMPLES,
    device: str | None = None,
    device_memory: str | None = None,
    probe: bool = False,
    signal: int | None = None,
    progress: bool = True,
) -> Report:
    """Count the tokens, steps and memory that a run will need, as `rft plan` does.

    task, model, recipe, set, progress: as in `rft.train`. samples: rows read per split, None for
    all. device: "cuda" or "cpu". device_memory: such as "80GB". probe: time a few steps. signal:
    sample so many completions; both need the weights.

    Returns: `as_text()` and `as_data()`, and what they are made of.
    Raises: `RftError` for whatever a user can fix, as training does.
    """
    limit = None if device_memory is None else size_of(device_memory)
    if (samples is not None and samples < 1) or (signal is not None and signal < 1):
        raise RecipeError(f"samples={samples}, signal={signal}: give 1 or more, or None")
    if device not in DEVICES:
        raise RecipeError(f'device={device!r}: give "cuda", "cpu" or None')
    catalogue = Catalogue.load()
    options = [
        (f"--{name}", {name: value})
        for name, value in (
            ("task", named(catalogue, task)),
            ("model", None if model is None else str(model)),
        )
        if value is not None
    ]
    with shown(bars=progress), quiet_libraries() if progress else nullcontext():
        made = Request(recipe_layer(recipe), options, setting_layers(set)).plan(catalogue)
        if signal and not made.enabled("grpo"):
            raise RecipeError("a forecast of signal is about GRPO, and grpo.enabled is false")
        planner = Planner(PlanRequest(made, samples, device, limit))
        policy = loaded(made) if signal else None  # an error without weights comes first
        report = planner.report()
        if policy is not None and signal:
            report.forecast = forecast(policy, made, config_of(made.recipe, "grpo"), signal)
            del policy
            if made.enabled("sft"):
                report.notes.append(
                    "signal is that of the model as it is, and SFT comes before GRPO: after SFT, "
                    "plan with --model RUN/sft/model and --set sft.enabled=false"
                )
        if probe:
            report.timings = list(timed(made))
    return report
