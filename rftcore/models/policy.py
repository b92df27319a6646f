"""A policy: a model, its processor, and where both came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rftcore.errors import ModelError
from rftcore.models.seen import SeenSize

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

VISION_PARTS = {
    "vision": ("vision_tower", "vision_model", "visual"),
    "projector": (
        *("multi_modal_projector", "connector", "merger", "deepstack_merger_list"),
        *("embed_vision", "image_newline", "layerwise_projectors", "spatial_projectors"),
    ),
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

    @cached_property
    def seen_size(self) -> SeenSize:
        """The size at which the policy sees an image, by the image's own size."""
        return SeenSize(self.processor)


def tokenizer_of(processor: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a processor; some families use a tokenizer as their processor."""
    found: PreTrainedTokenizerBase = getattr(processor, "tokenizer", processor)
    return found


def freeze(policy: Policy, parts: Sequence[str]) -> int:
    """Exclude the named parts from training: the same parts in every family.

    "vision" is the image tower without what joins it to the language model, "projector". In some
    families the projector is a part of the tower's module: the mergers of Qwen-VL.
    Returns: how many parameters stay trainable.
    Raises: `ModelError` for an unknown part, or one the model does not have.
    """
    for part in parts:
        if part not in VISION_PARTS:
            raise ModelError(f"cannot freeze {part!r}: known parts are {', '.join(VISION_PARTS)}")
    found = parts_of(policy.model) if parts else {}
    for part in parts:
        frozen = [p for name, p in policy.model.named_parameters() if found[name] == part]
        if not frozen and part == "vision" and "projector" in found.values():
            continue  # without a tower (Gemma 4 unified): pixels enter by the projector alone
        if not frozen:
            raise ModelError(
                f"cannot freeze {part!r}: {policy.source} has no part of that name (modules "
                f"{', '.join(VISION_PARTS[part])})"
            )
        for parameter in frozen:
            parameter.requires_grad_(False)
    return sum(p.numel() for p in policy.model.parameters() if p.requires_grad)


def parts_of(model: nn.Module) -> dict[str, str]:
    """The part that each parameter belongs to, by its name: "projector", "vision" or "text".

    Modules have the names that most families use (`VISION_PARTS`). In other families, "text" is
    the decoder with the embeddings, "vision" is each other model inside, such as a tower for
    sound, and "projector" is what is between them.
    """
    text, towers = _text_and_towers(model)
    parts = {}
    for name, parameter in model.named_parameters():
        part = _named(name)
        if not part and (not text or id(parameter) in text):
            part = "text"
        parts[name] = part or ("vision" if id(parameter) in towers else "projector")
    return parts


def _named(parameter: str) -> str:
    """The part whose modules have a name in a parameter's full name, or ""."""
    modules = parameter.split(".")
    parts = (p for p in ("projector", "vision") if any(m in modules for m in VISION_PARTS[p]))
    return next(parts, "")


def _text_and_towers(model: Any) -> tuple[set[int], set[int]]:
    """The parameters of the decoder with its embeddings, and of the other models inside.

    Both are empty if the decoder is not a part of its own.
    """
    from transformers import PreTrainedModel

    decoder = model.get_decoder() if hasattr(model, "get_decoder") else model
    inside = [name for name, _ in decoder.named_parameters()]
    if not inside or any(map(_named, inside)):
        return set(), set()
    embeddings = model.get_input_embeddings(), model.get_output_embeddings()
    text = {id(p) for part in (decoder, *embeddings) if part is not None for p in part.parameters()}
    whole = [m for m in model.modules() if isinstance(m, PreTrainedModel)]
    towers = [m for m in whole if not text & {id(p) for p in m.parameters()}]
    return text, {id(p) for tower in towers for p in tower.parameters()}
