"""LoRA adapters: which layers they are on, and how they are made, read and merged.

An adapter folder has `adapter_config.json`, whose `base_model_name_or_path` names the model that
its weights are added to. Base and adapter together compute what the merged model computes.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rftcore.config import LoraRecipe
from rftcore.errors import ModelError, similar
from rftcore.models.adapter_weights import load_adapter
from rftcore.models.policy import parts_of

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn

ADAPTER_CONFIG = "adapter_config.json"
PEFT_MISSING = "needs the package peft: pip install 'rftcore[lora]' (or pip install peft)"


class Linears(NamedTuple):
    """The full names of a model's linear layers, without its head."""

    language: list[str]
    vision: list[str]  # of the vision tower and the projector


def is_adapter(source: str | Path) -> bool:
    """Whether `source` is a folder with an adapter."""
    return (Path(source) / ADAPTER_CONFIG).is_file()


def has_peft() -> bool:
    """Whether peft is installed."""
    return importlib.util.find_spec("peft") is not None


def base_of(folder: str | Path) -> str:
    """The model that the adapter in `folder` belongs to.

    Raises: `ModelError` if its configuration names none, or a folder that is not there.
    """
    file = Path(folder) / ADAPTER_CONFIG
    try:
        base = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"adapter {str(folder)!r}: {ADAPTER_CONFIG} names no base_model_name_or_path "
            f"({type(error).__name__}: {error}): copy the adapter again"
        ) from error
    looks_local = isinstance(base, str) and base.startswith(("/", ".", "~"))
    if not isinstance(base, str) or (looks_local and not Path(base).is_dir()):
        raise ModelError(
            f"adapter {str(folder)!r} belongs to base model {base!r}, which is not there: put the "
            f"base there, or change base_model_name_or_path in its {ADAPTER_CONFIG}"
        )
    return base


def revision_of(folder: str | Path) -> str | None:
    """The revision of the base on the hub that an adapter belongs to, if it names one."""
    found = json.loads((Path(folder) / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    return str(found["revision"]) if found.get("revision") else None


def linear_layers(model: nn.Module) -> Linears:
    """The linear layers of a model. Its weights are not read, so they may be on `meta`."""
    from torch import nn

    head = getattr(model, "get_output_embeddings", lambda: None)()
    # torch's own attention multiplies by the weight itself, so an adapter there has no effect
    inner = {m.out_proj for m in model.modules() if isinstance(m, nn.MultiheadAttention)}
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and module not in inner
    ]
    parts = parts_of(model)
    vision = [name for name in names if parts.get(f"{name}.weight", "text") != "text"]
    return Linears([name for name in names if name not in vision], vision)


def targets(model: nn.Module, lora: LoraRecipe) -> list[str]:
    """The full names of the layers that get an adapter.

    Raises: `ModelError` for a name in `targets` that no layer has, with the names that exist.
    """
    linears = linear_layers(model)
    allowed = [*linears.language, *(linears.vision if lora.vision else [])]
    if lora.targets is None:
        return allowed
    for target in lora.targets:
        if not any(_has_name(name, target) for name in allowed):
            raise ModelError(_no_such_layer(target, linears, lora))
    return [name for name in allowed if any(_has_name(name, t) for t in lora.targets)]


def lora_config(model: nn.Module, lora: LoraRecipe, *, revision: str | None = None) -> LoraConfig:
    """peft's configuration of a new adapter for `model`. revision: of a base on the hub.

    Raises: as `targets`.
    """
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # it divides alpha by the rank
        lora_dropout=lora.dropout,
        target_modules=targets(model, lora),
        revision=revision,
        bias="none",
    )


def without_adapter(model: Any, lora: LoraRecipe) -> list[str]:
    """The targets that peft gives no adapter; it changes `model`, which is on `meta`.

    In some mixtures of experts (GLM-4.5V) peft takes the names of dense and shared layers for
    those of the experts, and adapts the experts instead.
    Raises: as `targets`.
    """
    import torch
    from peft import get_peft_model

    wanted, config = targets(model, lora), lora_config(model, lora)
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # of patterns of its own making
        whole: Any = get_peft_model(model, config)
    inside = whole.get_base_model().named_modules()
    adapted = {name for name, module in inside if hasattr(module, "lora_A")}
    return [name for name in wanted if name not in adapted]


def added_parameters(model: nn.Module, lora: LoraRecipe) -> int:
    """How many weights a new adapter has: rank x (in + out) for each layer.

    Raises: as `targets`.
    """
    layers: list[Any] = [model.get_submodule(name) for name in targets(model, lora)]
    return sum(lora.rank * (layer.in_features + layer.out_features) for layer in layers)


def with_adapter(model: Any, folder: str | Path, *, trainable: bool) -> Any:
    """A `PeftModel` of `model`, in place, and the adapter in `folder`.

    Raises: `ModelError` if its weights are not those of its configuration, or peft is missing.
    """
    if not has_peft():
        raise ModelError(f"adapter {str(folder)!r} {PEFT_MISSING}")
    from peft import PeftModel

    try:
        with warnings.catch_warnings():  # `load_adapter` loads what peft leaves out
            warnings.filterwarnings("ignore", "Found missing adapter keys")
            whole = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
        load_adapter(whole, folder)
    except ModelError:
        raise
    except Exception as error:  # peft raises almost anything for damaged or foreign files
        raise ModelError(
            f"the adapter in {str(folder)!r} cannot be put on its base: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error
    return whole


def merged(model: Any, folder: str | Path) -> Any:
    """`model` with the adapter in `folder` added to its weights, in place.

    Each sum is computed in the adapter's dtype, at least, and rounded once to that of the weight.
    Raises: as `with_adapter`.
    """
    whole = with_adapter(model, folder, trainable=False)
    if not hasattr(whole, "merge_and_unload"):
        raise ModelError(
            f"the adapter in {str(folder)!r} cannot be added to weights: rft reads LoRA adapters"
        )
    return whole.merge_and_unload(safe_merge=True)


def _has_name(layer: str, target: str) -> bool:
    """Whether a target names a layer: all of its full name, or the last parts of it."""
    return layer == target or layer.endswith(f".{target}")


def _no_such_layer(target: str, linears: Linears, lora: LoraRecipe) -> str:
    """What a target that no layer has is mistaken for, and what there is."""
    kinds = {"language model": [*_last(linears.language)], "vision": [*_last(linears.vision)]}
    there = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
    if not lora.vision and any(_has_name(name, target) for name in linears.vision):
        hint = " It is in the vision tower or projector: set policy.lora.vision=true"
    else:
        meant = similar(target, [name for names in kinds.values() for name in names])
        hint = f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""
    return f"no linear layer of the language model is named {target!r}.{hint} ({there})"


def _last(names: Sequence[str]) -> Iterator[str]:
    """The last parts of the names, each once; of a number, as in `mlp.0`, the part before it."""
    seen = dict.fromkeys(
        ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]
        for parts in (name.split(".") for name in names)
    )
    return iter(seen)
