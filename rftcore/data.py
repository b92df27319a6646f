"""From a task's splits to the rows that the trainers read.

Everything that can be wrong with the data is found here, before a model
loads: empty splits, gold answers the parser cannot read, images that do not
open, samples shared between training and evaluation. Rows stay lazy: an
image is decoded when its row is asked for.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

from rftcore.bars import Bar
from rftcore.datasets.doubts import Doubts, alike
from rftcore.datasets.records import half_character, reasoning_hint
from rftcore.decoding import pixel_hash
from rftcore.errors import DataError, RecipeError, RftError, SampleError, closest
from rftcore.plugins.guard import describe
from rftcore.prompts import PromptHash, sft_target
from rftcore.rewards.declare import gold_fault
from rftcore.types import (
    TRAINING_SPLITS,
    Dataset,
    Image,
    Parsed,
    Parser,
    PreparedDataset,
    Prompt,
    PromptMaker,
    Sample,
    Task,
)


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
        where = f"{type(self.dataset).__name__} failed at sample {index} of split {self.split!r}"
        try:
            sample = self.dataset.sample(self.split, index)
        except RftError:
            raise
        except (Exception, SystemExit) as error:
            raise SampleError(f"{where}: {describe(error)}") from error
        if not isinstance(sample, Sample):
            raise SampleError(f"{where}: it returned {sample!r:.60}, which is not an rft.Sample")
        if fault := _misfit(sample):
            raise SampleError(f"{sample.origin or where}: {fault}")
        return sample

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(self.size))

    def prepare(self) -> None:
        """Make the images of all samples now, if the dataset knows how to."""
        if isinstance(self.dataset, PreparedDataset):
            _called(self.dataset, "prepare", self.split, range(self.size))


def take(task: Task, split: str, limit: int | None = None) -> Slice:
    """The first `limit` samples of `split`, or all of them.

    Raises: `DataError` if the split is unknown or empty.
    """
    dataset = dataset_of(task)
    if split not in tuple(dataset.splits):
        raise DataError(
            f"task {task.name!r} has no split {split!r}.{closest(split, dataset.splits)} "
            f"It has: {', '.join(dataset.splits)}.{_no_sft(dataset) if split == 'sft' else ''}"
        )
    size = _called(dataset, "size", split)
    if not hasattr(size, "__index__"):
        name = f"{type(dataset).__name__}.size({split!r})"
        raise DataError(f"{name} is {size!r:.60}: return a whole number")
    size = operator.index(size)
    size = size if limit is None else min(limit, size)
    if size < 1:
        raise DataError(f"split {split!r} of task {task.name!r} has no samples to use")
    return Slice(dataset, split, size)


def _no_sft(dataset: Dataset) -> str:
    """Why there is no split `sft`, if the first row to train on shows it."""
    if "rl" not in tuple(dataset.splits) or _called(dataset, "size", "rl") < 1:
        return ""
    hint = reasoning_hint(Slice(dataset, "rl", 1)[0].meta)
    return f" Rows with a 'cot' can go to sft, but {hint}." if hint else ""


def _called(dataset: Dataset, method: str, *args: object) -> Any:
    """What a method of a dataset returns. Raises: DataError naming it if it fails."""
    try:
        return getattr(dataset, method)(*args)
    except RftError:
        raise
    except (Exception, SystemExit) as error:
        name = f"{type(dataset).__name__}.{method}"
        raise DataError(f"{name} failed for split {args[0]!r}: {describe(error)}") from error


def dataset_of(task: Task) -> Dataset:
    """The task's dataset, once names are resolved. Raises: DataError if it lists no splits."""
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
    """The task's parser, once names are resolved."""
    if isinstance(task.parser, str):
        raise RecipeError(f"parser {task.parser!r} of task {task.name!r} was not resolved")
    return task.parser


@dataclass(frozen=True)
class Shared:
    """Samples of an evaluation split that show an image which training shows, too."""

    split: str
    samples: int
    total: int
    example: tuple[str, str, str]  # a sample's id here, a sample's id in training, its split

    def __str__(self) -> str:
        here, there, split = self.example
        return (
            f"{self.samples} of {self.total} samples of {self.split!r} show an image that training "
            f"shows, too ({here!r} shares one with {there!r} of {split!r}): the score may measure "
            "memory; put all rows of an image into one split"
        )


@dataclass(frozen=True)
class Checked:
    """What the data check found out: what the data is, and which images are shared.

    `fingerprints` has one per split, of everything in its samples but their ids, in order:
    question, gold, chain of thought, `meta` and the images' pixels. `prompt_hash` is of every
    prompt of every sample.
    """

    fingerprints: Mapping[str, str]
    prompt_hash: str
    shared: Sequence[Shared] = ()
    remarks: Sequence[str] = ()  # what images leave open and what is doubtful, a line per kind


