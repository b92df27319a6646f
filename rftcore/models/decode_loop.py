"""A decode loop of our own for transformers' `generate`: less work per token, the same tokens.

`generate(custom_generate=decode)` prepares prompts, cache, logits processors and stopping criteria
as usual, then calls `decode` in place of its own loop. Differences from that loop:

- Rows leave the batch where they end; the others continue without them.
- Keys and values are written into buffers for many tokens, not copied for each token.
- A token is drawn by one uniform number u per row: the first token whose cumulative probability
  exceeds u. torch.multinomial draws a number for each word of the vocabulary. The distribution is
  the same; with one seed the draws differ from those of the plain loop.

Greedy tokens are those of the plain loop. Calls that `decode` does not support (beams, a processor
that depends on row numbers, recurrent states) use the plain loop.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.generation import logits_process
from transformers.generation.configuration_utils import GenerationMode
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.integrations.fsdp import is_fsdp_managed_module

from rftcore.models.cache_name import CACHE, cache_of
from rftcore.models.token_record import IN_USE, recorded

STEP = 8  # rows leave in such numbers, so that few of them move
ROOM = 64  # tokens that keys and values get room for at a time
NOT_A_PROBABILITY = "probability tensor contains either `inf`, `nan` or element < 0"
DYNAMIC = (None, "dynamic")  # kinds of cache that grow
# Processors that treat each row independently of the others, as far as this transformers has them
BY_ROW = tuple(
    found
    for name in (
        *("TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper"),
        *("TypicalLogitsWarper", "EpsilonLogitsWarper", "EtaLogitsWarper"),
        *("RepetitionPenaltyLogitsProcessor", "NoRepeatNGramLogitsProcessor"),
        *("SuppressTokensLogitsProcessor", "MinLengthLogitsProcessor"),
        *("MinNewTokensLengthLogitsProcessor", "NoBadWordsLogitsProcessor"),
        *("InfNanRemoveLogitsProcessor", "LogitNormalization", "ForcedEOSTokenLogitsProcessor"),
    )
    if (found := getattr(logits_process, name, None)) is not None
)
# What a model is called with at every token; of the rest, what it is called with at the first only
LASTING = ("attention_mask", "position_ids", CACHE, "use_cache", "logits_to_keep")
KINDS = ("token_type_ids", "mm_token_type_ids")  # of tokens; written ones are of the last, or text
FIRST = (
    *("pixel_values", "image_grid_thw", "mm_encoder_outputs", "pixel_attention_mask"),
    *("image_sizes", "spatial_shapes"),
)


class Unsupported(Exception):  # noqa: N818 - control flow: `generate` below catches it
    """Why `decode` leaves a call to the plain loop."""


def generate(model: Any, plain: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
    """What `plain(**inputs)` returns, by `decode` where it supports the call.

    plain: `generate` of the model, or a wrapper of it.
    """
    if _needs_plain(model, inputs) or (cache := growing_cache(model)) is None:
        return plain(**recorded(inputs))
    kept = {name: value for name, value in inputs.items() if name != "cache_implementation"}
    if (config := inputs.get("generation_config")) is not None:
        kept["generation_config"] = copy.copy(config)
        kept["generation_config"].cache_implementation = None  # the cache is ours
    try:
        return plain(**kept, **{CACHE: cache}, custom_generate=decode)
    except Unsupported:
        return plain(**recorded(inputs))


def _needs_plain(model: Any, inputs: Mapping[str, Any]) -> bool:
    """Whether a call has arguments that `decode` does not receive, or another kind of cache."""
    config = inputs.get("generation_config") or model.generation_config
    objects = (CACHE, "past_key_values", "custom_generate", "inputs_embeds", "streamer")
    callers = ("logits_processor", "stopping_criteria", "prefix_allowed_tokens_fn", "synced_gpus")
    kind = inputs.get("cache_implementation", config.cache_implementation)
    stops = inputs.get("stop_strings", config.stop_strings)
    return (
        kind not in DYNAMIC
        or stops is not None
        or any(inputs.get(name) is not None for name in (*objects, *callers, "assistant_model"))
        or model.config.is_encoder_decoder
        or is_deepspeed_zero3_enabled()  # type: ignore[no-untyped-call]
        or is_fsdp_managed_module(model)
    )


def decode(
    model: Any,
    input_ids: Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    **inputs: Any,
) -> Tensor:
    """Token ids (B, T) with the prompts (B, P); rows that ended earlier end in padding.

    Raises: `Unsupported`, before the model is called, for calls that need the plain loop.
    """
    require_supported(logits_processor, generation_config, inputs)
    batch, start = input_ids.shape
    ends = generation_config.eos_token_id
    first_end = ends[0] if isinstance(ends, list) else ends
    padding = generation_config.pad_token_id
    padding = first_end if padding is None else padding
    most = generation_config.max_length
    ids = input_ids.new_full((batch, most), 0 if padding is None else padding)
    ids[:, :start] = input_ids
    rows = torch.arange(batch, device=ids.device)  # of `ids`, that the model still reads
    over = torch.zeros_like(rows, dtype=torch.bool)  # which of them have ended
    output = model(
        **model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **inputs),
        return_dict=True,
    )
    going = Going(inputs, cache_of(output))
    for length in range(start, most):
        logits = output.logits[:, -1].float()
        scores = logits_processor(ids[rows, :length], logits)
        uniform = torch.rand(batch, 1, device=ids.device) if generation_config.do_sample else None
        tokens = choose(scores, None if uniform is None else uniform[rows])
        for record in IN_USE:
            record.add(logits, tokens, rows, batch)
        ids[rows, length] = tokens.where(~over, ids[rows, length])
        over = over | stopping_criteria(ids[rows, : length + 1], None)
        left = len(rows) - int(over.sum())
        if left == 0:
            return ids[:, : length + 1]
        going.extend()
        if (size := -(-left // STEP) * STEP) < len(rows):
            kept = compact(over, size)
            rows, over = rows[kept], over[kept]
            going.select(kept)
        so_far = ids[rows, : length + 1]
        output = model(
            **model.prepare_inputs_for_generation(so_far, next_sequence_length=1, **going.inputs),
            return_dict=True,
        )
    return ids


def require_supported(logits_processor: Any, config: Any, inputs: Mapping[str, Any]) -> None:
    """Raise `Unsupported` for rows that cannot leave, or results that are more than tokens."""
    given = {name for name, value in inputs.items() if value is not None}
    cache = inputs.get(CACHE)
    layers = cache.layers if isinstance(cache, Cache) else ()
    if config.get_generation_mode() not in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE):
        raise Unsupported("more than one row is kept for each prompt")
    if config.return_dict_in_generate or config.prefill_chunk_size or not config.use_cache:
        raise Unsupported("the result is more than tokens, or there is no cache")
    if beyond := given - {*LASTING, *KINDS, *FIRST}:
        raise Unsupported(f"the model is called with {', '.join(sorted(beyond))}")
    if not layers or any(type(layer) is not GrowingLayer for layer in layers):
        raise Unsupported("the cache has layers of another kind")
    if not all(isinstance(one, BY_ROW) for one in logits_processor):
        raise Unsupported("a logits processor may depend on row numbers")


class Going:
    """The model's arguments beside the token ids, as rows grow and leave."""

    def __init__(self, inputs: Mapping[str, Any], cache: Cache) -> None:
        given = {name: value for name, value in inputs.items() if value is not None}
        self.inputs = {name: given[name] for name in (*LASTING, *KINDS) if name in given}
        self.inputs[CACHE] = cache
        for name in ("position_ids", *KINDS):
            if name in self.inputs:
                self.inputs[name] = self.inputs[name][..., -1:]
        if "mm_token_type_ids" in self.inputs:  # what is written is text
            self.inputs["mm_token_type_ids"] = torch.zeros_like(self.inputs["mm_token_type_ids"])

    def extend(self) -> None:
        """One more token in every row."""
        if (positions := self.inputs.get("position_ids")) is not None:
            self.inputs["position_ids"] = positions + 1
        if (mask := self.inputs.get("attention_mask")) is not None:
            self.inputs["attention_mask"] = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order."""
        self.inputs[CACHE].batch_select_indices(rows)
        for name in ("attention_mask", *KINDS):
            if name in self.inputs:
                self.inputs[name] = _rows(self.inputs[name], rows)
        if "position_ids" in self.inputs:  # (B, 1), or (3, B, 1), or for all rows (1, 1)
            self.inputs["position_ids"] = _rows(self.inputs["position_ids"], rows)


def _rows(values: Tensor, rows: Tensor) -> Tensor:
    """The given rows of (B, ...) or (K, B, ...); one row that holds for all stays."""
    axis = values.ndim - 2
    return values if values.shape[axis] == 1 else values.index_select(axis, rows)


def choose(scores: Tensor, uniform: Tensor | None) -> Tensor:
    """The most likely token of each row (B, V), or one drawn by a uniform number (B, 1): (B,).

    Raises: RuntimeError, as torch.multinomial does, for scores that are no distribution.
    """
    if uniform is None:
        return scores.argmax(-1)
    below = scores.softmax(-1).cumsum(-1)
    total = below[:, -1:]
    if not bool(total.isfinite().all()):
        raise RuntimeError(NOT_A_PROBABILITY)
    # below the total after rounding, too, or a token of probability 0 could be drawn
    point = torch.minimum(uniform * total, total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(below, point, right=True)[:, 0]


def compact(ended: Tensor, size: int) -> Tensor:
    """So many rows, among them all that have not ended; as few as possible move."""
    order = torch.arange(size, device=ended.device)
    moving = size + (~ended[size:]).nonzero()[:, 0]
    free = ended[:size].nonzero()[: len(moving), 0]
    order[free] = moving
    return order


def growing_cache(model: Any) -> GrowingCache | None:
    """An empty cache of `GrowingLayer`s, or None if a layer of the model caches something else."""
    cache = GrowingCache(config=model.config.get_text_config(decoder=True))
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    cache.layers = [GrowingLayer() for _ in cache.layers]
    return cache


class GrowingCache(DynamicCache):
    """A cache whose rows may share the keys and values of their prompts.

    prompt_of: (B,), which of the shared prompts each row continues; None if each holds its own.
    """

    prompt_of: Tensor | None = None

    def held(self) -> list[GrowingLayer]:
        """The layers."""
        layers: Any = self.layers
        return list(layers)

    def share(self, prompt_of: Tensor) -> None:
        """Take what is held as prompts; from now on there are as many rows as here, each with one.

        `update` then returns what the rows have added: attention must look at `shared`, too.
        """
        self.prompt_of = prompt_of
        for layer in self.held():
            layer.share(len(prompt_of))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, and the prompts that they need."""
        super().batch_select_indices(indices)
        if self.prompt_of is None:
            return
        kept, self.prompt_of = torch.unique(self.prompt_of[indices], return_inverse=True)
        for layer in self.held():
            if layer.shared is not None and len(kept) < len(layer.shared[0]):
                layer.shared = layer.shared[0][kept], layer.shared[1][kept]


