"""Choices by chance that are the same everywhere: only `Random.random()` promises that."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

Item = TypeVar("Item")


def pick(rng: Random, options: Sequence[Item]) -> Item:
    """One of the options."""
    return options[int(rng.random() * len(options))]


def shuffled(rng: Random, options: Sequence[Item]) -> list[Item]:
    """All options, in an order of chance."""
    return sorted(options, key=lambda _: rng.random())
