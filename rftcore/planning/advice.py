"""Which settings make a run fit, the one that helps most first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rftcore.config import Recipe
from rftcore.errors import RecipeError
from rftcore.models.adapters import has_peft

UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
LORA: Mapping[str, Any] = {"rank": 16}
LORA_ROW = "ddp, LoRA of rank 16"


@dataclass(frozen=True)
class Advice:
    """A setting, the peak of a phase with it and without it, in bytes, and whether that fits."""

    phase: str
    setting: str
    peak: int
    before: int
    fits: bool


def size_of(text: str) -> int:
    """The bytes of a size such as "80GB" or "24 GiB". Raises: `RecipeError` for another text."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if not found or found[2] not in UNITS or float(found[1]) <= 0:
        raise RecipeError(f"device memory {text!r}: give a size, such as 80GB or 24GiB")
    return int(float(found[1]) * UNITS[found[2]])


def ranked(
    recipe: Recipe,
    phase: str,
    peak_with: Callable[[Recipe, str], int | None],
    before: int,
    limit: int,
) -> list[Advice]:
    """The settings with a lower peak than `before`, the lowest first."""
    found = []
    for setting, value in candidates(recipe, phase):
        peak = peak_with(changed(recipe, setting, value), phase)
        if peak is not None and peak < before:
            text = f"{setting}={_shown(value)}"
            found.append(Advice(phase, text, peak, before, peak <= limit))
    return sorted(found, key=lambda each: each.peak)


def candidates(recipe: Recipe, phase: str) -> Iterator[tuple[str, Any]]:
    """Settings that may lower the peak of a phase, with a value to try."""
    if phase == "evaluation":
        yield "evaluation.batch_size", max(1, recipe.evaluation.batch_size // 2)
        yield "evaluation.max_new_tokens", max(1, recipe.evaluation.max_new_tokens // 2)
        return
    section = getattr(recipe, phase)
    extra = section.model_extra or {}
    if section.micro_batch != 1:
        smaller = 1 if phase == "sft" or not section.micro_batch else section.micro_batch // 2
        yield f"{phase}.micro_batch", max(1, smaller)
    if not extra.get("activation_checkpointing", True):
        yield f"{phase}.activation_checkpointing", True
    if recipe.policy.lora is None and has_peft():
        yield "policy.lora", dict(LORA)
    if recipe.policy.dtype == "float32":
        yield "policy.dtype", "bfloat16"
    if "vision" not in section.freeze and recipe.policy.lora is None:
        yield f"{phase}.freeze", ["vision", "projector"]
    if phase == "grpo":
        if most := extra.get("max_completion_length"):
            yield "grpo.max_completion_length", max(1, most // 2)
        if extra.get("beta"):
            yield "grpo.beta", 0.0
    yield f"{phase}.optim", "adamw_bnb_8bit"


def changed(recipe: Recipe, setting: str, value: Any) -> Recipe:
    """The recipe with another value of one setting."""
    section, _, name = setting.partition(".")
    data: dict[str, Any] = recipe.model_dump()
    data[section] = {**data[section], name: value}
    return Recipe.model_validate(data)


def _shown(value: Any) -> str:
    """A value as --set takes it, without blanks between words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "'{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}'"
    return str(value).replace("'", "").replace(" ", "")
