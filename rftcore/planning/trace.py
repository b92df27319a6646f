"""The memory of a training step, a forward and a generated token, from the model's own code.

Each function runs on a model without weights (`rftcore.planning.ledger`) and returns bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rftcore.models.cache_name import CACHE, cache_of
from rftcore.planning.kernels import TOKENS, Kernels, TiledHead
from rftcore.planning.ledger import Shapes

Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Compute:
    """How a device computes. bf16: by autocast. tile: tokens of the head's tile.

    compact: whether the head reads the scored tokens alone, as TRL's does on a GPU.
    pixels: the dtype that images of prompts are cast to, if they are.
    """

    bf16: bool
    tile: int = TOKENS
    compact: bool = False
    pixels: torch.dtype | None = None


@dataclass(frozen=True)
class Step:
    """Bytes of a micro-batch, forward and backward, beside weights, optimizer and gradients.

    forward: what the forward leaves for the backward. peak: the most, gradients included. rest:
    the most without gradients. copies: bfloat16 copies of weights, as long as the forward lasts.
    """

    forward: int
    peak: int
    rest: int
    copies: int


def training_step(
    model: Any,
    inputs: Inputs,
    scored: Tensor,
    compute: Compute,
    *,
    checkpointing: bool,
    accumulates: bool = False,
    mask: Tensor | None = None,
    segments: tuple[int, int] | None = None,
) -> Step:
    """A micro-batch of the loss over the tokens where `scored` (B, T) is True.

    accumulates: whether gradients of an earlier micro-batch exist. mask, segments: as of `Kernels`.
    """
    model.train()
    kernels = Kernels(bf16=compute.bf16, mask=mask, segments=segments)
    _checkpoint(model, checkpointing, kernels)
    for parameter in model.parameters():
        parameter.grad = None
    with _counted(model, inputs) as ledger:
        ledger.watch(model.parameters())
        start, times = ledger.now, 2 if accumulates else 1
        for _ in range(times):
            ledger.restart()
            with kernels:
                loss = _log_probabilities(model, inputs, scored, compute).sum()
                before = ledger.gradients
                forward = ledger.now - start - before
                kernels.forward_ends()
                torch.autograd.backward(loss)
            del loss
        found = Step(forward, ledger.peak - start, ledger.rest - start, kernels.copies)
    for parameter in model.parameters():
        parameter.grad = None
    return found


def scoring(model: Any, inputs: Inputs, scored: Tensor, compute: Compute) -> int:
    """The most bytes of a forward without gradients, as of the reference model."""
    model.eval()
    with _counted(model, inputs) as ledger, torch.no_grad(), Kernels(bf16=compute.bf16):
        start = ledger.now
        _log_probabilities(model, inputs, scored, compute)
        return ledger.peak - start


@dataclass(frozen=True)
class Reading:
    """Bytes of reading a batch of prompts: the most, and the cache that it leaves."""

    peak: int
    cache: int


def reading(model: Any, inputs: Inputs, compute: Compute) -> Reading:
    """The prefill of `generate`: keys and values of a batch, and the logits of its last tokens."""
    model.eval()
    with _counted(model, inputs) as ledger, torch.no_grad(), Kernels(bf16=compute.bf16) as kernels:
        start = ledger.now
        out = model.base_model(**inputs, use_cache=True)
        cache, last = cache_of(out), out.last_hidden_state[:, -1:]
        del out
        model.get_output_embeddings()(last)
        del last
        kernels.forward_ends()
        found = Reading(ledger.peak - start, ledger.now - start)
        del cache
    return found


def next_token(model: Any, rows: int, length: int, compute: Compute) -> Reading:
    """A generated token of `rows` rows of `length` tokens: the most beside the cache, the cache."""
    model.eval()
    ids = torch.ones(rows, length, dtype=torch.long)
    mask = torch.ones(rows, length + 1, dtype=torch.long)
    mask[0, 0] = 0  # some row is shorter, so attention has a mask
    with _counted(model, {}) as ledger, torch.no_grad(), Kernels(bf16=compute.bf16) as kernels:
        start = ledger.now
        cache = cache_of(model.base_model(input_ids=ids, use_cache=True))
        kernels.forward_ends()
        held = ledger.now - start
        ledger.restart()
        place = torch.full((rows, 1), length)
        one = {"input_ids": ids[:, :1], "attention_mask": mask, "position_ids": place}
        out = model.base_model(**one, **{CACHE: cache}, use_cache=True)
        model.get_output_embeddings()(out.last_hidden_state)
        return Reading(ledger.peak - start - held, held)


@contextmanager
def _counted(model: Any, inputs: Inputs) -> Iterator[Shapes]:
    """A ledger that holds the model and its inputs."""
    with Shapes() as ledger:
        ledger.hold([*model.parameters(), *model.buffers(), *inputs.values()])
        ledger.restart()
        yield ledger


def _log_probabilities(model: Any, inputs: Inputs, scored: Tensor, compute: Compute) -> Tensor:
    """Of each token the head computes, as TRL's fused head does: (N,)."""
    hidden = model.base_model(**inputs, use_cache=False).last_hidden_state[:, :-1]
    hidden = hidden[scored[:, 1:]] if compute.compact else hidden.reshape(-1, hidden.shape[-1])
    head = model.get_output_embeddings()
    dtype = torch.bfloat16 if compute.bf16 else hidden.dtype
    found: Tensor = TiledHead.apply(hidden, head.weight, dtype, compute.tile)
    return found


def _checkpoint(model: Any, on: bool, kernels: Kernels) -> None:
    """Switch checkpointing; what is computed again uses the same kernels."""
    if on:
        settings = {"use_reentrant": False, "context_fn": lambda: (nullcontext(), kernels)}
        model.activation_checkpointing_enable(settings)
    else:
        model.activation_checkpointing_disable()
