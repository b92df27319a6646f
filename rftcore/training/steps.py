"""How many optimizer steps a phase will take, and settings with which it would take none."""

from __future__ import annotations

import math
from typing import Any

from rftcore.config import Recipe, fault
from rftcore.distributed import world_size
from rftcore.errors import Fault
from rftcore.runs import METRICS
from rftcore.splits import PHASE_SPLITS

NOTABLE = 0.1  # share of a split that an epoch leaves out


def per_epoch(phase: str, config: Any, rows: int, processes: int | None = None) -> int:
    """The optimizer steps of one epoch over `rows` rows. config: TRL's configuration.

    processes: how many there are; by default those of this run.
    """
    if phase == "grpo":  # TRL's sampler leaves out a batch of rollouts that is not full
        return (rows // _prompts(config)) * int(config.num_iterations)
    world, size = processes or world_size(), int(config.per_device_train_batch_size)
    if config.dataloader_drop_last:
        batches = rows // size // world
    else:
        batches = math.ceil(math.ceil(rows / size) / world)
    return math.ceil(batches / int(config.gradient_accumulation_steps))


def total(phase: str, config: Any, rows: int, processes: int | None = None) -> int:
    """The optimizer steps of a phase over `rows` rows. processes: as of `per_epoch`."""
    each = per_epoch(phase, config, rows, processes)
    if each and config.max_steps > 0:
        return int(config.max_steps)
    return math.ceil(float(config.num_train_epochs) * each)


def per_rollouts(config: Any) -> int:
    """The optimizer steps that GRPO takes on one batch of rollouts. config: TRL's."""
    updates = config.num_iterations * config.steps_per_generation
    return max(1, int(updates) // int(config.gradient_accumulation_steps))


def none_taken(recipe: Recipe, phase: str, config: Any, rows: int) -> Fault | None:
    """Why a phase would take no step at all, with the setting to change, or None."""
    if total(phase, config, rows):
        return None
    found = f"split {PHASE_SPLITS[phase]} has {rows} samples{_limited(recipe, phase, rows)}"
    if phase == "grpo":
        path, prompts = ("grpo", "prompts_per_step"), _prompts(config)
        rule = (
            f"{found}, and a step takes {prompts}, so GRPO would take no step: set "
            f"prompts_per_step to {rows} or less, or give more samples"
        )
        return fault(path, prompts, recipe.origin(*path), rule)
    path, size = ("sft", "dataloader_drop_last"), config.per_device_train_batch_size * world_size()
    rule = (
        f"{found}, and a batch takes {size}, so SFT would take no step: leave it out, set "
        f"batch_size to {rows} or less, or give more samples"
    )
    return fault(path, True, recipe.origin(*path), rule)


def none_logged(recipe: Recipe, phase: str, config: Any, rows: int) -> Fault | None:
    """Why no step of a phase would be logged, or None."""
    steps, every = total(phase, config, rows), config.logging_steps
    if getattr(config.logging_strategy, "value", config.logging_strategy) != "steps":
        return None
    if not steps or every < 1 or steps >= every:
        return None
    path = (phase, "logging_steps")
    rule = f"the phase takes {steps} steps, so none would be in {METRICS}: use {steps} or less"
    return fault(path, every, recipe.origin(*path), rule)


def warms_up_only(recipe: Recipe, phase: str, config: Any, rows: int) -> str | None:
    """That the learning rate never gets to what was set, if warmup takes the whole phase."""
    each, warmup = total(phase, config, rows), config.warmup_steps
    if warmup_unused(recipe, phase, config):
        return None
    if recipe.origin(phase, "max_steps") == "--smoke" or warmup < max(each, 1):
        return None
    return (
        f"{phase}.warmup_steps = {warmup} ({recipe.origin(phase, 'warmup_steps')}): the phase "
        f"takes {each} steps, so the learning rate only rises and never gets to "
        f"{phase}.learning_rate; set fewer"
    )


def warmup_unused(recipe: Recipe, phase: str, config: Any) -> str | None:
    """That a constant learning rate takes no notice of warmup_steps."""
    kind = getattr(config.lr_scheduler_type, "value", config.lr_scheduler_type)
    if kind != "constant" or not config.warmup_steps:
        return None
    return (
        f"{phase}.warmup_steps = {config.warmup_steps} ({recipe.origin(phase, 'warmup_steps')}) "
        f"has no effect with {phase}.lr_scheduler_type=constant; constant_with_warmup warms up"
    )


def left_out(phase: str, config: Any, rows: int) -> str | None:
    """Which rows an epoch leaves out, if they are a notable share, or None."""
    if phase == "grpo":
        size = _prompts(config)
    elif config.dataloader_drop_last:
        size = config.per_device_train_batch_size * world_size()
    else:
        return None
    rest = rows % size
    if rest < NOTABLE * rows or total(phase, config, rows) < per_epoch(phase, config, rows):
        return None
    which = "others each time" if config.shuffle_dataset or phase == "sft" else "always the last"
    return (
        f"{phase}: an epoch trains on {rows - rest} of the {rows} samples of split "
        f"{PHASE_SPLITS[phase]}, since a step takes {size}; {rest} are left out, {which}"
    )


def _prompts(config: Any) -> int:
    return int(config.generation_batch_size // config.num_generations)


def _limited(recipe: Recipe, phase: str, rows: int) -> str:
    if getattr(recipe, phase).samples != rows:
        return ""
    return f" ({phase}.samples = {rows}, {recipe.origin(phase, 'samples')})"
