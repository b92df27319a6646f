"""Random choices that are the same on every machine: only `Random.random()` guarantees that."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

Item = TypeVar("Item")


def pick(rng: Random, options: Sequence[Item]) -> Item:
    """One of the options."""
    return options[int(rng.random() * len(options))]


def shuffled(rng: Random, options: Sequence[Item]) -> list[Item]:
    """All options, in random order."""
    return sorted(options, key=lambda _: rng.random())
