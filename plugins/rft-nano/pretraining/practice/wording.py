"""What all requests share: a question with its answer, choosing by weight, true words before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

Request = tuple[str, str]  # instruction, answer
Template = tuple[str, str]  # the same as format strings
Item = TypeVar("Item")
INTRODUCED = 0.4  # share of requests about images that begin with other words


def one_of(rng: Random, weights: Mapping[Item, float]) -> Item:
    """A key, as often as its weight says."""
    return rng.choices(list(weights), list(weights.values()))[0]


def same(answer: str, *asks: str) -> tuple[Template, ...]:
    """Templates with one answer."""
    return tuple((ask, answer) for ask in asks)


def fill(rng: Random, templates: Sequence[Template], **values: object) -> Request:
    """One of `templates`, with its fields filled in."""
    ask, answer = rng.choice(templates)
    return ask.format(**values), answer.format(**values)


def introduced(rng: Random, ask: str, sentences: Sequence[str]) -> str:
    """The instruction, sometimes after one or two of `sentences`."""
    if rng.random() >= INTRODUCED:
        return ask
    return " ".join([*rng.sample(sentences, rng.choice((1, 1, 2))), ask])


def listed(words: Sequence[str], last: str) -> str:
    """ "size, color or shape" if `last` is "or"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
