"""Endless streams of exhibits: one or two images, what they show, and what to ask of them.

A stream owns its random numbers: the same seed gives the same exhibits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from pretraining.corpus.augment import OBJECTS, Motion, Seen, mirror, paste, splice
from pretraining.corpus.diagrams import Diagram, Label
from pretraining.corpus.pairs import Change, Pair, mirrored_way, turned_back
from pretraining.corpus.scenes import Shown
from pretraining.corpus.store import Corpus, to_model
from pretraining.practice import changes, diagrams, scenes
from pretraining.practice.wording import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPLICED, PASTED, MOVED = 0.3, 0.8, 0.85  # shares; PASTED of those not spliced
SAME = 0.08  # share of pairs that show one image twice
WITH_MOVE = 0.4  # share of pairs drawn among those in which something moves: the hardest to see
FREE_EDGE = 0.04  # of a diagram: labels stay so far inside


@dataclass(frozen=True)
class Exhibit:
    """Images (3, H, W) in about [-1, 1], the things and labels in each, and a way to ask.

    `changes`: what is new in the second image.
    """

    pictures: Sequence[NDArray[np.float32]]
    seen: Sequence[list[Seen]]
    labels: Sequence[list[Label]]
    ask: Callable[[Random], Request]
    changes: Sequence[Change] = ()


class Light:
    """Makes images a little lighter or darker, and a little noisy."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.noise = rng, np.random.default_rng(rng.getrandbits(32))

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Bytes (H, W, 3) to the tower's input."""
        light, shift = self.rng.uniform(0.88, 1.12), self.rng.uniform(-0.05, 0.05)
        out = to_model(pixels)
        grain = self.noise.standard_normal(out.shape, dtype=np.float32)
        return out * light + shift + grain * self.rng.uniform(0.0, 0.04)


class Scenes:
    """Single scenes. `scale`: how much things may shrink and grow, so that sizes stay apart."""

    def __init__(self, corpus: Corpus[Shown], seed: str, *, scale: float = 0.08) -> None:
        self.corpus, self.rng, self.scale = corpus, Random(seed), scale
        self.light = Light(self.rng)

    def _one(self) -> tuple[NDArray[Any], list[Seen]]:
        index = self.rng.randrange(len(self.corpus.facts))
        picture = (self.corpus.pixels[index], self.corpus.facts[index].seen)
        return mirror(*picture) if self.rng.random() < 0.5 else picture

    def _spliced(self, one: tuple[NDArray[Any], list[Seen]]) -> tuple[NDArray[Any], list[Seen]]:
        for _ in range(4):  # most pairs of crowded images have no common cut
            found = splice(self.rng, one, self._one())
            if found:
                return found
        return one

    def _crowded(self, base: tuple[NDArray[Any], list[Seen]]) -> tuple[NDArray[Any], list[Seen]]:
        """Things of other images, up to a number drawn at random."""
        wanted = self.rng.randint(1, OBJECTS)
        for _ in range(2 * OBJECTS):
            if len(base[1]) >= wanted:
                break
            base = paste(self.rng, base, self._one())
        return base

    def __call__(self) -> Exhibit:
        """The next one."""
        pixels, seen = self._one()
        if self.rng.random() < SPLICED:
            pixels, seen = self._spliced((pixels, seen))
        elif self.rng.random() < PASTED:
            pixels, seen = self._crowded((pixels, seen))
        for _ in range(3 if self.rng.random() < MOVED else 0):
            motion = Motion.draw(self.rng, scale=self.scale, turn=0.1, shift=0.12)
            after = motion.things(seen)
            if after:
                pixels, seen = motion.picture(pixels), after
                break
        things = [s.thing for s in seen]
        ask = partial(scenes.from_picture, things=things)
        return Exhibit([self.light(pixels)], [seen], [[]], ask)


class Pairs:
    """Two images of one row of things."""

    def __init__(self, corpus: Corpus[Pair], seed: str) -> None:
        self.corpus, self.rng = corpus, Random(seed)
        self.light = Light(self.rng)
        self.moving = [p for p in corpus.facts if any(c.attribute == "position" for c in p.changes)]

    def _one(self) -> Pair:
        from_all = self.rng.random() >= WITH_MOVE or not self.moving
        pair = self.rng.choice(self.corpus.facts if from_all else self.moving)
        if pair.same_view and self.rng.random() < 0.5:
            pair = turned_back(pair)
        if self.rng.random() < SAME:
            pair = replace(pair, second=pair.first, after=pair.before, changes=[])
        return pair

    def __call__(self) -> Exhibit:
        """The next one: both images turned round together, and moved together."""
        pair = self._one()
        pixels = [self.corpus.pixels[row] for row in (pair.first, pair.second)]
        seen = [pair.before, pair.after]
        if self.rng.random() < 0.5:
            pixels, seen = map(list, zip(*map(mirror, pixels, seen), strict=True))
            pair = _mirrored(pair)
        for _ in range(3 if self.rng.random() < MOVED else 0):
            motion = Motion.draw(self.rng, scale=0.04, turn=0.05, shift=0.08)
            after = [motion.things(s) for s in seen]
            if after[0] and after[1]:
                pixels, seen = [motion.picture(p) for p in pixels], [after[0], after[1]]
                break
        pair = replace(pair, before=seen[0], after=seen[1])
        pictures = [self.light(p) for p in pixels]
        ask = partial(changes.about, pair=pair)
        return Exhibit(pictures, seen, [[], []], ask, pair.changes)


def _mirrored(pair: Pair) -> Pair:
    return replace(
        pair,
        changes=[
            replace(c, value=mirrored_way(c.value)) if c.attribute == "position" else c
            for c in pair.changes
        ],
    )


class Diagrams:
    """Figures with letters and numbers."""

    def __init__(self, corpus: Corpus[Diagram], seed: str) -> None:
        self.corpus, self.rng = corpus, Random(seed)
        self.light = Light(self.rng)

    def __call__(self) -> Exhibit:
        """The next one."""
        index = self.rng.randrange(len(self.corpus.facts))
        pixels, diagram = self.corpus.pixels[index], self.corpus.facts[index]
        for _ in range(3 if self.rng.random() < MOVED else 0):
            motion = Motion.draw(self.rng, scale=0.05, turn=0.03, shift=0.05)
            after = _moved(diagram, motion)
            if after:
                pixels, diagram = motion.picture(pixels), after
                break
        ask = partial(diagrams.about, diagram=diagram)
        return Exhibit([self.light(pixels)], [[]], [diagram.labels], ask)


def _moved(diagram: Diagram, motion: Motion) -> Diagram | None:
    """The diagram after a motion; None if a label comes too near to the edge."""
    labels = [Label(lb.text, *motion.at(lb.u, lb.v), lb.of) for lb in diagram.labels]
    if any(not FREE_EDGE <= x <= 1 - FREE_EDGE for lb in labels for x in (lb.u, lb.v)):
        return None
    points = {name: motion.at(*spot) for name, spot in diagram.points.items()}
    return replace(diagram, labels=labels, points=points)


class Mixed:
    """Several streams as one, each as often as its weight says."""

    def __init__(
        self, streams: Sequence[Callable[[], Exhibit]], weights: Sequence[float], seed: str
    ) -> None:
        self.streams, self.weights, self.rng = streams, weights, Random(seed)

    def __call__(self) -> Exhibit:
        """The next one of one of them."""
        return self.rng.choices(self.streams, self.weights)[0]()
