"""The data check: everything that can be wrong with the data, before a model loads.

Empty splits, gold answers that the parser cannot read, images that do not open, samples
shared between training and evaluation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rftcore.datasets.content import content, digest
from rftcore.datasets.doubts import Doubts, alike
from rftcore.datasets.records import reasoning_hint
from rftcore.datasets.slices import Slice, parser_of
from rftcore.errors import DataError, SampleError, describe
from rftcore.images.pixels import PixelCache, Pixels
from rftcore.images.threads import Job, Threads
from rftcore.progress import Bar
from rftcore.prompts import PromptHash, sft_target
from rftcore.rewards.declare import gold_fault
from rftcore.splits import SFT, is_training
from rftcore.types import Parsed, Prompt, Sample, Task


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


def check(
    task: Task,
    slices: Sequence[Slice],
    *,
    progress: bool = True,
    direct: Collection[str] = (),
    also: Callable[[Sample, str], None] | None = None,
    threads: int | None = None,
) -> Checked:
    """Read every sample of `slices` once and refuse what cannot be trained on.

    Makes generated images first, then checks each sample: its gold is read
    by the task's parser and usable for its rewards, its images open, its
    prompt can be made, SFT samples have a chain of thought, and no sample of a
    training split is in an evaluation split. What is only doubtful is in `remarks`. `direct`
    names the splits that are asked with the task's direct prompt, too. `also` is called with
    each sound sample and its split: making samples takes time, and here all pass by.

    Samples, prompts and generated images are made in this thread, in order; image files are
    read, decoded and hashed in `threads`, one per core by default, a few ahead. Findings and
    the first error do not depend on the number of threads.

    Raises: `SampleError` naming the sample's origin, `DataError` for leaks.
    """
    for part in slices:
        part.prepare()
    leaks, prompt_hash, remarks = _Leaks(), PromptHash(), _Remarks()
    doubtful = _Doubtful(task)
    fingerprints = {part.split: hashlib.sha256() for part in slices}
    total = sum(len(part) for part in slices)
    samples = ((sample, part.split) for part in slices for sample in part)
    bar, pool = Bar(total, "checking data", "sample", show=progress), _Threads(threads)
    with PixelCache() as known, bar, pool:
        for (sample, split), images in pool.ahead(samples, partial(_jobs, known)):
            pixels = check_sample(sample, task, images, remarks.add, needs_cot=split == SFT)
            leaks.add(sample, split, pixels)
            prompt = prompt_hash.add(task.prompt, sample)
            if task.direct_prompt is not None and split in direct:
                prompt_hash.add(task.direct_prompt, sample)
            hashed = content(sample, pixels)
            fingerprints[split].update(hashed)
            doubtful.add(sample, split, pixels, prompt, hashed)
            if also is not None:
                also(sample, split)
            bar.update()
    lines = [*remarks.lines(), *doubtful.lines()]
    hashes = {split: digest.hexdigest() for split, digest in fingerprints.items()}
    return Checked(hashes, prompt_hash.hexdigest(), leaks.shared(), lines)


_Threads = Threads[tuple[Sample, str], Pixels]


def _jobs(known: PixelCache, item: tuple[Sample, str]) -> list[Job[Pixels]]:
    """What threads do for a sample: read, decode and hash its images."""
    return [partial(image.fetched().pixels, known) for image in item[0].images]


def check_sample(
    sample: Sample,
    task: Task,
    images: Iterable[Job[Pixels]],
    remark: Callable[[str, str], None],
    *,
    needs_cot: bool,
) -> list[str]:
    """The hashes of its images' pixels. Raises `SampleError` if the sample cannot be used.

    `images` returns what each image shows, or raises. `remark` is called with the kind and the
    text of what an image file leaves open.
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
        raise SampleError(f"{where}: the parser cannot read gold {sample.gold!r}: {gold.error}")
    for fault in unusable(task, gold.value):
        raise SampleError(f"{where}: gold {sample.gold!r}: {fault}")
    if needs_cot:
        _check_cot(sample, where)
    pixels = []
    for image in images:
        try:
            seen = image()
            pixels.append(seen.hash)
            for kind, text in seen.remarks:
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


def unusable(task: Task, gold: Any) -> Iterator[str]:
    """Why rewards of the task cannot use a parsed gold, one text per reward."""
    for name, term in task.rewards.items():
        if not isinstance(term.reward, str) and (fault := gold_fault(term.reward, gold)):
            yield f"reward {name!r} cannot use it: {fault}"


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


class _Leaks:
    """What training and evaluation have in common, by pixels: names of files mean nothing."""

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
                "an evaluation on training samples proves nothing; make the splits disjoint"
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
