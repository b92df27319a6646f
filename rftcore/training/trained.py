"""The weights that a phase trains: all of the model, or an adapter on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.config import Recipe
from rftcore.models import adapters
from rftcore.models.policy import Policy, freeze

if TYPE_CHECKING:
    from peft import LoraConfig


def choose(policy: Policy, recipe: Recipe, phase: str) -> LoraConfig | None:
    """Choose what a phase trains; freeze the other weights.

    Returns: peft's configuration for TRL to make a new adapter with; None if there is to be none,
    because whole weights are trained, or because the policy has an adapter that continues.
    Raises: `ModelError` for a part or a layer that the model does not have.
    """
    lora = recipe.policy.lora
    if lora is None:
        freeze(policy, getattr(recipe, phase).freeze)
        return None
    if has_adapter(policy.model):
        return None
    local = Path(policy.source).is_dir()
    revision = None if local else recipe.policy.revision
    return adapters.lora_config(policy.model, lora, revision=revision)


def has_adapter(model: Any) -> bool:
    """Whether a model is a `PeftModel`."""
    return hasattr(model, "peft_config") and hasattr(model, "get_base_model")


def base_model(model: Any) -> Any:
    """The model that computes: of a `PeftModel`, the one inside."""
    return model.get_base_model() if has_adapter(model) else model
