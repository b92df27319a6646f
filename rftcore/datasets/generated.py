"""Samples that are generated: each from the seed, its split and its index only.

    (dataset, split, index) -> random numbers -> sample

Nothing is stored. A sample is the same on every machine, in every process and in any order,
and a split can have any size.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from random import Random
from typing import ClassVar

from rftcore.errors import Fault, RecipeError
from rftcore.splits import check_index, unknown
from rftcore.types import Sample

LARGEST_SPLIT = 2**32
_WHOLE, _NUMBER = (int, "a whole number"), ((int, float), "a number")
# By how a field is declared, with or without `from __future__ import annotations`.
_WANTED: Mapping[object, tuple[type | tuple[type, ...], str]] = {
    int: _WHOLE,
    "int": _WHOLE,
    float: _NUMBER,
    "float": _NUMBER,
}

# A run prepares a split, checks it and trains on it: each sample is made once for all three.
# Also for intermediate results that samples share: pure functions of (dataset, split, number).
remember = lru_cache(maxsize=8192)


@dataclass(frozen=True, kw_only=True)
class GeneratedDataset(ABC):
    """A dataset whose samples are made from random numbers by the subclass's `make`.

    A subclass is a frozen dataclass whose fields are its options. It sets `name`, for ids and
    messages, and `version`: every version draws other numbers, so increase it when any sample
    changes. `sizes` maps each split to its number of samples.

    Raises: RecipeError for a field declared `int` or `float` with a value of another type, a
    negative seed, or a split without samples; a subclass that checks more calls
    `super().__post_init__()` first.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    seed: int = 0
    sizes: Mapping[str, int] = field(hash=False)

    def __post_init__(self) -> None:
        given = {f.name: (getattr(self, f.name), f.type) for f in fields(self)}
        given |= {self.option(split): (size, int) for split, size in self.sizes.items()}
        for name, (value, declared) in given.items():
            kind, wanted = _WANTED.get(declared, (object, ""))
            if wanted and (isinstance(value, bool) or not isinstance(value, kind)):
                raise RecipeError(Fault(name, f"use {wanted}", value))
        if self.seed < 0:
            raise RecipeError(Fault("seed", "use 0 or more", self.seed))
        for split, size in self.sizes.items():
            if not 1 <= size <= LARGEST_SPLIT:
                rule = f"a split has 1 to {LARGEST_SPLIT} samples"
                raise RecipeError(Fault(self.option(split), rule, size))

    @abstractmethod
    def make(self, split: str, index: int) -> Sample:
        """The sample, from numbers of `rng` only. Called with valid indices, possibly twice."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of `sizes`, in its order."""
        return tuple(self.sizes)

    def size(self, split: str) -> int:
        """How many samples `split` has. Raises DataError for an unknown split."""
        if split not in self.sizes:
            raise unknown(self.name, split, self.sizes)
        return self.sizes[split]

    def sample(self, split: str, index: int) -> Sample:
        """The sample at `index`: the same on every machine and in every process.

        Raises: DataError for an unknown split, IndexError outside [0, size).
        """
        check_index(split, index, self.size(split))
        return _made(self, split, index)

    def rng(self, purpose: str, split: str, index: int) -> Random:
        """A generator for one purpose of one sample, independent of all others.

        Only `Random.random()` returns the same numbers in every version of Python.
        """
        return Random(self.seed_for(purpose, split, index))

    def seed_for(self, purpose: str, split: str, index: int) -> int:
        """The seed of `rng`: SHA-256 of name, version, seed, split, index and purpose."""
        key = f"rft-{self.name}|{self.version}|{self.seed}|{split}|{index}|{purpose}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")

    def id(self, split: str, index: int) -> str:
        """The id of a sample."""
        return f"{self.name}-{split}-{index}"

    def origin(self, split: str, index: int) -> str:
        """The name of a sample in messages."""
        return f"{self.name}/{split} sample {index}"

    def option(self, split: str) -> str:
        """The option that sets the size of a split, for messages."""
        return split.replace("-", "_")


@remember
def _made(dataset: GeneratedDataset, split: str, index: int) -> Sample:
    return dataset.make(split, index)
