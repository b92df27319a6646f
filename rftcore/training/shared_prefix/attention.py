"""Attention over shared prompts on a CPU: only between tokens that see one another.

torch's attention kernel for a CPU computes masked pairs of tokens like any other, and reads the
keys of a prompt again for each completion. Two calls are therefore computed in parts, each with
the result of the plain call up to rounding:

- scoring: prompts among themselves, then each completion over its prompt and itself;
- one token per row (`generate`): over the prompt's keys, held once per group, and the row's own.

Every other call goes to transformers' `sdpa`, as before. On a GPU nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from rftcore.models.decode_loop import GrowingCache
from rftcore.training.cpu import products_are_fast
from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.shared_prefix.family import mask_dtype
from rftcore.training.shared_prefix.packing import EMPTY, PROMPT, Packing

NAME = "rft_shared_prompts"
WHOLE = 2**23  # scores (rows x heads x queries x keys) that are held at once, at most
PLAIN = ("softcap", "s_aux", "position_bias", "cache")  # arguments only `sdpa` understands


class Parts(Protocol):
    """How a call is computed in parts."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Queries (B, H, T, D), keys and values (B, K, T', D): results (B, T, H, D)."""


@dataclass
class Witness:
    """Sees what the layers attend to by `attend`; how they attend stays as it is.

    read: the memory of each layer's keys and values, in the order of the calls.
    """

    read: list[Place] = field(default_factory=list)

    def has_read(self, cache: GrowingCache) -> bool:
        """Whether the layers attend to just what the cache holds.

        Compressed keys and values (MLA) are expanded after the cache.
        """
        return self.read == [_place(layer.keys, layer.values) for layer in cache.held()]


Place = tuple[tuple[int, torch.Size], ...]


def _place(*states: Tensor) -> Place:
    return tuple((each.data_ptr(), each.shape) for each in states)


_parts: ContextVar[Parts | Witness | None] = ContextVar("parts", default=None)


@contextmanager
def in_parts(parts: Parts | Witness | None) -> Iterator[None]:
    """Compute attention in these parts, where a model uses `attend`."""
    token = _parts.set(parts)
    try:
        yield
    finally:
        _parts.reset(token)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **given: Any
) -> tuple[Tensor, Tensor | None]:
    """What transformers' `sdpa` returns: results (B, T, H, D), and no weights."""
    parts = _parts.get()
    if isinstance(parts, Witness):
        parts.read.append(_place(key, value))
        parts = None
    if parts is None or given.get("dropout") or any(given.get(n) is not None for n in PLAIN):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **given)
    scale = given.get("scaling")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return parts.attend(module.layer_idx, query, key, value, scale), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


def use(model: Any) -> None:
    """Let the language model of `model` use `attend`, if it is on a CPU and attends by `sdpa`."""
    if model.device.type != "cpu":
        return
    try:
        if mask_dtype(model) != torch.bool:
            return
    except NotShared:
        return
    text = model.config.get_text_config(decoder=True)
    names = [name for name in model.config.sub_configs if getattr(model.config, name) is text]
    model.set_attn_implementation({names[0] if names else "": NAME})