class _Remarks:
    """What image files leave open: how many, by kind, and the first row of each."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, text: str) -> None:
        """Count one image; `text` names its row."""
        count, first = self._found.get(kind, (0, text))
        self._found[kind] = count + 1, first

    def lines(self) -> list[str]:
        """One line per kind."""
        return [
            f"{kind} in {count} image{'s' * (count > 1)}, the first in {first}"
            for kind, (count, first) in self._found.items()
        ]


class _Doubtful:
    """What is doubtful about the samples: how many, by kind, and the first of each."""

    def __init__(self, task: Task) -> None:
        self._doubts = Doubts(alike(parser_of(task)))
        self._found: dict[str, tuple[int, str]] = {}

    def add(
        self, sample: Sample, split: str, pixels: list[str], prompt: Prompt, content: bytes
    ) -> None:
        """Compare a sample with its prompt and with the samples before it."""
        where = sample.origin or f"sample {sample.id!r} of {split!r}"
        for kind, text in (
            *self._doubts.gold(sample, pixels, where),
            *self._doubts.id(sample, split, content),
            *self._doubts.shown(sample, prompt),
            *self._doubts.reasoning(sample, split),
        ):
            count, first = self._found.get(kind, (0, f"{where}: {text}"))
            self._found[kind] = count + 1, first

    def lines(self) -> list[str]:
        """One line per kind."""
        return [
            f"{kind}: {first}" + (f" ({count} such samples, this is the first)" * (count > 1))
            for kind, (count, first) in self._found.items()
        ] + [text for _, text in self._doubts.all_alike()]


def check(
    task: Task,
    slices: Sequence[Slice],
    *,
    progress: bool = True,
    direct: Collection[str] = (),
    also: Callable[[Sample, str], None] | None = None,
) -> Checked:
    """Read every sample of `slices` once and refuse what cannot be trained on.

    Makes generated images first, then checks each sample: its gold is read
    by the task's parser and usable for its rewards, its images open, its
    prompt can be made, SFT samples have a chain of thought, and no sample of a
    training split is in an evaluation split. What is only doubtful is in `remarks`. `direct`
    names the splits that are asked with the task's direct prompt, too. `also` is called with
    each sound sample and its split: making samples takes time, and here all pass by.

    Raises: `SampleError` naming the sample's origin, `DataError` for leaks.
    """
    for part in slices:
        part.prepare()
    leaks, prompt_hash, remarks = _Leaks(), PromptHash(), _Remarks()
    doubtful = _Doubtful(task)
    fingerprints = {}
    total = sum(len(part) for part in slices)
    with Bar(total, "checking data", "sample", show=progress) as bar:
        for part in slices:
            digest = hashlib.sha256()
            for sample in part:
                pixels = check_sample(sample, task, remarks.add, needs_cot=part.split == "sft")
                leaks.add(sample, part.split, pixels)
                prompt = prompt_hash.add(task.prompt, sample)
                if task.direct_prompt is not None and part.split in direct:
                    prompt_hash.add(task.direct_prompt, sample)
                hashed = content(sample, pixels)
                digest.update(hashed)
                doubtful.add(sample, part.split, pixels, prompt, hashed)
                if also is not None:
                    also(sample, part.split)
                bar.update()
            fingerprints[part.split] = digest.hexdigest()
    lines = [*remarks.lines(), *doubtful.lines()]
    return Checked(fingerprints, prompt_hash.hexdigest(), leaks.shared(), lines)


def check_sample(
    sample: Sample, task: Task, remark: Callable[[str, str], None], *, needs_cot: bool
) -> list[str]:
    """The hashes of its images' pixels. Raises `SampleError` if the sample cannot be used.

    `remark` is called with the kind and the text of what an image file leaves open.
    """
    where = f"{sample.origin or sample.id}"
    name = f"{type(parser_of(task)).__name__}.gold"
    try:
        gold = parser_of(task).gold(sample.gold)
    except (Exception, SystemExit) as error:
        raise SampleError(f"{where}: {name} failed: {describe(error)}") from error
    if not isinstance(gold, Parsed):
        raise SampleError(f"{where}: {name} returned {gold!r:.60}, which is not an rft.Parsed")
    if not gold.ok:
        raise SampleError(f"{where}: the parser cannot read gold {sample.gold!r}: {gold.refusal}")
    for fault in unusable(task, gold.value):
        raise SampleError(f"{where}: gold {sample.gold!r}: {fault}")
    if needs_cot:
        _check_cot(sample, where)
    pixels = []
    for image in sample.images:
        try:
            decoded = image.decode()
            pixels.append(pixel_hash(decoded.image))
            for kind, text in decoded.remarks:
                remark(kind, f"{where}: {text}")
        except SampleError as error:
            if str(error).startswith(where):  # its dataset has named the row already
                raise
            raise SampleError(f"{where}: {error}") from error
    return pixels


def _check_cot(sample: Sample, where: str) -> None:
    """Raise `SampleError` unless SFT can learn from the sample's chain of thought."""
    if not (sample.cot and sample.cot.strip()):
        hint = reasoning_hint(sample.meta)
        raise SampleError(
            f"{where}: SFT needs a chain of thought, but `cot` is empty: "
            + (f"{hint}, or " if hint else "write one, ")
            + "give the row another split, or train with --set sft.enabled=false"
        )
    sft_target(sample)


