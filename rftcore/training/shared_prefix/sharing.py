"""A model's `forward` with shared prompts: it packs, checks the first batch, and falls back.

The model is wrapped, and no caller of it changes: TRL and `generate` get what the plain
model returns. No module is added, so the model saves and loads as before.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rftcore import distributed
from rftcore.errors import ModelError, one_line
from rftcore.models.cache_name import CACHE, cache_of
from rftcore.models.decode_loop import GrowingCache
from rftcore.training.shared_prefix import attention
from rftcore.training.shared_prefix.attention import OneToken
from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.shared_prefix.family import has_active_dropout, tolerance
from rftcore.training.shared_prefix.images import encode_once
from rftcore.training.shared_prefix.prefill import SharedPrefill, is_prefill
from rftcore.training.shared_prefix.scoring import SharedScoring, is_scoring

if TYPE_CHECKING:
    from transformers.utils.generic import ModelOutput

logger = logging.getLogger(__name__)

Form = type[SharedScoring] | type[SharedPrefill]


def share_prefix(model: Any, *, required: bool = False, in_parts: bool = True) -> Sharing:
    """Let `model` read the prompt of a group once, from now on.

    Call it after TRL has added its fused head to the model, and before accelerate
    prepares it. With `required`, what cannot be shared is an error; without it, such
    a call is made in the plain form. in_parts: on a CPU, compute attention in parts.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if in_parts:
        attention.use(base)
    sharing = Sharing(base, base.forward, required)

    @functools.wraps(type(base).forward)  # `generate` reads the signature
    def forward(self: Any, *args: Any, **inputs: Any) -> ModelOutput:
        return sharing.call(args, inputs)

    base.forward = MethodType(forward, base)
    if (encode := getattr(base.base_model, "get_image_features", None)) is not None:
        base.base_model.get_image_features = encode_once(
            encode, sharing.is_off, sharing.failed, sharing.limit
        )
    return sharing


class Sharing:
    """The shared prompts of one model: how its calls are made, and what that saves.

    off: why calls are plain, or None. differences: of each kind of call, the distance
    of its first shared one from the plain one.
    """

    def __init__(self, model: Any, plain: Callable[..., ModelOutput], required: bool) -> None:
        self.off: str | None = None
        self.differences: dict[str, float] = {}
        self.read = self.unshared = 0  # tokens since the last call of `metrics`
        self._model, self._plain, self._required = model, plain, required
        self._warned: set[str] = set()
        self._dropout: bool | None = None
        self._checking = False
        self._rows: OneToken | None = None  # of the last call for one token

    def call(self, args: tuple[Any, ...], inputs: dict[str, Any]) -> ModelOutput:
        """What the plain model returns for this call.

        Raises: `ModelError` if sharing is required and not possible.
        """
        cache = inputs.get(CACHE)
        if isinstance(cache, GrowingCache) and cache.prompt_of is not None:
            return self._one_token(cache, cache.prompt_of, inputs)
        self._rows = None
        form = None if args else _form(inputs)
        shared = self._shared(form, inputs) if form and not self.off else None
        if form is None or shared is None:
            if form is not None:
                self._count_plain(inputs)
            return self._plain(*args, **inputs)
        if form.__name__ not in self.differences:
            return self._checked(form, shared, inputs)
        output = self._run(shared)
        self._count(*shared.saved)
        return output

    def _one_token(
        self, cache: GrowingCache, prompt_of: Tensor, inputs: dict[str, Any]
    ) -> ModelOutput:
        """A call of `generate` for the next token of rows that share prompts."""
        if self._rows is None or self._rows.prompt_of is not prompt_of:
            self._rows = OneToken.of(cache, prompt_of, inputs.get("attention_mask"))
        with attention.in_parts(self._rows):
            return self._plain(**{**inputs, "attention_mask": None})

    def metrics(self) -> dict[str, float]:
        """The share of ranks that share prompts, and of tokens not read since the last call.

        Of all tokens of prompts and of scored completions, those of calls in the plain form too.
        Every rank has to call this.
        """
        worst = max(self.differences.values(), default=0.0)
        mine = float(self.off is None), self.read, self.unshared, worst
        on, read, unshared, differences = zip(*distributed.all_gather(mine), strict=True)
        self.read = self.unshared = 0
        return {
            "shared_prefix/on": sum(on) / len(on),
            "shared_prefix/tokens_saved": 1 - sum(read) / sum(unshared) if sum(unshared) else 0.0,
            "shared_prefix/difference": max(differences),
        }

    def limit(self) -> float:
        """How far the shared form may be from the plain one, in the dtype of the computation."""
        return tolerance(self._model)

    def is_off(self) -> bool:
        """Whether calls go through unchanged at the moment."""
        return self._checking or self.off is not None or self._dropout_is_on()

    def failed(self, error: Exception) -> None:
        """Disable sharing after an exception of the shared form.

        Raises: `ModelError` if sharing is required.
        """
        self.disable(
            f"its shared form raised {type(error).__name__}: {one_line(error)}; please report it "
            "with the model's name"
        )

    def disable(self, reason: str) -> None:
        """Make every call in the plain form from now on, and log the reason.

        Raises: `ModelError` if sharing is required.
        """
        self.off = reason
        self._warn(reason)

    @contextmanager
    def _plain_check(self) -> Iterator[None]:
        self._checking = True
        try:
            yield
        finally:
            self._checking = False

    def _shared(self, form: Form, inputs: dict[str, Any]) -> SharedScoring | SharedPrefill | None:
        try:
            if self._dropout_is_on():
                raise NotShared("dropout is on, and would drop the same values for a whole group")
            return form.of(self._model, inputs)
        except NotShared as reason:
            self._warn(str(reason))
        except Exception as error:  # a family or version with other arguments: train all the same
            self.failed(error)
        return None

    def _run(self, shared: SharedScoring | SharedPrefill) -> ModelOutput:
        with attention.in_parts(shared.parts(self._model)):
            output = self._plain(**shared.inputs)
        return shared.restore(output)

    def _count_plain(self, inputs: Mapping[str, Any]) -> None:
        ids = inputs.get("input_ids")
        tokens = 0 if ids is None else ids.numel()
        self._count(tokens, tokens)

    def _count(self, read: int, unshared: int) -> None:
        self.read, self.unshared = self.read + read, self.unshared + unshared

    def _checked(
        self, form: Form, shared: SharedScoring | SharedPrefill, inputs: dict[str, Any]
    ) -> ModelOutput:
        """Both forms; the shared one if they agree, else the plain one from now on."""
        apart = dict(inputs)
        if (cache := inputs.get(CACHE)) is not None:
            apart[CACHE] = copy.deepcopy(cache)  # it is still empty
        with torch.no_grad(), self._plain_check():
            plain = self._plain(**apart)
        try:
            output = self._run(shared)
            difference = distance(output, plain)
        except Exception as error:  # the plain form has just worked
            self.failed(error)
        else:
            self.differences[form.__name__] = difference
            limit = self.limit()
            if difference <= limit:
                self._count(*shared.saved)
                return output
            self.disable(
                f"it differs from the plain form by {difference:.1e} nats per token, more than "
                f"the {limit:.0e} that rounding explains; please report it with the model's name"
            )
        self._count_plain(inputs)
        # `generate` continues with the cache of the output; for training, gradients are needed
        return plain if cache is not None else self._plain(**inputs)

    def _dropout_is_on(self) -> bool:
        if self._model.training and self._dropout is None:
            self._dropout = has_active_dropout(self._model)
        return bool(self._model.training and self._dropout)

    def _warn(self, reason: str) -> None:
        name = type(self._model).__name__
        text = f"grpo.shared_prefix: the group's prompt is not shared for {name}: {reason}"
        if self._required:
            raise ModelError(f"{text}. `--set grpo.shared_prefix=auto` trains in the plain form")
        if reason not in self._warned and distributed.is_main():
            logger.warning(text)
        self._warned.add(reason)


