"""Parts of a task's splits. What a dataset returns is checked at each call.

Samples are made on access; errors of a dataset name its class and split.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import SupportsIndex

from rftcore.datasets.rows.fields import reasoning_hint
from rftcore.datasets.rows.json_values import lone_surrogate
from rftcore.errors import DataError, RecipeError, RftError, SampleError, closest, describe
from rftcore.images import Image
from rftcore.prompts import has_reasoning
from rftcore.splits import RL, SFT
from rftcore.types import Dataset, Parser, PreparedDataset, Sample, Task


@dataclass(frozen=True)
class Slice:
    """The first `size` samples of a split, which a phase uses.

    source: the split of the dataset that the samples are read from, if it is not `split`.
    rows: the samples to use, as indices of that split; None: the first ones.
    left_out: how many of that split are not used because they have no reasoning.
    """

    dataset: Dataset
    split: str
    size: int
    source: str = ""
    rows: Sequence[int] | None = None
    left_out: int = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.size:
            raise IndexError(index)
        split, at = self.source or self.split, index if self.rows is None else self.rows[index]
        where = f"{type(self.dataset).__name__} failed at sample {at} of split {split!r}"
        try:
            sample = self.dataset.sample(split, at)
        except RftError:
            raise
        except (Exception, SystemExit) as error:
            raise SampleError(describe(error), origin=where) from error
        if not isinstance(sample, Sample):
            fault = f"it returned {sample!r:.60}, which is not an rft.Sample"
            raise SampleError(fault, origin=where)
        if fault := _misfit(sample):
            raise SampleError(fault, origin=sample.origin or where)
        return sample

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(self.size))

    def prepare(self) -> None:
        """Make the images of all samples now, if the dataset has `prepare`."""
        if isinstance(self.dataset, PreparedDataset):
            rows = range(self.size) if self.rows is None else self.rows[: self.size]
            _called(self.dataset, "prepare", self.source or self.split, rows)


def take(task: Task, split: str, limit: int | None = None) -> Slice:
    """The first `limit` samples of `split`, or all of them.

    Raises: `DataError` if the split is unknown or empty.
    """
    dataset = dataset_of(task)
    if split not in tuple(dataset.splits):
        raise DataError(
            f"task {task.name!r} has no split {split!r}.{closest(split, dataset.splits)} "
            f"It has: {', '.join(dataset.splits)}.{_no_sft(dataset) if split == SFT else ''}"
        )
    size = _size(dataset, split)
    size = size if limit is None else min(limit, size)
    if size < 1:
        raise DataError(f"split {split!r} of task {task.name!r} has no samples to use")
    return Slice(dataset, split, size)


def take_sft(task: Task, limit: int | None = None, *, bare: bool, skip: bool) -> Slice:
    """The first `limit` samples that SFT trains on, or all of them.

    bare: SFT teaches answers alone, so without a split `sft` it trains on split `rl`.
    skip: leave out samples without reasoning.

    Raises: DataError if there are none.
    """
    splits = tuple(dataset_of(task).splits)
    source = RL if bare and SFT not in splits and RL in splits else SFT
    every = take(task, source)
    part = replace(every, split=SFT, source=source if source != SFT else "")
    if skip:
        rows = [at for at, sample in enumerate(part) if has_reasoning(sample)]
        if not rows:
            raise DataError(
                f"none of the {len(part)} samples of split {source!r} has a `cot`, so "
                "sft.without_cot=skip leaves nothing to train on: --paradigm ans-sft teaches "
                "answers alone"
            )
        if len(rows) < len(part):
            part = replace(part, size=len(rows), rows=rows, left_out=len(part) - len(rows))
    return replace(part, size=len(part) if limit is None else min(limit, len(part)))


def dataset_of(task: Task) -> Dataset:
    """The task's dataset, after names are resolved.

    Raises: RecipeError for an unresolved name, DataError if the dataset lists no splits.
    """
    dataset = task.dataset
    if isinstance(dataset, str):
        raise RecipeError(f"dataset {dataset!r} of task {task.name!r} was not resolved")
    name = f"{type(dataset).__name__}.splits"
    try:
        splits = dataset.splits
    except RftError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"task {task.name!r}: {name} failed: {describe(error)}") from error
    named = isinstance(splits, Sequence) and not isinstance(splits, str)
    if not named or not splits or not all(isinstance(one, str) for one in splits):
        raise DataError(
            f"task {task.name!r}: {name} is {splits!r:.60}: return the names of the splits, such "
            'as ("sft", "rl", "val")'
        )
    return dataset


def parser_of(task: Task) -> Parser:
    """The task's parser, after names are resolved. Raises: RecipeError for an unresolved name."""
    if isinstance(task.parser, str):
        raise RecipeError(f"parser {task.parser!r} of task {task.name!r} was not resolved")
    return task.parser


def _no_sft(dataset: Dataset) -> str:
    """A hint if there is no split `sft` because the reasoning has another name; else ""."""
    if RL not in tuple(dataset.splits) or _size(dataset, RL) < 1:
        return ""
    hint = reasoning_hint(Slice(dataset, RL, 1)[0].meta)
    return f" Rows with a 'cot' can go to sft, but {hint}." if hint else ""


def _size(dataset: Dataset, split: str) -> int:
    """The size of a split. Raises: DataError if it is not a whole number."""
    size = _called(dataset, "size", split)
    if not isinstance(size, SupportsIndex):
        name = f"{type(dataset).__name__}.size({split!r})"
        raise DataError(f"{name} is {size!r:.60}: return a whole number")
    return operator.index(size)


def _called(dataset: Dataset, method: str, *args: object) -> object:
    """The result of a dataset's method. Raises: DataError naming the method if it fails."""
    try:
        return getattr(dataset, method)(*args)
    except RftError:
        raise
    except (Exception, SystemExit) as error:
        name = f"{type(dataset).__name__}.{method}"
        raise DataError(f"{name} failed for split {args[0]!r}: {describe(error)}") from error


def _misfit(sample: Sample) -> str:
    """The fault of a sample: a field of a wrong type, or one that cannot be written; else ""."""
    for name in ("id", "question", "gold", "cot"):
        text = getattr(sample, name)
        if text is None and name == "cot":
            continue
        if not isinstance(text, str):
            return f"its {name} is {text!r:.60} ({type(text).__name__}), not text"
        if half := lone_surrogate(text):
            return f"its {name} contains a lone surrogate, {half}"
    if not sample.question.strip():
        return f"its question {sample.question!r:.60} is empty"
    if not isinstance(sample.meta, Mapping):
        return f"its meta is {sample.meta!r:.60}, not a mapping: leave it out, or give a dict"
    if strange := [key for key in sample.meta if not isinstance(key, str)]:
        return f"its meta has the key {strange[0]!r:.60}, which is no text"
    if not isinstance(sample.images, tuple) or not all(isinstance(i, Image) for i in sample.images):
        return f"its images are {sample.images!r:.60}, not a tuple of rft.Image"
    return ""
