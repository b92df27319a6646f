"""From a task's splits to the rows that the trainers read.

Everything that can be wrong with the data is found here, before a model
loads: empty splits, gold answers the parser cannot read, images that do not
open, samples shared between training and evaluation. Rows stay lazy: an
image is decoded when its row is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rftcore.bars import Bar
from rftcore.errors import DataError, RecipeError, RftError, SampleError, closest
from rftcore.plugins.guard import describe
from rftcore.types import (
    Dataset,
    Parser,
    PreparedDataset,
    Prompt,
    PromptMaker,
    Sample,
    Task,
)

TRAINING_SPLITS = ("sft", "rl")


@dataclass(frozen=True)
class Slice:
    """The first `size` samples of a split: what a phase uses of it."""

    dataset: Dataset
    split: str
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.size:
            raise IndexError(index)
        try:
            return self.dataset.sample(self.split, index)
        except RftError:
            raise
        except Exception as error:
            raise SampleError(
                f"{type(self.dataset).__name__} failed at sample {index} of split "
                f"{self.split!r}: {describe(error)}"
            ) from error

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(self.size))

    def prepare(self) -> None:
        """Make the images of all samples now, if the dataset knows how to."""
        if isinstance(self.dataset, PreparedDataset):
            self.dataset.prepare(self.split, range(self.size))


def take(task: Task, split: str, limit: int | None = None) -> Slice:
    """The first `limit` samples of `split`, or all of them.

    Raises: `DataError` if the split is unknown or empty.
    """
    dataset = dataset_of(task)
    if split not in dataset.splits:
        raise DataError(
            f"task {task.name!r} has no split {split!r}.{closest(split, dataset.splits)} "
            f"It has: {', '.join(dataset.splits)}."
        )
    size = dataset.size(split)
    size = size if limit is None else min(limit, size)
    if size < 1:
        raise DataError(f"split {split!r} of task {task.name!r} has no samples to use")
    return Slice(dataset, split, size)


def dataset_of(task: Task) -> Dataset:
    """The task's dataset, once names are resolved."""
    if isinstance(task.dataset, str):
        raise RecipeError(f"dataset {task.dataset!r} of task {task.name!r} was not resolved")
    return task.dataset


def parser_of(task: Task) -> Parser:
    """The task's parser, once names are resolved."""
    if isinstance(task.parser, str):
        raise RecipeError(f"parser {task.parser!r} of task {task.name!r} was not resolved")
    return task.parser


def check(
    task: Task,
    slices: Sequence[Slice],
    *,
    progress: bool = True,
    also: Callable[[Sample, str], None] | None = None,
) -> dict[str, str]:
    """Read every sample of `slices` once and refuse what cannot be trained on.

    Makes generated images first, then checks each sample: its gold is read
    by the task's parser, its images open, SFT samples have a chain of
    thought, and none of a training split stands in an evaluation split.
    `also` is called with each sample that is sound and with its split: making
    samples may take time, so whoever else must see them all sees them here.

    Returns: a fingerprint per split: the hash of its samples' content.
    Raises: `SampleError` naming the sample's origin, `DataError` for leaks.
    """
    for part in slices:
        part.prepare()
    seen: dict[str, tuple[str, str]] = {}
    fingerprints = {}
    total = sum(len(part) for part in slices)
    with Bar(total, "checking data", "sample", show=progress) as bar:
        for part in slices:
            digest = hashlib.sha256()
            for sample in part:
                check_sample(sample, parser_of(task), needs_cot=part.split == "sft")
                digest.update(_unleaked(sample, part.split, seen).encode())
                if also is not None:
                    also(sample, part.split)
                bar.update()
            fingerprints[part.split] = digest.hexdigest()
    return fingerprints


def check_sample(sample: Sample, parser: Parser, *, needs_cot: bool) -> None:
    """Raise `SampleError` if one sample cannot be used."""
    where = sample.origin or sample.id
    gold = parser.gold(sample.gold)
    if not gold.ok:
        raise SampleError(f"{where}: the parser cannot read gold {sample.gold!r}: {gold.refusal}")
    if needs_cot and not sample.cot:
        raise SampleError(f"{where}: SFT needs a chain of thought, but `cot` is empty")
    for image in sample.images:
        try:
            image.open()
        except SampleError as error:
            if str(error).startswith(where):  # its dataset has named the row already
                raise
            raise SampleError(f"{where}: {error}") from error


def _unleaked(sample: Sample, split: str, seen: dict[str, tuple[str, str]]) -> str:
    """Remember a sample's content hash; refuse it in both training and evaluation."""
    content = sample.content_hash()
    first_split, first_id = seen.setdefault(content, (split, sample.id))
    if (first_split in TRAINING_SPLITS) != (split in TRAINING_SPLITS):
        raise DataError(
            f"sample {sample.id!r} of {split!r} is also {first_id!r} of {first_split!r}: "
            "an evaluation on training samples proves nothing; make the splits disjoint"
        )
    return content


class Rows:
    """Rows for a trainer: a map-style dataset over a slice, images opened on access.

    Each row holds the prompt as chat messages, its images in order and the
    sample's index in the slice (`row`), by which a reward finds the sample.
    """

    def __init__(
        self, part: Slice, prompt: PromptMaker, target: Callable[[Sample], str] | None = None
    ) -> None:
        self.part = part
        self._prompt = prompt
        self._target = target
        # GRPO asks for each row G times in a run: one decode is enough
        self._cached = lru_cache(maxsize=64)(self._make)

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(self._cached(index))

    def _make(self, index: int) -> Mapping[str, Any]:
        sample = self.part[index]
        prompt: Prompt = self._prompt(sample)
        row: dict[str, Any] = {
            "prompt": [{"role": "user", "content": prompt.text}],
            "images": [image.open() for image in prompt.images],
            "row": index,
        }
        if self._target is not None:
            row["completion"] = [{"role": "assistant", "content": self._target(sample)}]
        return row