def _misfit(sample: Sample) -> str:
    """Which field of a sample is not what it is declared as, or cannot be written; else ""."""
    for name in ("id", "question", "gold", "cot"):
        text = getattr(sample, name)
        if text is None and name == "cot":
            continue
        if not isinstance(text, str):
            return f"its {name} is {text!r:.60} ({type(text).__name__}), not text"
        if half := half_character(text):
            return f"its {name} has half a character, {half}"
    if not sample.question.strip():
        return f"its question {sample.question!r:.60} is empty: write what is asked"
    if not isinstance(sample.meta, Mapping):
        return f"its meta is {sample.meta!r:.60}, not a mapping: leave it out, or give a dict"
    if not isinstance(sample.images, tuple) or not all(isinstance(i, Image) for i in sample.images):
        return f"its images are {sample.images!r:.60}, not a tuple of rft.Image"
    return ""


def fingerprint(part: Slice) -> str:
    """What `check` finds for a slice of sound samples: the hash of all that they are."""
    digest = hashlib.sha256()
    for sample in part:
        digest.update(content(sample))
    return digest.hexdigest()


def unusable(task: Task, gold: Any) -> Iterator[str]:
    """Why rewards of the task cannot use a parsed gold, one text per reward."""
    for name, term in task.rewards.items():
        if not isinstance(term.reward, str) and (fault := gold_fault(term.reward, gold)):
            yield f"reward {name!r} cannot use it: {fault}"


class _Leaks:
    """What training and evaluation have in common, by pixels: names of files mean nothing."""

    def __init__(self) -> None:
        self._samples: dict[bytes, tuple[str, str]] = {}
        self._trained: dict[str, tuple[str, str]] = {}  # the first that shows an image
        self._measured: dict[str, list[tuple[str, list[str]]]] = {}

    def add(self, sample: Sample, split: str, pixels: list[str]) -> None:
        """Remember a sample. Raises: DataError if it is in training and in evaluation."""
        content = _digest([sample.question, sample.gold, pixels])
        first_split, first_id = self._samples.setdefault(content, (split, sample.id))
        if (first_split in TRAINING_SPLITS) != (split in TRAINING_SPLITS):
            raise DataError(
                f"sample {sample.id!r} of {split!r} is also {first_id!r} of {first_split!r}: "
                "an evaluation on training samples proves nothing; make the splits disjoint"
            )
        if split in TRAINING_SPLITS:
            for image in pixels:
                self._trained.setdefault(image, (sample.id, split))
        else:
            self._measured.setdefault(split, []).append((sample.id, pixels))

    def shared(self) -> list[Shared]:
        """Per evaluation split, how many of its samples show an image of training."""
        found = []
        for split, samples in self._measured.items():
            again = [
                (name, *self._trained[image])
                for name, pixels in samples
                if (image := next((i for i in pixels if i in self._trained), None)) is not None
            ]
            if again:
                found.append(Shared(split, len(again), len(samples), again[0]))
        return found


def content(sample: Sample, pixels: Sequence[str] | None = None) -> bytes:
    """A hash of all that a sample is, but its id; a path or a machine does not change it.

    `pixels` has a hash per image; without it the images are opened.
    """
    if pixels is None:
        pixels = [pixel_hash(image.open()) for image in sample.images]
    return _digest([sample.question, sample.gold, sample.cot, pixels, _plain(sample.meta)])


def _digest(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value).encode()).digest()


def _plain(value: object, depth: int = 50) -> object:
    """A value as JSON that is equal for equal values; objects by type and public fields."""
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return hex(value)  # of any length
    if depth == 0:
        return type(value).__name__
    if isinstance(value, Mapping):
        items = ([_plain(key, depth - 1), _plain(item, depth - 1)] for key, item in value.items())
        return {"items": sorted(items, key=json.dumps)}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, set | frozenset):
        return {"set": sorted((_plain(item, depth - 1) for item in value), key=json.dumps)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return [type(value).__name__, _plain(named, depth - 1)]
    return type(value).__name__


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
