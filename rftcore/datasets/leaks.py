"""Samples that are there twice, by pixels instead of file names.

In training and in evaluation, or twice in one split of an evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

from rftcore.datasets.content import digest
from rftcore.errors import DataError
from rftcore.splits import is_training
from rftcore.types import Sample


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
class Repeated:
    """Samples of an evaluation split with question, answer and images of an earlier one."""

    split: str
    samples: int
    total: int
    example: tuple[str, str]  # the first one's id, and the earlier one's

    def __str__(self) -> str:
        here, before = self.example
        return (
            f"{self.samples} of {self.total} samples of {self.split!r} have the question, answer "
            f"and images of an earlier one (the first: {here!r} repeats {before!r}): they count "
            "twice in the accuracy, and its interval is too narrow; leave them out"
        )


class Leaks:
    """Samples and images that are there twice, by pixels instead of file names."""

    def __init__(self) -> None:
        self._repeated: dict[str, list[tuple[str, str]]] = {}
        self._samples: dict[bytes, tuple[str, str]] = {}
        self._trained: dict[str, tuple[str, str]] = {}  # the first that shows an image
        self._measured: dict[str, list[tuple[str, list[str]]]] = {}

    def add(self, sample: Sample, split: str, pixels: list[str]) -> None:
        """Remember a sample. Raises: DataError if it is in training and in evaluation."""
        content = digest([sample.question, sample.gold, pixels])
        again = content in self._samples
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
            if again and first_split == split:
                self._repeated.setdefault(split, []).append((sample.id, first_id))

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

    def repeated(self) -> list[Repeated]:
        """Per evaluation split, how many of its samples repeat an earlier one."""
        return [
            Repeated(split, len(found), len(self._measured[split]), found[0])
            for split, found in self._repeated.items()
        ]
