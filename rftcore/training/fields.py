"""A recipe's `sft:` and `grpo:` sections as TRL's configurations.

Our own settings state what a user means (samples per step, prompts per step,
group size); batch shapes are derived from them, so TRL's fields for those
are refused. Every other field of TRL's configuration passes through,
checked by name and type before a model loads.
"""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

from rftcore.config import GrpoRecipe, Recipe, SftRecipe, check_settings
from rftcore.errors import RecipeError
from rftcore.processes import world_size

DERIVED = {
    "per_device_train_batch_size": "micro_batch",
    "gradient_accumulation_steps": "batch_size (sft) or prompts_per_step (grpo)",
    "generation_batch_size": "prompts_per_step and group_size",
    "steps_per_generation": "prompts_per_step and group_size",
    "num_generations": "group_size",
    "num_generations_eval": "group_size",
    "auto_find_batch_size": "micro_batch",
    "reward_weights": "rewards.NAME.weight",
    "seed": "seed (at the top of the recipe)",
    "output_dir": "--out",
    "disable_tqdm": "the bar that rft draws",
    "remove_unused_columns": "the task's dataset",
    "do_eval": "evaluation",
    "eval_strategy": "evaluation",
    "resume_from_checkpoint": "--resume",
    "model_init_kwargs": "--model",
    # transformers renamed these, and TRL still sets the old ones
    "gradient_checkpointing": "activation_checkpointing, its new name",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs, its new name",
}


def check_fields(recipe: Recipe) -> None:
    """Raise `RecipeError` if a TRL field in the recipe has a wrong name or type.

    Imports TRL (seconds), but loads no model.
    """
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.sft_config import SFTConfig

    for section, own, config in (("sft", SftRecipe, SFTConfig), ("grpo", GrpoRecipe, GRPOConfig)):
        _refuse_derived(recipe, section)
        hints = typing.get_type_hints(config)
        free = {f.name for f in dataclasses.fields(config) if f.init} - DERIVED.keys()
        allowed = {name: hints[name] for name in sorted(free)}
        check_settings(recipe, section, allowed, own=own.model_fields)


def _refuse_derived(recipe: Recipe, section: str) -> None:
    for name in extras(getattr(recipe, section)):
        if name in DERIVED:
            origin = recipe.origin(section, name)
            raise RecipeError(f"{section}.{name} ({origin}): rft sets this; use {DERIVED[name]}")


def extras(section: SftRecipe | GrpoRecipe) -> dict[str, Any]:
    """The settings of a section that are TRL's, not ours."""
    return dict(section.model_extra or {})


def shapes(step_size: int, micro_batch: int | None, what: str) -> dict[str, int]:
    """Batch shapes from `step_size` rows per optimiser step over all processes.

    step_size = per_device_train_batch_size * gradient_accumulation_steps * processes
    Raises: `RecipeError` if that has no whole solution.
    """
    world = world_size()
    if step_size % world:
        raise RecipeError(f"{what}: {step_size} rows a step do not divide over {world} processes")
    per_process = step_size // world
    micro = min(micro_batch or per_process, per_process)
    if per_process % micro:
        raise RecipeError(
            f"{what}: micro_batch={micro} does not divide the {per_process} rows a process "
            f"handles per step; use a divisor of {per_process}"
        )
    return {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": per_process // micro,
    }


def common(recipe: Recipe, out: Path) -> dict[str, Any]:
    """What both phases hand TRL unless the recipe says otherwise."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(out),
        "seed": recipe.seed,
        "bf16": gpu,
        "fp16": False,
        "use_cpu": not gpu,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "activation_checkpointing": True,
        "logging_steps": 1,
        "save_steps": 100,
        "save_total_limit": 2,
        "logging_nan_inf_filter": False,  # it would log a loss that never was; `Finite` stops
        "dataloader_pin_memory": gpu,
    }


def sft_config(recipe: Recipe, out: Path) -> Any:
    """TRL's `SFTConfig` for this recipe."""
    from trl.trainer.sft_config import SFTConfig

    own = shapes(recipe.sft.batch_size, recipe.sft.micro_batch, "sft")
    # TRL cuts at 1024 tokens by default, which would cut image placeholders
    return SFTConfig(**{**common(recipe, out), "max_length": None, **own, **extras(recipe.sft)})


def grpo_config(recipe: Recipe, out: Path) -> Any:
    """TRL's `GRPOConfig` for this recipe: one update per batch of rollouts."""
    from trl.trainer.grpo_config import GRPOConfig

    grpo = recipe.grpo
    own = shapes(grpo.prompts_per_step * grpo.group_size, grpo.micro_batch, "grpo")
    config = GRPOConfig(
        **{**common(recipe, out), **own, "num_generations": grpo.group_size, **extras(grpo)}
    )
    _refuse_saves_within_rollouts(recipe, config)
    return config


def _refuse_saves_within_rollouts(recipe: Recipe, config: Any) -> None:
    """Raise `RecipeError` if a checkpoint would fall between two uses of the same rollouts.

    They are not saved, so a phase that continues from there would make new ones.
    """
    steps, every = config.save_steps, config.num_iterations
    if str(getattr(config.save_strategy, "value", config.save_strategy)) != "steps" or every < 2:
        return
    if steps != int(steps) or steps % every:
        raise RecipeError(
            f"grpo.save_steps = {steps} ({recipe.origin('grpo', 'save_steps')}): must be a "
            f"multiple of grpo.num_iterations={every}, because rollouts that are used again are "
            f"not saved; try {max(1, int(steps) // every) * every}"
        )
