"""The kind of a model, and whether sharing prompts leaves its results unchanged.

Sharing needs three things: attention takes a mask of ours, a token's result
depends on the tokens it attends to and on its position number alone, and the
position numbers of the plain form can be computed beforehand.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rftcore.models.cache_name import CACHE
from rftcore.models.image_fields import KINDS
from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.shared_prefix.images import BatchImages
from rftcore.training.stand_ins import are_stand_ins

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
# How far one quantity computed in two ways may be apart by rounding: nats per token, mean
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-8, torch.float16: 1e-2, torch.bfloat16: 5e-2}
PROBABILITIES = ("attention_dropout", "dropout_prob", "drop_prob", "activation_dropout")


def require_shareable(model: Any) -> None:
    """Check that sharing cannot change what `model` computes.

    Raises: `NotShared` with the reason if it could.
    """
    text = model.config.get_text_config()
    mask_dtype(model)
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise NotShared(
            f"some of its layers do not attend to the whole text: {', '.join(sorted(kinds))}"
        )
    if getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True):
        raise NotShared("its layers attend to a sliding window of the text")
    if getattr(text, "output_router_logits", False):
        raise NotShared("the loss that balances its experts counts every repeated prompt")
    if model.config.is_encoder_decoder:
        raise NotShared("it has an encoder of its own for the prompt")


def mask_dtype(model: Any) -> torch.dtype:
    """The dtype of the masks (B, 1, T, T) that this model's attention takes.

    bool: True where a query attends to a key (sdpa). Floating: 0 there and the least number
    elsewhere (eager). transformers makes a mask of that kind for a small batch with padding.
    Raises: `NotShared` if attention takes no such mask, as flash kernels.
    """
    from transformers.masking_utils import create_causal_mask

    given: dict[str, Any] = {
        "config": model.config.get_text_config(),
        "inputs_embeds": torch.zeros(1, 2, 1, dtype=working_dtype(model)),
        "attention_mask": torch.tensor([[0, 1]]),
        CACHE: None,
    }
    made = create_causal_mask(**given)
    if not isinstance(made, Tensor) or made.ndim != 4:
        raise NotShared("its attention takes no mask; load the model with attention 'sdpa'")
    dtype: torch.dtype = made.dtype
    return dtype


def as_mask(model: Any, attended: Tensor) -> Tensor:
    """A mask (R, 1, L, L), True where a query attends to a key, as this model's attention takes it.

    Raises: `NotShared` if it takes none.
    """
    dtype = mask_dtype(model)
    if dtype == torch.bool:
        return attended
    return torch.zeros((), dtype=dtype).where(attended, torch.finfo(dtype).min)


def has_active_dropout(model: nn.Module) -> bool:
    """Whether the model in its present mode drops values at random, independently for each row."""
    return model.training and any(_dropout_of(module) > 0 for module in model.modules())


def _dropout_of(module: nn.Module) -> float:
    if isinstance(module, DROPOUTS):
        return module.p
    return max(float(getattr(module, name, 0.0) or 0.0) for name in PROBABILITIES)


def positions(
    model: Any, inputs: Mapping[str, Any], rows: Sequence[int], images: BatchImages
) -> Tensor:
    """Position numbers of these rows in the plain form.

    Without a rule of its own (`get_rope_index`) a model numbers the columns,
    those of padding too.
    Shape: (rows, T), or (3, rows, T) for families with a rule.
    """
    ids, kinds = inputs["input_ids"][list(rows)], inputs.get(KINDS)
    rule = getattr(model.base_model, "get_rope_index", None)
    if rule is not None and are_stand_ins(inputs.get("pixel_values")):
        raise NotShared("its position numbers depend on fields of images that TRL does not pass")
    by_kind = rule is not None and KINDS in inspect.signature(rule).parameters  # not Qwen-Omni's
    of_kinds = {KINDS: kinds[list(rows)]} if by_kind and kinds is not None else {}
    if rule is None or images.grids is None or (by_kind and not of_kinds):
        return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    numbers: Tensor = rule(
        input_ids=ids,
        **of_kinds,
        image_grid_thw=images.inputs(rows).get("image_grid_thw"),
        attention_mask=inputs["attention_mask"][list(rows)],
    )[0]
    return numbers


def working_dtype(model: Any) -> torch.dtype:
    """The dtype that the model computes in: that of autocast, if it is on, or of its weights."""
    device: str = model.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    dtype: torch.dtype = model.dtype
    return dtype


def tolerance(model: Any) -> float:
    """How far log-probabilities of this model may be apart by rounding: nats per token, mean."""
    return TOLERANCES.get(working_dtype(model), max(TOLERANCES.values()))
