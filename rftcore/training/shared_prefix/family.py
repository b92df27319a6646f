"""What kind of model this is, and whether a shared prompt means the same to it.

Sharing rests on three things: attention takes a mask from us, a token's result
depends on what it sees and on its position number alone, and the position
numbers of the plain form can be had beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.shared_prefix.images import Pictures

MASKED = ("sdpa", "eager")  # attention that takes any mask; flash kernels take none
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
CHANCES = ("attention_dropout", "dropout_prob", "drop_prob", "activation_dropout")


def understand(model: Any) -> None:
    """Raise `NotShared` with the reason if sharing could change what `model` computes."""
    text = model.config.get_text_config()
    attention = text._attn_implementation
    if attention not in MASKED:
        raise NotShared(f"attention {attention!r} takes no mask; load the model with 'sdpa'")
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise NotShared(f"some of its layers do not see the whole text: {', '.join(sorted(kinds))}")
    if getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True):
        raise NotShared("its layers see a sliding window of the text")
    if getattr(text, "output_router_logits", False):
        raise NotShared("the loss that balances its experts counts every repeated prompt")
    if model.config.is_encoder_decoder:
        raise NotShared("it has an encoder of its own for the prompt")


def draws(model: nn.Module) -> bool:
    """Whether the model in its present mode drops values by chance, anew for each row."""
    return model.training and any(_chance(module) > 0 for module in model.modules())


def _chance(module: nn.Module) -> float:
    if isinstance(module, DROPOUTS):
        return module.p
    return max(float(getattr(module, name, 0.0) or 0.0) for name in CHANCES)


def positions(
    model: Any, inputs: dict[str, Any], rows: Sequence[int], pictures: Pictures
) -> Tensor:
    """Position numbers that the plain form gives these rows: (rows, T), or (3, rows, T).

    Without a rule of its own (`get_rope_index`) a model numbers the columns,
    those of padding too.
    """
    ids, kinds = inputs["input_ids"][list(rows)], inputs.get("mm_token_type_ids")
    rule = getattr(model.base_model, "get_rope_index", None)
    if rule is None or kinds is None or pictures.grids is None:
        return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    numbers: Tensor = rule(
        input_ids=ids,
        mm_token_type_ids=kinds[list(rows)],
        image_grid_thw=pictures.inputs(rows).get("image_grid_thw"),
        attention_mask=inputs["attention_mask"][list(rows)],
    )[0]
    return numbers


def attention_of(model: Any, seen: Tensor) -> Tensor:
    """A mask (R, 1, L, L), True where a token is seen, as this model's attention takes it."""
    if model.config.get_text_config()._attn_implementation == "sdpa":
        return seen
    dtype = working_dtype(model)
    return torch.zeros((), dtype=dtype).where(seen, torch.finfo(dtype).min)


def working_dtype(model: Any) -> torch.dtype:
    """What the model computes in: autocast's type inside autocast, else that of its weights."""
    device: str = model.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    dtype: torch.dtype = model.dtype
    return dtype
