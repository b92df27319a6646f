"""What training computes differently from the plain operations, as shapes.

- Attention runs in a fused kernel, which stores no matrix of tokens by tokens. Without data,
  torch would choose the plain one, which does.
- Autocast does not exist on the meta device. `Kernels` casts as it does on a GPU: products in
  bfloat16, with a copy of each trained weight that lasts until the forward ends.
- TRL's head computes log-probabilities in tiles, so logits are never stored.

Source: the lists of https://docs.pytorch.org/docs/stable/amp.html; trl.kernels.chunked_logprob
of TRL 1.16. benchmarks/plan_check.py compares the sizes with those of real steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.overrides import TorchFunctionMode

from rftcore.training.cpu import onednn_is_precise

COLUMNS = 32768  # of a tile of TRL's head
TOKENS = 4096  # of a tile, on a GPU
PRODUCTS = {
    *(F.linear, F.conv1d, F.conv2d, F.conv3d, torch.matmul, torch.bmm, torch.mm, torch.addmm),
    *(torch.baddbmm, torch.einsum, Tensor.matmul, Tensor.__matmul__, Tensor.bmm),
}
IN_FLOAT32 = {F.softmax, F.layer_norm, F.group_norm, F.log_softmax, torch.softmax}


class Kernels(TorchFunctionMode):
    """Fused attention, and with `bf16` autocast, for tensors without data.

    mask: what each query attends to, (B, 1, L, L), in place of plain causal attention over L
    tokens; it has a cost of its own. segments: completions per row and their length, if attention
    over shared prompts is computed in parts. copies: bytes of the weights' copies of the last
    forward.
    """

    def __init__(
        self,
        *,
        bf16: bool = False,
        mask: Tensor | None = None,
        segments: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.bf16, self.mask, self.segments, self.copies = bf16, mask, segments, 0
        self._kept: dict[int, Tensor] = {}

    def forward_ends(self) -> None:
        """Drop the copies of weights, as autocast does when it ends."""
        self.copies = sum(copy.untyped_storage().nbytes() for copy in self._kept.values())
        self._kept.clear()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and args[0].is_meta:
            return self._attention(*args, **kwargs)
        if self.bf16 and func in PRODUCTS:
            args = tuple(self._cast(each) for each in args)
            kwargs = {name: self._cast(each) for name, each in kwargs.items()}
        elif self.bf16 and func in IN_FLOAT32:
            args = tuple(_widened(each) for each in args)
        return func(*args, **kwargs)

    def _attention(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, *_: Any, **__: Any
    ) -> Tensor:
        length = query.shape[-2]
        if attn_mask is None and self.mask is not None and length == self.mask.shape[-1]:
            attn_mask = self.mask
        query, key, value = (self._cast(each) for each in (query, key, value))
        apply: Any = FusedAttention.apply
        if self.segments and query.requires_grad and length > self.segments[0] * self.segments[1]:
            in_parts: Any = AttentionInParts.apply
            whole: Tensor = in_parts(query, key, value, *self.segments)
            return whole * torch.ones_like(whole)
        out: Tensor = apply(query, key, value, attn_mask)
        return out

    def _cast(self, value: Any) -> Any:
        if not (self.bf16 and isinstance(value, Tensor) and value.dtype == torch.float32):
            return value
        if not (isinstance(value, nn.Parameter) and value.requires_grad):
            return value.to(torch.bfloat16)
        if id(value) not in self._kept:
            self._kept[id(value)] = value.to(torch.bfloat16)
        return self._kept[id(value)]


def _widened(value: Any) -> Any:
    half = isinstance(value, Tensor) and value.dtype == torch.bfloat16
    return value.float() if half else value


class FusedAttention(torch.autograd.Function):
    """Attention that stores its inputs, its output and one number per query and head."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Queries (B, H, L, D), keys and values (B, h, S, D): (B, H, L, D)."""
        out = query.new_empty((*query.shape[:-1], value.shape[-1]))
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        if mask is not None and mask.dtype == torch.bool:  # torch adds it to the products
            mask = torch.zeros(mask.shape, dtype=query.dtype, device=query.device)
        ctx.save_for_backward(query, key, value, out, sums, mask)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """The gradients of queries, keys and values."""
        query, key, value, *_ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value), None


class AttentionInParts(torch.autograd.Function):
    """Attention of prompts, then of each completion over its prompt and itself, on a CPU.

    It stores the keys and values of a prompt once per completion and, if products are fast there,
    the weights of all pairs (`rftcore.training.shared_prefix.attention`).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, count: int, tokens: int
    ) -> Tensor:
        """Queries (B, H, L, D), keys and values (B, h, L, D): (B, H, L, D)."""
        rows, heads, length, width = query.shape
        prompt = length - count * tokens
        keys = query.new_empty(rows * count, heads, prompt + tokens, width)
        stored = [torch.empty_like(query), keys, torch.empty_like(keys)]
        stored += [query.new_empty(rows, heads, prompt, width) for _ in range(2)]
        if onednn_is_precise():
            stored.append(query.new_empty(rows * count, heads, tokens, prompt + tokens))
            stored.append(query.new_empty(rows, heads, prompt, prompt))
        ctx.save_for_backward(query, key, value, *stored)
        return torch.empty_like(query)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of queries, keys and values."""
        query, key, value, *stored = ctx.saved_tensors
        parts = [torch.empty_like(each) for each in stored]
        del parts
        return *(torch.empty_like(each) for each in (query, key, value)), None, None


class TiledHead(torch.autograd.Function):
    """The log-probability of N tokens from hidden states (N, H) and the head's weights (V, H)."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, dtype: torch.dtype, tile: int) -> Tensor:
        """Log-probabilities (N,). tile: tokens computed at a time."""
        sums = [hidden.new_empty(len(hidden), dtype=torch.float32) for _ in range(7)]
        products = _tile(hidden, weight, dtype, tile)
        logits = products.float() * 1.0
        powers = logits - 1.0
        weighted = torch.exp(powers) * logits
        del products, logits, powers, weighted
        ctx.save_for_backward(hidden, weight, *sums[:2])
        ctx.dtype, ctx.tile = dtype, tile
        return sums[2]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """The gradients of hidden states and weights, added up in float32."""
        hidden, weight, *_ = ctx.saved_tensors
        sums = [
            torch.zeros_like(each, dtype=torch.float32) if needed else None
            for each, needed in zip((hidden, weight), ctx.needs_input_grad, strict=False)
        ]
        products = _tile(hidden, weight, ctx.dtype, ctx.tile)
        logits = products.float() * 1.0
        scaled = logits * 1.0
        powers = torch.exp(scaled - 1.0)
        gradient = torch.zeros_like(logits) + powers * 1.0
        del products, logits, scaled, powers, gradient
        of_hidden, of_weight = (
            None if total is None else total.to(each.dtype)
            for total, each in zip(sums, (hidden, weight), strict=True)
        )
        return of_hidden, of_weight, None, None


def _tile(hidden: Tensor, weight: Tensor, dtype: torch.dtype, tile: int) -> Tensor:
    """A tile of products: TRL makes room for `COLUMNS` words however large the vocabulary is."""
    room = hidden.new_empty((min(len(hidden), tile), COLUMNS), dtype=dtype)
    return room[:, : min(len(weight), COLUMNS)]
