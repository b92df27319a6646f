"""The data check of a run: reads every sample once, before a model loads.

It finds gold answers that the parser cannot read, images that do not open and samples that
training and evaluation share, and computes the fingerprints of the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rftcore.datasets.content import content
from rftcore.datasets.cross_checks import CrossChecks, same_answer
from rftcore.datasets.leaks import Leaks, Shared
from rftcore.datasets.sample_check import check_sample
from rftcore.datasets.slices import Slice, parser_of
from rftcore.errors import closest
from rftcore.images.pixels import PixelCache, Pixels
from rftcore.images.threads import Job, Threads
from rftcore.progress import Bar
from rftcore.prompts import PromptHash
from rftcore.splits import SFT, is_training
from rftcore.types import Prompt, Sample, Task


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
    leaks, prompt_hash, remarks = Leaks(), PromptHash(), _Remarks()
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
    lines = [*remarks.lines(), *warnings.lines(), *map(str, leaks.repeated())]
    hashes = {split: digest.hexdigest() for split, digest in fingerprints.items()}
    return Checked(hashes, prompt_hash.hexdigest(), leaks.shared(), lines)


_Threads = Threads[tuple[Sample, str], Pixels]


def _jobs(known: PixelCache, item: tuple[Sample, str]) -> list[Job[Pixels]]:
    """The jobs of a sample: reading, decoding and hashing its images."""
    return [partial(image.fetched().pixels, known) for image in item[0].images]


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
        self._groups = task.groups
        self._keys: dict[str, None] = {}  # of `meta` in evaluation, in order
        self._measured = False
        self._found: dict[str, tuple[int, str]] = {}

    def add(
        self, sample: Sample, split: str, pixels: list[str], prompt: Prompt, content: bytes
    ) -> None:
        """Compare a sample with its prompt and with the samples before it."""
        where = sample.origin or f"sample {sample.id!r} of {split!r}"
        if not is_training(split):
            self._measured = True
            self._keys |= dict.fromkeys(sample.meta)
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
        ] + [*(text for _, text in self._across.constant_prompt()), *self._missing_groups()]

    def _missing_groups(self) -> Iterator[str]:
        """Groups of the task that no sample of an evaluation belongs to."""
        for key in self._groups:
            if self._measured and key not in self._keys:
                there = ", ".join(list(self._keys)[:10]) or "nothing"
                yield (
                    f"the task's groups name {key!r}, but no sample of an evaluation has it in "
                    f"its meta, which has {there}.{closest(key, self._keys)}"
                )
