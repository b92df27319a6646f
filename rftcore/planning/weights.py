"""A model without weights: its parameters, what a phase trains, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError, one_line
from rftcore.models.configs import model_config
from rftcore.models.policy import VISION_PARTS, Policy, freeze, parts_of
from rftcore.models.sources import PLAIN
from rftcore.planning.memory import State
from rftcore.training.adapt import adapt

# Numbers that an optimizer keeps per trained weight, and the bytes of each; None: as the weight
OPTIMIZERS: dict[str, tuple[float, int | None]] = {
    "sgd": (0, None),
    "rmsprop": (1, None),
    "adagrad": (1, None),
    "lion_32bit": (1, 4),
    "lion_8bit": (1, 1),
    "adamw_bnb_8bit": (2, 1),
    "adamw_8bit": (2, 1),
    "paged_adamw_8bit": (2, 1),
    "adafactor": (0.01, 4),  # a row and a column of each matrix
}
ADAM = (2.0, None)


def outline(source: str | Path, dtype: str, settings: PolicyRecipe = PLAIN) -> Any:
    """The model in a folder or of a hub name, its parameters as shapes.

    Fused attention is assumed (`kernels`), unless `settings` have the plain one.
    Raises: `ModelError` if its configuration cannot be read or made into a model.
    """
    from transformers import AutoModelForImageTextToText

    models: Any = AutoModelForImageTextToText  # untyped in transformers
    config = model_config(source, settings)
    options: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
    if settings.attention == "eager":
        options["attn_implementation"] = "eager"
    try:
        with torch.device("meta"):
            model = models.from_config(config, dtype=getattr(torch, dtype), **options)
    except Exception as error:  # each family raises its own types
        raise ModelError(
            f"config.json of model {str(source)!r} cannot be made into a model: {one_line(error)}"
        ) from error
    model.tie_weights()
    adapt(model)
    return model


def choose(model: Any, source: str | Path, parts: Sequence[str], lora: Any = None) -> None:
    """Mark what a phase trains: an adapter, or all but the frozen parts.

    Raises: `ModelError` for a part or a layer that the model does not have.
    """
    if lora is None:
        model.requires_grad_(True)
        freeze(Policy(model, None, str(source)), parts)
        return
    from peft import get_peft_model

    from rftcore.models import adapters

    with torch.device("meta"):
        get_peft_model(model, adapters.lora_config(model, lora))  # in place


def state(model: Any, optimizer: str, *, reference: bool) -> State:
    """What lasts from step to step. reference: whether there is a second copy, in float32."""
    every = list(model.parameters())
    trained = [p for p in every if p.requires_grad]
    numbers, size = OPTIMIZERS.get(optimizer, ADAM)
    kept = sum(int(p.numel() * numbers * (size or p.element_size())) for p in trained)
    return State(
        parameters=sum(p.numel() for p in every),
        trainable=sum(p.numel() for p in trained),
        weights=_bytes(every),
        gradients=_bytes(trained),
        optimizer=kept,
        reference=4 * sum(p.numel() for p in every) if reference else 0,
        largest=max(_blocks(model)),
    )


def parts(model: Any) -> dict[str, int]:
    """Parameters of the vision tower, the projector and the language model."""
    found = dict.fromkeys((*VISION_PARTS, "language"), 0)
    kinds = parts_of(model)
    for name, parameter in model.named_parameters():
        kind = kinds[name]
        found["language" if kind == "text" else kind] += parameter.numel()
    return found


def _blocks(model: Any) -> Iterator[int]:
    """Bytes of each layer, and of what is beside the layers."""
    layers = [m for m in model.modules() if type(m).__name__.endswith(("Layer", "Block"))]
    yield from (_bytes(layer.parameters()) for layer in layers)
    yield _bytes(model.get_output_embeddings().parameters())


def _bytes(parameters: Any) -> int:
    return sum(p.numel() * p.element_size() for p in parameters)