@dataclass(frozen=True)
class Segments:
    """A packed batch (R, L) by prompts and completions. Cells are numbered through all rows.

    prompts (P, Lp), completions (S, C): their cells, -1 where they are shorter.
    prompt_of (S,): the prompt of each completion. shape: (R, L).
    """

    prompts: Tensor
    completions: Tensor
    prompt_of: Tensor
    shape: torch.Size

    @classmethod
    def of(cls, packing: Packing) -> Segments | None:
        """The prompts and completions of a packed batch; None if one of them is empty."""
        group, segment = packing.group.flatten(), packing.segment.flatten()
        known = (group != EMPTY).nonzero()[:, 0]
        # a group's prompt, then its completions; cells keep their order within each
        rank = group[known] * (int(segment.max()) + 1) + segment[known]
        cells = known[rank.argsort(stable=True)]
        _, counts = torch.unique(rank, return_counts=True)
        runs = torch.split(cells, counts.tolist())
        first = cells[counts.cumsum(0) - counts]
        is_prompt = segment[first] == PROMPT
        if int(is_prompt.sum()) < len(packing.order) or bool(is_prompt.all()):
            return None
        prompt_of = is_prompt.cumsum(0)[~is_prompt] - 1
        pairs = list(zip(runs, is_prompt.tolist(), strict=True))
        prompts = _padded([cells for cells, prompt in pairs if prompt])
        completions = _padded([cells for cells, prompt in pairs if not prompt])
        return cls(prompts, completions, prompt_of, packing.group.shape)

    @cached_property
    def _place(self) -> Tensor:
        """For each cell its place among the results of all prompts, then all completions."""
        cells = torch.cat([self.prompts.flatten(), self.completions.flatten()])
        place = torch.zeros(self.shape.numel(), dtype=torch.long, device=cells.device)
        known = cells >= 0
        place[cells[known]] = torch.arange(len(cells), device=cells.device)[known]
        return place

    @cached_property
    def _masks(self) -> tuple[Tensor, Tensor]:
        """Masks (P, 1, Lp, Lp) and (S, 1, C, Lp + C). A padding cell attends to the first key."""
        prompt, own = self.prompts >= 0, self.completions >= 0
        seen = _causal(prompt)
        return seen, torch.cat(
            [prompt[self.prompt_of][:, None, None].expand(-1, -1, own.shape[1], -1), _causal(own)],
            dim=-1,
        )

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Results (R, L, H, D) of queries (R, H, L, D), and keys and values (R, K, L, D)."""
        flat = [states.transpose(1, 2).flatten(0, 1) for states in (query, key, value)]
        queries, keys, values = (_cells(states, self.prompts) for states in flat)
        own, own_keys, own_values = (_cells(states, self.completions) for states in flat)
        seen, seen_by_completions = self._masks
        results = (
            _attention(queries, keys, values, seen, scale),
            _attention(
                own,
                torch.cat([keys[self.prompt_of], own_keys], dim=2),
                torch.cat([values[self.prompt_of], own_values], dim=2),
                seen_by_completions,
                scale,
            ),
        )
        joined = torch.cat([each.transpose(1, 2).flatten(0, 1) for each in results])
        return joined[self._place].view(*self.shape, *joined.shape[1:])


@dataclass(frozen=True)
class OneToken:
    """One token in each row, over the prompt that it shares and what the row has written.

    cache: holds both. prompt_of (B,): the prompts of its rows. grid (P, G): the rows of each
    prompt, any row where there are fewer. place (B,): where a row is in the grid.
    seen (P, Tp): which tokens of a prompt exist; None if all do.
    """

    cache: GrowingCache
    prompt_of: Tensor
    grid: Tensor
    place: Tensor
    seen: Tensor | None

    @classmethod
    def of(cls, cache: GrowingCache, prompt_of: Tensor, attention_mask: Tensor | None) -> OneToken:
        """For rows that share prompts; attention_mask: (B, Tp + ...), 1 for what exists."""
        rows = torch.arange(len(prompt_of), device=prompt_of.device)
        order = prompt_of.argsort(stable=True)
        count = torch.bincount(prompt_of)
        start, most = count.cumsum(0) - count, int(count.max())
        place = torch.empty_like(rows)
        place[order] = prompt_of[order] * most + rows - start[prompt_of[order]]
        grid = order[start][:, None].repeat(1, most)
        grid.view(-1)[place] = rows
        seen = None
        if attention_mask is not None:
            held = cache.get_seq_length() - cache.held()[0].keys.shape[2]
            seen = attention_mask[grid[:, 0], :held].bool()
            seen = None if bool(seen.all()) else seen
        return cls(cache, prompt_of, grid, place, seen)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Results (B, 1, H, D) of queries (B, H, 1, D), and the rows' own keys (B, K, T, D)."""
        shared = self.cache.held()[layer].shared
        if shared is None:
            raise ValueError(f"layer {layer} holds no shared prompts")
        rows, heads, _, width = query.shape
        own = (query * scale).view(rows, key.shape[1], -1, width)
        over_prompt = self._by_prompt(own) @ shared[0].transpose(2, 3)
        if self.seen is not None:
            over_prompt = over_prompt.masked_fill(~self.seen[:, None, None], float("-inf"))
        scores = torch.cat([self._by_row(over_prompt), own @ key.transpose(2, 3)], dim=-1)
        weights = scores.softmax(-1).to(value.dtype)
        of_prompt, of_own = torch.split(weights, [shared[0].shape[2], key.shape[2]], dim=-1)
        found = self._by_row(self._by_prompt(of_prompt) @ shared[1]) + of_own @ value
        return found.view(rows, 1, heads, width)

    def _by_prompt(self, states: Tensor) -> Tensor:
        """(B, K, g, N) to (P, K, G g, N)."""
        chosen = states.index_select(0, self.grid.flatten())
        return chosen.view(*self.grid.shape, *states.shape[1:]).transpose(1, 2).flatten(2, 3)

    def _by_row(self, states: Tensor) -> Tensor:
        """(P, K, G g, N) to (B, K, g, N)."""
        prompts, heads, _, width = states.shape
        apart = states.view(prompts, heads, self.grid.shape[1], -1, width)
        return apart.transpose(1, 2).flatten(0, 1).index_select(0, self.place)


def _padded(runs: list[Tensor]) -> Tensor:
    longest = max(map(len, runs))
    return torch.stack([pad(run, (0, longest - len(run)), value=-1) for run in runs])


def _cells(states: Tensor, cells: Tensor) -> Tensor:
    """States (N, H, D) of cells (P, L), the first cell's for a filler: (P, H, L, D)."""
    chosen = states.index_select(0, cells.clamp(min=0).flatten())
    return chosen.view(*cells.shape, *states.shape[1:]).transpose(1, 2)


def _causal(known: Tensor) -> Tensor:
    """(B, 1, L, L): tokens that are known see those before them and themselves."""
    length = known.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=known.device).tril()
    return (before & known[:, None, None]) | torch.eye(
        length, dtype=torch.bool, device=known.device
    )


def _attention(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scale: float) -> Tensor:
    """Results (B, H, T, D)."""
    times = query.shape[1] // key.shape[1]
    if times > 1:
        key, value = (states.repeat_interleave(times, 1) for states in (key, value))
    if products_are_fast() and query.shape[:3].numel() * key.shape[2] <= WHOLE:
        scores = (query * scale) @ key.transpose(2, 3)
        return scores.masked_fill(~seen, float("-inf")).softmax(-1) @ value
    return scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scale)