def _form(inputs: Mapping[str, Any]) -> Form | None:
    if is_scoring(inputs):
        return SharedScoring
    return SharedPrefill if is_prefill(inputs) else None


def distance(shared: ModelOutput, plain: ModelOutput) -> float:
    """The distance of two results of one call, of the worst row.

    |difference| of log-probabilities (B, T - 1) in nats, mean over a row's tokens; of a prefill
    that of the next token's (B, 1, V), or of the cached keys in units of their size, if it is
    larger.
    """
    one: Any = shared
    other: Any = plain
    if "log_probs" in other:
        scored = other.label_mask
        gaps = _gaps(one.log_probs, other.log_probs).where(scored, 0.0)
        return float((gaps.sum(1) / scored.sum(1).clamp(min=1)).max())
    next_token = _gaps(one.logits.log_softmax(-1), other.logits.log_softmax(-1)).mean(-1).max()
    layers = zip(_keys(cache_of(one)), _keys(cache_of(other)), strict=True)
    keys = [(a, b) for a, b in layers if isinstance(b, Tensor)]
    relative = [_gaps(*pair).flatten(1).mean(1) / _size(pair[1]) for pair in keys]
    return max(float(next_token), *(float(gaps.max()) for gaps in relative))


def _keys(cache: Any) -> list[Any]:
    """The keys of each layer (B, H, T, D), those of shared prompts once per row."""
    if isinstance(cache, GrowingCache) and cache.prompt_of is not None:
        held = [layer.shared for layer in cache.held()]
        return [shared[0][cache.prompt_of] for shared in held if shared is not None]
    return [layer.keys for layer in cache.layers]


def _gaps(one: Tensor, other: Tensor) -> Tensor:
    """|difference|, infinite where one of the two is not a number."""
    return (one.detach().float() - other.float()).abs().nan_to_num(nan=float("inf"))


def _size(values: Tensor) -> Tensor:
    """Mean |value| of each row: (B,)."""
    return values.float().abs().flatten(1).mean(1)