class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values (B, H, T, D) of a layer, in room for more tokens than there are.

    shared: keys and values (P, H, Tp, D) of prompts that rows have in common, or None.
    """

    keys: Any  # tensors, once there are any
    values: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shared: tuple[Tensor, Tensor] | None = None
        self._room: tuple[Tensor, Tensor] | None = None
        self._shown: tuple[Any, Any] = (None, None)  # what of the room is in `keys` and `values`

    def get_seq_length(self) -> int:
        """Tokens of a row, those of its prompt included."""
        own: int = super().get_seq_length()
        return own if self.shared is None else own + self.shared[0].shape[-2]

    def share(self, rows: int) -> None:
        """Take what is held as prompts of as many rows, which are empty yet."""
        self.shared = self.keys, self.values
        self.keys, self.values = (
            states.new_empty(rows, states.shape[1], 0, states.shape[3]) for states in self.shared
        )

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store, and return all keys and values so far but the shared ones."""
        if not self.get_seq_length():  # the prompts: `generate` may repeat or select their rows
            return super().update(key_states, value_states, *args, **kwargs)
        before, new = self.keys.shape[-2], key_states.shape[-2]
        room = self._with_room(before + new) or (_room(self.keys, new), _room(self.values, new))
        for place, states in zip(room, (key_states, value_states), strict=True):
            place[: len(states), :, before : before + new] = states
        self._show(room, len(key_states), before + new)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows; rows that stay where they are are not copied."""
        moved = indices != torch.arange(len(indices), device=indices.device)
        length = self.keys.shape[-2]
        room = self._with_room(length)
        if room is None or bool((indices[moved] < len(indices)).any()):
            self.keys, self.values = self.keys[indices], self.values[indices]
            return
        for states in room:
            states[: len(indices), :, :length][moved] = states[indices[moved], :, :length]
        self._show(room, len(indices), length)

    def _with_room(self, length: int) -> tuple[Tensor, Tensor] | None:
        """The buffer, if it has the current keys and values and room for this many tokens."""
        holds = self.keys is self._shown[0] and self.values is self._shown[1]
        enough = self._room is not None and length <= self._room[0].shape[-2]
        return self._room if holds and enough else None

    def _show(self, room: tuple[Tensor, Tensor], rows: int, length: int) -> None:
        self._room = room
        self.keys, self.values = (states[:rows, :, :length] for states in room)
        self._shown = self.keys, self.values


def _room(states: Tensor, more: int) -> Tensor:
    """A copy of (B, H, T, D) with room for at least `more` tokens."""
    rows, heads, length, width = states.shape
    room = states.new_empty(rows, heads, length + max(more, ROOM), width)
    room[:, :, :length] = states
    return room
