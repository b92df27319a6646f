"""A policy: a model, its processor, and where both came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rftcore.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VISION_PARTS = {
    "vision": ("vision_tower", "vision_model", "visual"),
    "projector": ("multi_modal_projector", "connector", "merger"),
}


@dataclass
class Policy:
    """A model with its processor, and where both came from.

    model, processor: a `PreTrainedModel` and a `ProcessorMixin` of transformers; `Any`, because
    families add attributes that the base classes do not declare.
    """

    model: Any
    processor: Any
    source: str

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The processor's tokenizer."""
        return tokenizer_of(self.processor)


def tokenizer_of(processor: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a processor; some families use a tokenizer as their processor."""
    found: PreTrainedTokenizerBase = getattr(processor, "tokenizer", processor)
    return found


def freeze(policy: Policy, parts: Sequence[str]) -> int:
    """Exclude the named parts ("vision", "projector") from training.

    Returns: how many parameters stay trainable.
    Raises: `ModelError` for an unknown part, or one the model does not have.
    """
    for part in parts:
        if part not in VISION_PARTS:
            raise ModelError(f"cannot freeze {part!r}: known parts are {', '.join(VISION_PARTS)}")
        names = VISION_PARTS[part]
        frozen = [p for name, p in policy.model.named_parameters() if _is_in(name, names)]
        if not frozen:
            raise ModelError(
                f"cannot freeze {part!r}: {policy.source} has no part of that name (modules "
                f"{', '.join(names)})"
            )
        for parameter in frozen:
            parameter.requires_grad_(False)
    return sum(p.numel() for p in policy.model.parameters() if p.requires_grad)


def _is_in(parameter: str, modules: Sequence[str]) -> bool:
    return any(module in parameter.split(".") for module in modules)


def pixel_budget(policy: Policy) -> dict[str, object]:
    """The settings by which the image processor chooses sizes, as plain data for the manifest."""
    processor = policy.processor.image_processor
    names = ("size", "crop_size", "min_pixels", "max_pixels", "patch_size", "do_resize")
    found = {name: getattr(processor, name, None) for name in names}
    return {k: _as_json(v) for k, v in found.items() if v is not None}


def _as_json(value: Any) -> object:
    if isinstance(value, (int, float, str, bool)):
        return value
    if hasattr(value, "items") or hasattr(value, "__iter__"):
        return {k: v for k, v in dict(value).items() if v is not None}
    return str(value)
