"""The model's `forward` with shared prompts: it packs, checks itself, and falls back.

The seam is the model. Whoever calls it, TRL or `generate`, gets what the plain
model returns, and no module is added: the model saves and loads as it did.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from rftcore import distributed
from rftcore.errors import ModelError
from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.shared_prefix.family import draws, working_dtype
from rftcore.training.shared_prefix.images import encode_once
from rftcore.training.shared_prefix.prefill import SharedPrefill, is_prefill
from rftcore.training.shared_prefix.scoring import SharedScoring, is_scoring

logger = logging.getLogger(__name__)

# How far the shared form may be from the plain one: nats per token, mean over a row
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-8, torch.float16: 1e-2, torch.bfloat16: 5e-2}

Way = type[SharedScoring] | type[SharedPrefill]


def share_prefix(model: Any, *, insist: bool = False) -> Sharing:
    """Let `model` read the prompt of a group once, from now on.

    Call it after TRL has given the model its fused head, before accelerate
    prepares it. With `insist`, what cannot be shared is an error, not the plain form.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    sharing = Sharing(base, base.forward, insist)

    @functools.wraps(type(base).forward)  # `generate` reads the signature
    def forward(self: Any, *args: Any, **inputs: Any) -> Any:
        return sharing.call(args, inputs)

    base.forward = MethodType(forward, base)
    if (encode := getattr(base.base_model, "get_image_features", None)) is not None:
        base.base_model.get_image_features = encode_once(encode, sharing.plainly)
    return sharing


class Sharing:
    """One model's shared prompts: how its calls are made, and what that saved.

    off: why calls are plain, or None. differences: of each kind of call, how far
    its first shared one was from the plain one.
    """

    def __init__(self, model: Any, plain: Callable[..., Any], insist: bool) -> None:
        self.off: str | None = None
        self.differences: dict[str, float] = {}
        self.read = self.unshared = 0  # tokens since `metrics` was last asked
        self._model, self._plain, self._insist = model, plain, insist
        self._said: set[str] = set()
        self._draws: bool | None = None
        self._checking = False

    def call(self, args: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
        """What the plain model returns for this call."""
        way = None if args or self.off else _way(inputs)
        shared = self._shared(way, inputs) if way else None
        if way is None or shared is None:
            return self._plain(*args, **inputs)
        if way.__name__ not in self.differences:
            return self._checked(way, shared, inputs)
        return self._run(shared)

    def metrics(self) -> dict[str, float]:
        """Whether prompts are shared; which part of the tokens was not read since last time."""
        saved = 1 - self.read / self.unshared if self.unshared else 0.0
        self.read = self.unshared = 0
        worst = max(self.differences.values(), default=0.0)
        return {
            "shared_prefix/on": float(self.off is None),
            "shared_prefix/tokens_saved": saved,
            "shared_prefix/difference": worst,
        }

    def plainly(self) -> bool:
        """Whether calls go through as they are."""
        return self._checking or self.off is not None or self._drops()

    @contextmanager
    def _in_plain(self) -> Iterator[None]:
        self._checking = True
        try:
            yield
        finally:
            self._checking = False

    def _shared(self, way: Way, inputs: dict[str, Any]) -> SharedScoring | SharedPrefill | None:
        try:
            if self._drops():
                raise NotShared("dropout is on, and would drop the same values for a whole group")
            return way.of(self._model, inputs)
        except NotShared as reason:
            self._say(str(reason))
            return None

    def _run(self, shared: SharedScoring | SharedPrefill) -> Any:
        read, unshared = shared.saved
        self.read, self.unshared = self.read + read, self.unshared + unshared
        return shared.restore(self._plain(**shared.inputs))

    def _checked(
        self, way: Way, shared: SharedScoring | SharedPrefill, inputs: dict[str, Any]
    ) -> Any:
        """Both forms; the shared one if they agree, else the plain one from now on."""
        aside = dict(inputs)
        if (cache := inputs.get("past_key_values")) is not None:
            aside["past_key_values"] = copy.deepcopy(cache)  # it is empty yet
        with torch.no_grad(), self._in_plain():
            plain = self._plain(**aside)
        output = self._run(shared)
        difference = distance(output, plain)
        self.differences[way.__name__] = difference
        limit = TOLERANCES.get(working_dtype(self._model), max(TOLERANCES.values()))
        if difference <= limit:
            return output
        self.leave_plain(
            f"it differs from the plain form by {difference:.1e} nats per token, more than the "
            f"{limit:.0e} that rounding explains; please report it with the model's name"
        )
        return plain if cache is not None else self._plain(**inputs)

    def leave_plain(self, reason: str) -> None:
        """Make every call in the plain form from now on, and say why.

        Raises: `ModelError` if sharing is insisted on.
        """
        self.off = reason
        self._say(reason)

    def _drops(self) -> bool:
        if self._model.training and self._draws is None:
            self._draws = draws(self._model)
        return bool(self._model.training and self._draws)

    def _say(self, reason: str) -> None:
        name = type(self._model).__name__
        text = f"grpo.shared_prefix: the group's prompt is not shared for {name}: {reason}"
        if self._insist:
            raise ModelError(f"{text}. `--set grpo.shared_prefix=auto` goes on in the plain form")
        if reason not in self._said and distributed.is_main():
            logger.warning(text)
        self._said.add(reason)


def _way(inputs: dict[str, Any]) -> Way | None:
    if is_scoring(inputs):
        return SharedScoring
    return SharedPrefill if is_prefill(inputs) else None


def distance(shared: Any, plain: Any) -> float:
    """How far two results are apart, of the worst row.

    |difference| of log-probabilities in nats, mean over a row's tokens; of a prefill those
    of the next token, or that of the cached keys in units of their size, if it is more.
    """
    if "log_probs" in plain:
        told = plain.label_mask
        gaps = _gaps(shared.log_probs, plain.log_probs).where(told, 0.0)
        return float((gaps.sum(1) / told.sum(1).clamp(min=1)).max())
    next_token = _gaps(shared.logits.log_softmax(-1), plain.logits.log_softmax(-1)).mean(-1).max()
    layers = zip(shared.past_key_values.layers, plain.past_key_values.layers, strict=True)
    keys = [(mine.keys, its.keys) for mine, its in layers if isinstance(its.keys, Tensor)]
    relative = [_gaps(*pair).flatten(1).mean(1) / _size(pair[1]) for pair in keys]
    return max(float(next_token), *(float(gaps.max()) for gaps in relative))


def _gaps(one: Tensor, other: Tensor) -> Tensor:
    """|difference|, infinite where one of the two is not a number."""
    return (one.detach().float() - other.float()).abs().nan_to_num(nan=float("inf"))


def _size(values: Tensor) -> Tensor:
    """Mean |value| of each row."""
    return values.float().abs().flatten(1).mean(1)
