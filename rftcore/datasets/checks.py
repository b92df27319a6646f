"""The data check of a run: reads every sample once, before a model loads.

It finds gold answers that the parser cannot read, images that do not open and samples that
training and evaluation share, and computes the fingerprints of the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rftcore.datasets.content import content, digest
from rftcore.datasets.cross_checks import CrossChecks, same_answer
from rftcore.datasets.reasoning import CHOICES
from rftcore.datasets.rows.fields import reasoning_hint
from rftcore.datasets.slices import Slice, parser_of
from rftcore.errors import DataError, SampleError, describe
from rftcore.images.pixels import PixelCache, Pixels
from rftcore.images.threads import Job, Threads
from rftcore.progress import Bar
from rftcore.prompts import PromptHash, has_reasoning, sft_target
from rftcore.rewards.declare import gold_fault
from rftcore.splits import SFT, is_training
from rftcore.types import Parsed, Prompt, Sample, TargetMaker, Task


@dataclass(frozen=True)
class Shared:
    """Samples of an evaluation split that show an image of a training split."""

    split: str
    samples: int
    total: int
    example: tuple[str, str, str]  # a sample's id here, a sample's id in training, its split

    def __str__(self) -> str:
        here, there, split = self.example
        return (
            f"{self.samples} of {self.total} samples of {self.split!r} show an image of training "
            f"({here!r} shares one with {there!r} of {split!r}): the score may measure "
            "memorization; put all rows of an image in one split"
        )


@dataclass(frozen=True)
class Checked:
    """The result of the data check.

    `fingerprints` has a hash per split, of all samples in order: question, gold, chain of
    thought, `meta` and the pixels of images, but not ids. `prompt_hash` is the hash of all
    prompts.
    """

    fingerprints: Mapping[str, str]
    prompt_hash: str
    shared: Sequence[Shared] = ()
    remarks: Sequence[str] = ()  # warnings about images and samples, one line per kind


def check(
    task: Task,
    slices: Sequence[Slice],
    *,
    progress: bool = True,
    direct: Collection[str] = (),
    taught: Task | None = None,
    also: Callable[[Sample, str], None] | None = None,
    threads: int | None = None,
) -> Checked:
    """Read every sample of `slices` once. Raises for the first that cannot be trained on.

    Makes generated images first, then checks each sample: the task's parser reads its gold and
    the rewards can use it, its images open, its prompt can be made, SFT samples have a chain of
    thought, and no sample of a training split is in an evaluation split. Warnings are in
    `remarks`. `direct` has the splits for which the task's direct prompt is used as well;
    `taught` is the task as SFT teaches it, if that differs.
    `also` is called with each valid sample and its split.

    Samples, prompts and generated images are made in this thread, in order; image files are
    read, decoded and hashed in `threads`, by default one per core, a few ahead. Findings and
    the first error do not depend on the number of threads.

    Raises: `SampleError` naming the sample's origin, `DataError` for leaks.
    """
    for part in slices:
        part.prepare()
    leaks, prompt_hash, remarks = _Leaks(), PromptHash(), _Remarks()
    warnings = _Warnings(task)
    fingerprints = {part.split: hashlib.sha256() for part in slices}
    total = sum(len(part) for part in slices)
    lessons = {part.split: part for part in slices if part.split == SFT}
    samples = ((sample, part.split) for part in slices for sample in part)
    bar, pool = Bar(total, "checking data", "sample", show=progress), _Threads(threads)
    with PixelCache() as known, bar, pool:
        for (sample, split), images in pool.ahead(samples, partial(_jobs, known)):
            shown = (taught or task) if split == SFT else task
            pixels = check_sample(sample, shown, images, remarks.add, sft=lessons.get(split))
            leaks.add(sample, split, pixels)
            prompt = prompt_hash.add(shown.prompt, sample)
            if task.direct_prompt is not None and split in direct:
                prompt_hash.add(task.direct_prompt, sample)
            hashed = content(sample, pixels)
            fingerprints[split].update(hashed)
            warnings.add(sample, split, pixels, prompt, hashed)
            if also is not None:
                also(sample, split)
            bar.update()
    lines = [*remarks.lines(), *warnings.lines()]
    hashes = {split: digest.hexdigest() for split, digest in fingerprints.items()}
    return Checked(hashes, prompt_hash.hexdigest(), leaks.shared(), lines)


_Threads = Threads[tuple[Sample, str], Pixels]


def _jobs(known: PixelCache, item: tuple[Sample, str]) -> list[Job[Pixels]]:
    """The jobs of a sample: reading, decoding and hashing its images."""
    return [partial(image.fetched().pixels, known) for image in item[0].images]


def check_sample(
    sample: Sample,
    task: Task,
    images: Iterable[Job[Pixels]],
    remark: Callable[[str, str], None],
    *,
    sft: Slice | None,
) -> list[str]:
    """The hashes of its images' pixels. Raises `SampleError` if the sample cannot be used.

    `images` has a function per image that returns its pixel hash and remarks, or raises.
    `remark` is called with the kind and text of each remark. `sft` is the split of the sample if
    SFT trains on it.
    """
    where = sample.where
    name = f"{type(parser_of(task)).__name__}.gold"
    try:
        gold = parser_of(task).gold(sample.gold)
    except (Exception, SystemExit) as error:
        raise SampleError(f"{name} failed: {describe(error)}", origin=where) from error
    if not isinstance(gold, Parsed):
        raise SampleError(f"{name} returned {gold!r:.60}, which is not an rft.Parsed", origin=where)
    if not gold.ok:
        raise SampleError(
            f"the parser cannot read gold {sample.gold!r}: {gold.error}", origin=where
        )
    for fault in unusable(task, gold.value):
        raise SampleError(f"gold {sample.gold!r}: {fault}", origin=where)
    if sft is not None:
        _check_target(sample, task.target, where, sft)
    pixels = []
    for image in images:
        try:
            seen = image()
            pixels.append(seen.hash)
            for kind, text in seen.remarks:
                remark(kind, f"{where}: {text}")
        except SampleError as error:
            if error.origin:
                raise
            raise SampleError(str(error), origin=where) from error
    return pixels


def _check_target(sample: Sample, target: TargetMaker | None, where: str, part: Slice) -> None:
    """Raise `SampleError` unless SFT can learn from the sample: by default its chain of thought."""
    if target is not None:
        target(sample)
        return
    if not has_reasoning(sample):
        hint = reasoning_hint(sample.meta)
        lacking = sum(not has_reasoning(other) for other in part)
        raise SampleError(
            f"SFT needs a chain of thought, but `cot` is empty ({lacking} of {len(part)} samples "
            f"of split {SFT} have none): " + (f"{hint}, or " if hint else "write one, ") + CHOICES,
            origin=where,
        )
    sft_target(sample)


def unusable(task: Task, gold: Any) -> Iterator[str]:
    """Why rewards of the task cannot use a parsed gold, a text per reward."""
    for name, term in task.rewards.items():
        if not isinstance(term.reward, str) and (fault := gold_fault(term.reward, gold)):
            yield f"reward {name!r} cannot use it: {fault}"


class _Remarks:
    """Remarks about image files: their number by kind, and the first of each."""

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


class _Warnings:
    """Findings of the checks across samples: their number by kind, and the first of each."""

    def __init__(self, task: Task) -> None:
        self._across = CrossChecks(same_answer(parser_of(task)))
        self._found: dict[str, tuple[int, str]] = {}

    def add(
        self, sample: Sample, split: str, pixels: list[str], prompt: Prompt, content: bytes
    ) -> None:
        """Compare a sample with its prompt and with the samples before it."""
        where = sample.origin or f"sample {sample.id!r} of {split!r}"
        for kind, text in (
            *self._across.contradiction(sample, pixels, where),
            *self._across.duplicate_id(sample, split, content),
            *self._across.hidden_options(sample, prompt),
            *self._across.unread_reasoning(sample, split),
        ):
            count, first = self._found.get(kind, (0, f"{where}: {text}"))
            self._found[kind] = count + 1, first

    def lines(self) -> list[str]:
        """One line per kind."""
        return [
            f"{kind}: {first}" + (f" ({count} such samples, this is the first)" * (count > 1))
            for kind, (count, first) in self._found.items()
        ] + [text for _, text in self._across.constant_prompt()]


class _Leaks:
    """Samples and images that training and evaluation share, by pixels instead of file names."""

    def __init__(self) -> None:
        self._samples: dict[bytes, tuple[str, str]] = {}
        self._trained: dict[str, tuple[str, str]] = {}  # the first that shows an image
        self._measured: dict[str, list[tuple[str, list[str]]]] = {}

    def add(self, sample: Sample, split: str, pixels: list[str]) -> None:
        """Remember a sample. Raises: DataError if it is in training and in evaluation."""
        content = digest([sample.question, sample.gold, pixels])
        first_split, first_id = self._samples.setdefault(content, (split, sample.id))
        if is_training(first_split) != is_training(split):
            raise DataError(
                f"sample {sample.id!r} of {split!r} is also {first_id!r} of {first_split!r}: "
                "evaluation samples must not be trained on; make the splits disjoint"
            )
        if is_training(split):
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
