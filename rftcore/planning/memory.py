"""The memory of each phase on one device, at each of its moments.

A moment is a part of a step with a peak of its own: a rollout, the reference model's
log-probabilities, forward and backward, the optimizer. All sizes are in bytes and for the longest
rows, so they are the most that a run needs, not its mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from rftcore.planning import batches
from rftcore.planning.batches import Batch
from rftcore.planning.trace import Compute, next_token, reading, scoring, training_step
from rftcore.types import Prompt

ROOM = 64  # tokens that the cache of a rollout is ahead
PER_WORD = 24  # bytes per word of the vocabulary and row, while a token is drawn
SORTED = 24  # more, if top_p sorts the words


@dataclass(frozen=True)
class Moment:
    """A part of a step. peak: bytes beside the state, gradients included; rest: without them.

    whole: whether every device needs all weights, however they are sharded. gradients: whether
    some exist.
    """

    name: str
    peak: int
    rest: int
    whole: bool = False
    gradients: bool = False
    parts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """Bytes that last from step to step, of one process that holds all of it.

    largest: the weights of the largest layer, which a sharded model gathers.
    """

    parameters: int
    trainable: int
    weights: int
    gradients: int
    optimizer: int
    reference: int = 0
    largest: int = 0


@dataclass(frozen=True)
class Work:
    """What one process does in a step. micro: rows of a forward. rows: all of the step."""

    micro: int
    rows: int
    accumulation: int
    checkpointing: bool
    group: int = 1
    completion: int = 0
    max_length: int | None = None
    shares: bool = False  # prompts, in GRPO
    in_parts: bool = False  # attention of shared prompts: on a CPU, without checkpointing
    top_p: bool = False


def of_sft(
    model: Any,
    processor: Any,
    prompt: Prompt,
    target: str,
    work: Work,
    compute: Compute,
    end: str,
) -> Iterator[Moment]:
    """The moments of an SFT step; prompt and target are the longest, `end` ends a turn."""
    batch = batches.of_sft(processor, prompt, target, work.micro, end=end, most=work.max_length)
    yield _update(model, batch, work, compute)
    yield Moment("optimizer step", _gradients(model), 0, gradients=True)


def of_grpo(
    model: Any,
    processor: Any,
    prompt: Prompt,
    work: Work,
    compute: Compute,
    rollouts: Rollouts,
    known: dict[tuple[Work, int], list[Moment]],
    *,
    reference: bool,
) -> Iterator[Moment]:
    """The moments of a GRPO step; `prompt` is the longest one.

    known: forwards and backwards that have been traced. They do not depend on the number of rows
    of a step, but for its images, which all stay in memory.
    """
    yield from rollouts.moments(work.rows, top_p=work.top_p)
    few = _distinct(work, work.micro)
    key = replace(work, rows=0, shares=False, top_p=False), few
    if key not in known:
        common = (model, processor, prompt, work, compute, few)
        known[key] = list(_micro_batches(*common, reference=reference))
    yield from (_beside(each, rollouts.images * work.rows) for each in known[key])


def _beside(moment: Moment, images: int) -> Moment:
    """A moment with more bytes of images."""
    parts = {**moment.parts, "images": moment.parts.get("images", 0) + images}
    return replace(moment, peak=moment.peak + images, rest=moment.rest + images, parts=parts)


def _micro_batches(
    model: Any,
    processor: Any,
    prompt: Prompt,
    work: Work,
    compute: Compute,
    few: int,
    *,
    reference: bool,
) -> Iterator[Moment]:
    """What follows a rollout, without the images of the step. few: prompts of a micro-batch."""
    plain = batches.of_completions(processor, prompt, work.micro, work.completion)
    if reference or few < work.micro:
        peak = scoring(model, plain.inputs, plain.scored, compute)
        name = "reference model" if reference else "first batch, also in the plain form"
        yield Moment(name, peak, peak)
    if few < work.micro:
        segments = -(-work.micro // few), work.completion + 1
        packed, mask = _packed(processor, prompt, few, segments)
        if work.in_parts:
            yield _update(model, packed, work, compute, segments=segments)
        else:
            yield _update(model, packed, work, compute, mask=mask)
    else:
        yield _update(model, plain, work, compute)
    yield Moment("optimizer step", _gradients(model), 0, gradients=True)


@dataclass(frozen=True)
class Rollouts:
    """Bytes of generating completions, for one row and for each further one.

    images: of a row's images. read, cache: of the prompts; token: of one generated token beside
    its cache, `written`, of all tokens. words: of the vocabulary.
    """

    images: int
    read: tuple[int, int]
    cache: tuple[int, int]
    token: tuple[int, int]
    written: tuple[int, int]
    words: int

    @classmethod
    def of(
        cls, model: Any, processor: Any, prompt: Prompt, tokens: int, compute: Compute
    ) -> Rollouts:
        """Of a prompt and completions of so many tokens."""
        one, two = (batches.of_prompts(processor, prompt, n, compute.pixels) for n in (1, 2))
        read = [reading(model, batch.inputs, compute) for batch in (one, two)]
        length = one.shape[1] + tokens + ROOM
        token = [next_token(model, rows, length, compute) for rows in (1, 2)]
        return cls(
            images=one.pixels,
            read=_line(*(found.peak for found in read)),
            cache=_line(*(found.cache for found in read)),
            token=_line(*(found.peak for found in token)),
            written=_line(*(found.cache for found in token)),
            words=int(model.get_output_embeddings().weight.shape[0]),
        )

    def moments(self, rows: int, *, top_p: bool = False) -> Iterator[Moment]:
        """Reading the prompts, and writing completions, of so many rows."""
        images = self.images * rows
        peak = _at(self.read, rows) + images
        parts = {"images": images, "cache": _at(self.cache, rows)}
        yield Moment("reading the prompts", peak, peak, whole=True, parts=parts)
        logits = rows * self.words * (PER_WORD + SORTED * top_p)
        cache = _at(self.written, rows)
        peak = cache + max(_at(self.token, rows), logits) + images
        parts = {"images": images, "cache": cache, "logits": logits}
        yield Moment("writing completions", peak, peak, whole=True, parts=parts)


def _line(one: int, two: int) -> tuple[int, int]:
    return one, two - one


def _at(line: tuple[int, int], rows: int) -> int:
    return line[0] + line[1] * (rows - 1)


def _update(
    model: Any,
    batch: Batch,
    work: Work,
    compute: Compute,
    *,
    mask: torch.Tensor | None = None,
    segments: tuple[int, int] | None = None,
) -> Moment:
    """Forward and backward of a micro-batch. mask, segments: as of `Kernels`."""
    step = training_step(
        model,
        batch.inputs,
        batch.scored,
        compute,
        checkpointing=work.checkpointing,
        accumulates=work.accumulation > 1,
        mask=mask,
        segments=segments,
    )
    masks = 0 if mask is None else mask.nbytes
    held = batch.pixels + masks
    parts = {"images": batch.pixels, "activations": step.forward, "copies": step.copies}
    name = "forward and backward"
    return Moment(name, step.peak + held, step.rest + held, gradients=True, parts=parts)


def _packed(
    processor: Any, prompt: Prompt, distinct: int, segments: tuple[int, int]
) -> tuple[Batch, torch.Tensor]:
    """A row per distinct prompt, with so many completions of so many tokens; and its mask."""
    batch = batches.of_completions(processor, prompt, distinct, segments[0] * segments[1])
    length = batch.shape[1]
    return batch, torch.empty(distinct, 1, length, length, dtype=torch.bool, device="meta")


def _distinct(work: Work, rows: int) -> int:
    """The most distinct prompts among so many rows of a step, which TRL shuffles."""
    if not work.shares:
        return rows
    return max(1, min(rows, work.rows // work.group))


def _gradients(model: Any) -> int:
    return sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
