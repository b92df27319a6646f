"""Load the weights of an adapter, every one of them, also those that peft leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


def load_adapter(whole: Any, folder: str | Path) -> None:
    """Copy an adapter's weights into a `PeftModel`, in place; every one of them must be there.

    Raises: `ModelError` if they are not those of the model's adapter, or cannot be loaded.
    """
    from peft import get_peft_model_state_dict, load_peft_weights, set_peft_model_state_dict

    own, saved = get_peft_model_state_dict(whole), load_peft_weights(str(folder), device="cpu")
    shapes = {name: value.shape for name, value in own.items()}
    apart = sorted(
        name
        for name in own.keys() | saved.keys()
        if shapes.get(name) != getattr(saved.get(name), "shape", None)
    )
    if apart:
        raise ModelError(
            f"the adapter in {str(folder)!r} is not of this model: {len(apart)} weights are "
            f"missing, left over or of another shape, such as {apart[0]}"
        )
    set_peft_model_state_dict(whole, saved)
    if left := _not_loaded(whole, saved):
        _copy(whole, {name: saved[name] for name in left})
        if left := _not_loaded(whole, saved):
            raise ModelError(
                f"peft {metadata.version('peft')} has not loaded {len(left)} weights of the "
                f"adapter in {str(folder)!r}, such as {left[0]}: choose other policy.lora.targets"
            )


def _not_loaded(whole: Any, saved: Mapping[str, Tensor]) -> list[str]:
    """The weights of an adapter that a `PeftModel` does not have.

    peft takes names of some layers for those that transformers has renamed (shared experts of
    Mistral Large 4), and leaves such weights as they were.
    """
    import torch
    from peft import get_peft_model_state_dict

    own = get_peft_model_state_dict(whole)
    return [
        name
        for name, value in saved.items()
        if not torch.equal(own[name].cpu(), value.to(own[name].dtype).cpu())
    ]


def _copy(whole: Any, weights: Mapping[str, Tensor]) -> None:
    """Copy weights of LoRA into a `PeftModel`, where they have the adapter's name in theirs."""
    import torch

    own = dict(whole.named_parameters())
    for name, value in weights.items():
        layer, part = name.rpartition(".")[0], name.rpartition(".")[2]
        full = f"{layer}.{whole.active_adapter}.{part}"
        if full in own:
            with torch.no_grad():
                own[full].copy_(value)
