"""The largest batches of a run as a model receives them.

One row goes through the processor; a batch is that row as often as needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rftcore.models.encoding import apply_processor, render, text_ids, with_reply
from rftcore.types import Prompt


@dataclass(frozen=True)
class Batch:
    """Inputs of a model, and which of their tokens (B, T) the loss scores."""

    inputs: Mapping[str, Tensor]
    scored: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and tokens of each."""
        rows, length = self.inputs["input_ids"].shape
        return int(rows), int(length)

    @property
    def pixels(self) -> int:
        """Bytes of the images, as numbers."""
        return sum(t.nbytes for t in self.inputs.values() if t.is_floating_point())


def of_sft(
    processor: Any, prompt: Prompt, target: str, rows: int, *, end: str, most: int | None
) -> Batch:
    """Rows of a prompt with its target, cut at `most` tokens. end: what ends a turn."""
    reply = with_reply(processor, prompt, target, end)
    one = _encoded(processor, reply, prompt)
    start = _encoded(processor, render(processor, prompt), prompt)["input_ids"].shape[1]
    if most is not None:
        one = _cut(one, max(most, start))
    scored = torch.zeros(one["input_ids"].shape, dtype=torch.bool)
    scored[:, start:] = True
    return Batch(_repeated(one, rows), scored.repeat(rows, 1))


def of_prompts(
    processor: Any, prompt: Prompt, rows: int, dtype: torch.dtype | None = None
) -> Batch:
    """Rows of a prompt alone, as a rollout reads them. dtype: of their images, if they are cast."""
    one = _encoded(processor, render(processor, prompt), prompt)
    if dtype is not None:
        one = {n: t.to(dtype) if t.is_floating_point() else t for n, t in one.items()}
    scored = torch.zeros(one["input_ids"].shape, dtype=torch.bool)
    return Batch(_repeated(one, rows), scored.repeat(rows, 1))


def of_completions(processor: Any, prompt: Prompt, rows: int, tokens: int) -> Batch:
    """Rows of a prompt and a completion of so many tokens."""
    batch = of_prompts(processor, prompt, rows)
    more = text_ids(processor, "a")[0]
    inputs = {
        name: _longer(name, each, tokens, more) if each.shape == batch.scored.shape else each
        for name, each in batch.inputs.items()
    }
    scored = torch.ones(rows, tokens, dtype=torch.bool)
    return Batch(inputs, torch.cat([batch.scored, scored], dim=1))


def _encoded(processor: Any, text: str, prompt: Prompt) -> dict[str, Tensor]:
    images = [image.open() for image in prompt.images]
    encoded = apply_processor(processor, [text], [images])
    return {name: each for name, each in encoded.items() if isinstance(each, Tensor)}


def _repeated(inputs: Mapping[str, Tensor], rows: int) -> dict[str, Tensor]:
    """Every tensor as often: rows, images and tiles are all counted in the first dimension."""
    return {n: each.repeat(rows, *[1] * (each.ndim - 1)) for n, each in inputs.items()}


def _cut(inputs: Mapping[str, Tensor], most: int) -> dict[str, Tensor]:
    shape = inputs["input_ids"].shape
    return {n: each[:, :most] if each.shape == shape else each for n, each in inputs.items()}


def _longer(name: str, values: Tensor, tokens: int, word: int) -> Tensor:
    fill = {"input_ids": word, "attention_mask": 1}.get(name, 0)
    return torch.cat([values, values.new_full((len(values), tokens), fill)], dim=1)
