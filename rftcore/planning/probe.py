"""How long a run takes: a few steps of each phase on this machine, timed.

The steps are those of training: its trainer, shapes, data and rewards. The policy that takes
them is thrown away.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rftcore.datasets.slices import take
from rftcore.models.completions import generate
from rftcore.models.loading import load_model
from rftcore.models.policy import Policy
from rftcore.pipeline.plan import Plan
from rftcore.scoring import Scorer
from rftcore.splits import PHASE_SPLITS, VAL
from rftcore.training import steps
from rftcore.training.callbacks import quiet
from rftcore.training.configs import make_config, trl_fields
from rftcore.training.grpo import grpo_trainer
from rftcore.training.real_step import LEFT_OUT
from rftcore.training.sft import sft_trainer

STEPS = 3  # timed; the first step of a phase, which has checks of its own, is not


@dataclass(frozen=True)
class Timing:
    """Seconds per step or sample: the mean, the least, the most; `count` of them make the phase."""

    phase: str
    unit: str
    seconds: float
    low: float
    high: float
    count: int

    @property
    def total(self) -> float:
        """Seconds of the whole phase."""
        return self.seconds * self.count


def duration(seconds: float) -> str:
    """Seconds as "42 s", "17 min", "3.5 h" or "12 days"."""
    for size, most, unit in ((1, 120, "s"), (60, 120, "min"), (3600, 48, "h")):
        if seconds < most * size:
            value = seconds / size
            return f"{value:.1f} {unit}" if unit == "h" and value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"


def loaded(plan: Plan) -> Policy:
    """The policy that the plan's first phase trains. Raises: `ModelError` without its weights."""
    settings = plan.recipe.policy
    quantized = bool(settings.lora and settings.lora.quantize)
    return load_model(plan.model, settings, dtype=settings.dtype, quantized=quantized)


def timed(plan: Plan) -> Iterator[Timing]:
    """Time each phase that is switched on, and the evaluations between.

    Raises: what training raises.
    """
    for phase in PHASE_SPLITS:
        if plan.enabled(phase):
            yield _phase(plan, phase)
    if plan.splits:
        yield _evaluation(plan)


def _phase(plan: Plan, phase: str) -> Timing:
    with tempfile.TemporaryDirectory() as folder:
        clock = _Clock()
        config = _config(plan, phase, Path(folder))
        _take_steps(plan, phase, config, clock)
    whole = make_config(plan.recipe, phase, Path(phase))
    count = steps.total(phase, whole, len(plan.part(phase)))
    return _timing(phase, "step", clock.seconds, count)


def _config(plan: Plan, phase: str, folder: Path) -> Any:
    """TRL's configuration of a phase for a few steps that leave no trace."""
    kept = {*trl_fields(plan.recipe, phase)} - {*LEFT_OUT} | {"num_iterations"}
    settings = {n: v for n, v in trl_fields(plan.recipe, phase).items() if n in kept}
    settings |= {"save_strategy": "no", "report_to": "none"}
    config = make_config(plan.recipe, phase, folder, settings)
    reused = steps.per_rollouts(config) if phase == "grpo" else 1
    config.max_steps = 1 + STEPS * reused
    return config


def _take_steps(plan: Plan, phase: str, config: Any, clock: _Clock) -> None:
    policy, part = loaded(plan), plan.part(phase)
    task = plan.sft_task if phase == "sft" else plan.task
    common = (policy, task, plan.recipe, part, config)
    if phase == "sft":
        quiet(sft_trainer(*common, callbacks=[clock])).train()
        return
    with Scorer.of(plan.task, plan.recipe) as scorer:
        made = grpo_trainer(
            *common, scorer=scorer, observe=lambda step, rollouts: None, callbacks=[clock]
        )
        quiet(made).train()


class _Clock(TrainerCallback):
    """Seconds from the end of each step to the end of the next."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note a step."""
        now = _now()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now


def _now() -> float:
    """The time at which all that was started has been computed."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _evaluation(plan: Plan) -> Timing:
    """One batch of the first split, for all samples of all stages."""
    settings = plan.recipe.evaluation
    part = take(plan.task, plan.splits[0], settings.batch_size)
    policy = load_model(plan.model, plan.recipe.policy, dtype=plan.recipe.policy.evaluation_dtype)
    prompts = [plan.taught.prompt(sample) for sample in part]
    start = _now()
    generate(policy, prompts, settings.max_new_tokens)
    each = (_now() - start) / len(prompts)
    return _timing("evaluation", "sample", [each], answers(plan))


def answers(plan: Plan) -> int:
    """How many completions the evaluations of a run write."""
    recipe = plan.recipe
    sizes = {
        split: len(take(plan.task, split, recipe.evaluation.samples.get(split)))
        for split in plan.splits
    }
    phases = [phase for phase in PHASE_SPLITS if plan.enabled(phase)]
    stages = len(phases) if recipe.evaluation.after_each_phase else min(1, len(phases))
    stages += plan.measures_base
    tried = plan.measures_base and plan.task.direct_prompt is not None
    return stages * sum(sizes.values()) + (sizes.get(VAL, 0) if tried else 0)


def _timing(phase: str, unit: str, seconds: Sequence[float], count: int) -> Timing:
    mean = sum(seconds) / len(seconds)
    return Timing(phase, unit, mean, min(seconds), max(seconds), count)
