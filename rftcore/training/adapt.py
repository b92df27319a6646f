"""Fixes applied to a model before training, on the instance and through public methods.

- `enable_input_require_grads` of transformers expects embeddings to return a tensor. Some
  vision towers (Swin, which nano has) return a tuple, and activation checkpointing fails.
- `generate` encodes images outside `forward`, where accelerate opens autocast: in another dtype
  than training does, which half of the towers reject if the weights are bfloat16.
- `generate` takes settings that TRL leaves open from the model's folder, such as penalties.
- TRL samples in training mode: with dropout or dropped paths (Qianfan-OCR), rollouts would be
  of another policy than the one that is scored. Some models (Molmo 2) require fields then that
  `generate` leaves out after the prompt. `generate` evaluates.
- A static key-value cache takes the dtype of the first keys. Under autocast, rotary positions
  make keys float32 while values stay bfloat16, and storing the values fails. transformers 5.24
  has repaired it.
- Some image processors (Llama 4) make pixels of another dtype than the weights, which TRL passes
  on as they are.
- TRL's loss that balances experts needs `num_experts`, which some mixtures (Llama 4, GLM-4.5V)
  have under another name. It is then left out, as with `router_aux_loss_coef: 0`.
- Batch normalization (FastVLM's tower) computes with the statistics of the batch while it trains:
  what a model sees in an image would depend on the other images of the micro-batch, and rollouts
  and loss would differ. Its layers use the statistics that were saved, and keep them.

tests/test_adapt.py fails when one is no longer needed by the oldest transformers that works.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import StaticCache, StaticLayer

from rftcore.distributed import is_main
from rftcore.models import decode_loop
from rftcore.models.cache_name import CACHE
from rftcore.models.completions import plain_decoding
from rftcore.models.policy import VISION_PARTS
from rftcore.training.cpu import plain_products

logger = logging.getLogger(__name__)

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def adapt(model: Any, *, bf16: bool = False) -> None:
    """Make activation checkpointing, `generate` and a static cache work for `model`.

    bf16: whether training computes in bfloat16, by autocast; `generate` then does, too.
    """
    model.enable_input_require_grads = MethodType(_enable_input_require_grads, model)
    _adapt_generate(model, bf16)
    for tower in _towers(model):
        tower.register_forward_pre_hook(_cast, with_kwargs=True)
    for module in model.modules():
        if isinstance(module, BATCH_NORMS):
            module.train(False)
            setattr(module, "train", MethodType(_unchanged, module))  # noqa: B010 - a method, to mypy


def without_unknown_experts(model: Any, config: Any) -> None:
    """Leave out the loss that balances experts, in TRL's `config`, where TRL cannot compute it."""
    text = model.config.get_text_config()
    if not hasattr(text, "output_router_logits") or hasattr(text, "num_experts"):
        return
    if config.router_aux_loss_coef != 0 and is_main():  # None: the model's own
        logger.warning(
            "%s: the loss that balances experts is left out, since TRL cannot compute it for this "
            "family",
            type(model).__name__,
        )
    config.router_aux_loss_coef = 0.0


def _unchanged(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def _towers(model: nn.Module) -> Iterator[nn.Module]:
    """The parts of a model that read images."""
    for name, module in model.named_modules():
        if (
            isinstance(module, PreTrainedModel)
            and name.rpartition(".")[2] in VISION_PARTS["vision"]
        ):
            yield module


def _cast(module: Any, args: Any, inputs: Any) -> Any:
    """Inputs of a tower in the dtype of its weights."""

    def cast(value: Any) -> Any:
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(module.dtype) if floating else value

    return tuple(map(cast, args)), {name: cast(value) for name, value in inputs.items()}


def _enable_input_require_grads(model: Any) -> None:
    """Let what the embeddings return require a gradient, whatever they return it in."""
    for embeddings in _input_embeddings(model):
        embeddings.register_forward_hook(_require_grad)


def _input_embeddings(model: nn.Module) -> Iterator[nn.Module]:
    """The input embeddings of the model and of its parts, each once."""
    seen: set[int] = set()
    for module in model.modules():
        if not isinstance(module, PreTrainedModel):
            continue
        try:
            embeddings = module.get_input_embeddings()
        except NotImplementedError:  # a part without any
            continue
        if isinstance(embeddings, nn.Module) and id(embeddings) not in seen:
            seen.add(id(embeddings))
            yield embeddings


def _require_grad(module: nn.Module, args: Any, output: Any) -> None:
    parts = output if isinstance(output, tuple | list) else (output,)
    for part in parts:
        if isinstance(part, Tensor) and part.is_floating_point() and part.is_leaf:
            part.requires_grad_(True)


class CastingStaticLayer(StaticLayer):  # type: ignore[no-untyped-call]
    """A static cache layer that stores keys and values in the dtype of its first keys."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Cast, store, and return all keys and values so far."""
        dtype = self.keys.dtype if self.keys is not None else key_states.dtype
        kept: tuple[Tensor, Tensor] = super().update(
            key_states.to(dtype), value_states.to(dtype), *args, **kwargs
        )
        return kept


def _adapt_generate(model: Any, bf16: bool) -> None:
    """Let `generate` compute as training does, and use a casting cache for a static one."""
    plain = model.generate

    @functools.wraps(plain)
    def generate(*args: Any, **inputs: Any) -> Any:
        config = inputs.get("generation_config") or model.generation_config
        kind = inputs.get("cache_implementation", config.cache_implementation)
        ids = inputs.get("input_ids")
        if kind == "static" and ids is not None and inputs.get(CACHE) is None:
            config = copy.deepcopy(config)
            config.cache_implementation = None
            inputs.pop("cache_implementation", None)
            more = inputs.get("max_new_tokens", config.max_new_tokens)
            length = ids.shape[1] + more if more else config.max_length
            inputs["generation_config"] = config
            inputs[CACHE] = _casting_cache(model, length)
        with (
            evaluating(model),
            plain_decoding(model),
            plain_products(),
            torch.autocast(model.device.type, torch.bfloat16, enabled=bf16),
        ):
            return plain(*args, **inputs) if args else decode_loop.generate(model, plain, inputs)

    model.generate = generate


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluate with a model, without dropout; afterwards its modules are in the modes of before."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _casting_cache(model: Any, length: int) -> StaticCache:
    """An empty static cache for a number of tokens."""
    cache = StaticCache(config=model.config.get_text_config(decoder=True), max_cache_len=length)
    cache.layers = [
        CastingStaticLayer(layer.max_cache_len) if type(layer) is StaticLayer else layer
        for layer in cache.layers
    ]
    return cache
