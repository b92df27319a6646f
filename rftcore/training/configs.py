"""A recipe's `sft:` and `grpo:` sections as TRL's configurations.

rft's own settings state what a user means (samples per step, prompts per step, group size);
TRL's batch shapes are derived from them. Every other setting is one of TRL's and passes through.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rftcore.config import GrpoRecipe, Recipe, SftRecipe
from rftcore.distributed import world_size
from rftcore.errors import RecipeError
from rftcore.training.toy import trl_config

if TYPE_CHECKING:
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.sft_config import SFTConfig


def make_config(
    recipe: Recipe, section: str, out: Path, settings: Mapping[str, Any] | None = None
) -> SFTConfig | GRPOConfig:
    """TRL's configuration for a section, with its settings or only those given.

    Raises: `RecipeError` for batch sizes that do not divide; whatever TRL raises for a value.
    """
    settings = trl_fields(recipe, section) if settings is None else settings
    fields = {**common(recipe, out), **batch_shapes(recipe, section)}
    if section == "sft":
        # TRL cuts at 1024 tokens by default, which would cut image placeholders
        fields["max_length"] = None
    else:
        fields["num_generations"] = recipe.grpo.group_size
        if recipe.policy.revision and not recipe.sft.enabled:  # TRL loads the reference by name
            fields["model_init_kwargs"] = {"revision": recipe.policy.revision}
    config: SFTConfig | GRPOConfig = trl_config(section)(**{**fields, **settings})
    return config


def sft_config(recipe: Recipe, out: Path) -> SFTConfig:
    """TRL's `SFTConfig` for this recipe."""
    return cast("SFTConfig", make_config(recipe, "sft", out))


def grpo_config(recipe: Recipe, out: Path) -> GRPOConfig:
    """TRL's `GRPOConfig` for this recipe: one update per batch of rollouts."""
    return cast("GRPOConfig", make_config(recipe, "grpo", out))


def common(recipe: Recipe, out: Path) -> dict[str, Any]:
    """TRL's fields of both phases, unless the recipe sets them."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(out),
        "seed": recipe.seed,
        "bf16": gpu or recipe.policy.dtype == "bfloat16",  # or inputs would not fit its weights
        "fp16": False,
        "use_cpu": not gpu,
        "trust_remote_code": recipe.policy.trust_remote_code,  # for the reference model
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "activation_checkpointing": True,
        "logging_steps": 1,
        "save_steps": 100,
        "save_total_limit": 2,
        "logging_nan_inf_filter": False,  # it would hide such a loss, which `Finite` reports
        "dataloader_pin_memory": gpu,
    }


def shapes(
    step_size: int, micro_batch: int | None, what: str, processes: int | None = None
) -> dict[str, int]:
    """Batch shapes from `step_size` rows per optimizer step over all processes.

    processes: how many there are; by default those of this run.

    step_size = per_device_train_batch_size * gradient_accumulation_steps * processes
    Raises: `RecipeError` if that has no whole solution.
    """
    world = processes or world_size()
    if step_size % world:
        raise RecipeError(f"{what}: {step_size} rows per step do not divide over {world} processes")
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


def batch_shapes(recipe: Recipe, section: str, processes: int | None = None) -> dict[str, int]:
    """TRL's batch shapes for a section. processes: as of `shapes`.

    Raises: `RecipeError` for batch sizes that do not divide.
    """
    if section == "sft":
        return shapes(recipe.sft.batch_size, recipe.sft.micro_batch, "sft", processes)
    grpo = recipe.grpo
    return shapes(grpo.prompts_per_step * grpo.group_size, grpo.micro_batch, "grpo", processes)


def trl_fields(recipe: Recipe, section: str) -> dict[str, Any]:
    """The settings of a section that are TRL's, of the types that TRL declares: 0 as 0.0."""
    hints = typing.get_type_hints(trl_config(section))
    return {
        name: float(value) if hints.get(name) is float and type(value) is int else value
        for name, value in extras(getattr(recipe, section)).items()
    }


def extras(section: SftRecipe | GrpoRecipe) -> dict[str, Any]:
    """The settings of a section that are TRL's, and not rft's."""
    return dict(section.model_extra or {})
