"""More images from few: mirrored, spliced, with things of others, moved.

A few thousand renders are learnt by heart within minutes; what comes out of here
is not: neighbors differ, and the patches cut every thing in another place.
Each operation returns what the new image shows, left to right, or None if it
would not be true any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from rft_nano.model import IMAGE_SIZE

from pretraining.things import Thing

if TYPE_CHECKING:
    from numpy.typing import NDArray

OBJECTS = 10  # an image shows 1 to 10
FAR = int(0.6 * IMAGE_SIZE)  # how far a pasted thing may come from
FACE = 1.15  # a thing's disc reaches this many radii: shadows and corners


@dataclass(frozen=True)
class Seen:
    """A thing in an image with its disc: `radius` is a share of the image's width.

    `number` tells the same thing in two images; -1 where there is only one image.
    """

    thing: Thing
    radius: float
    number: int = -1


def mirror(pixels: NDArray[Any], seen: list[Seen]) -> tuple[NDArray[Any], list[Seen]]:
    """Left becomes right, so the order turns round."""
    turned = [replace(s, thing=replace(s.thing, u=1 - s.thing.u)) for s in reversed(seen)]
    return pixels[:, ::-1], turned


def _cuts(seen: list[Seen], axis: str) -> NDArray[np.bool_]:
    """For each pixel column (u) or row (v): whether a cut there spares every thing."""
    free = np.ones(IMAGE_SIZE, bool)
    for s in seen:
        middle, reach = getattr(s.thing, axis), s.radius * FACE + 0.01
        low, high = int((middle - reach) * IMAGE_SIZE), int((middle + reach) * IMAGE_SIZE) + 1
        free[max(0, low) : high + 1] = False
    free[: IMAGE_SIZE // 6] = free[-IMAGE_SIZE // 6 :] = False
    return free


def splice(
    rng: Random, one: tuple[NDArray[Any], list[Seen]], two: tuple[NDArray[Any], list[Seen]]
) -> tuple[NDArray[Any], list[Seen]] | None:
    """One side of an image and the other side of another, cut where no thing is.

    All images share the floor and, nearly, the camera. None if no cut spares
    every thing, or the result shows nothing or more than `OBJECTS`.
    """
    axis = rng.choice(("u", "v"))
    cuts = np.flatnonzero(_cuts(one[1], axis) & _cuts(two[1], axis))
    if not len(cuts):
        return None
    cut = int(cuts[rng.randrange(len(cuts))])
    near = [s for s in one[1] if getattr(s.thing, axis) * IMAGE_SIZE < cut]
    far = [s for s in two[1] if getattr(s.thing, axis) * IMAGE_SIZE >= cut]
    seen = sorted(near + far, key=lambda s: s.thing.u)
    if not 1 <= len(seen) <= OBJECTS or _ambiguous(seen):
        return None
    pixels = np.array(two[0])
    side = (slice(None), slice(0, cut)) if axis == "u" else (slice(0, cut),)
    pixels[side] = one[0][side]
    return pixels, seen


def _ambiguous(seen: list[Seen]) -> bool:
    """Whether two neighbors stand so nearly above one another that left is a guess."""
    return any(b.thing.u - a.thing.u < 0.025 for a, b in pairwise(seen))


def paste(
    rng: Random, base: tuple[NDArray[Any], list[Seen]], donor: tuple[NDArray[Any], list[Seen]]
) -> tuple[NDArray[Any], list[Seen]]:
    """Put one thing of `donor`, with the floor around it, where `base` has room for it.

    The base as it was if the thing touches another, or no room is found.
    """
    chosen = rng.choice(donor[1])
    if any(_touch(chosen, other) for other in donor[1] if other is not chosen):
        return base
    for _ in range(4):
        dx, dy = (rng.randint(-FAR, FAR) for _ in range(2))  # pixels
        thing = replace(
            chosen.thing,
            u=chosen.thing.u + dx / IMAGE_SIZE,
            v=chosen.thing.v + dy / IMAGE_SIZE,
        )
        here = Seen(thing, chosen.radius)
        seen = sorted([*base[1], here], key=lambda s: s.thing.u)
        if _framed(here) and not _ambiguous(seen) and not any(_touch(here, s) for s in base[1]):
            return _blend(base[0], donor[0], here, dx, dy), seen
    return base


def _touch(one: Seen, two: Seen) -> bool:
    away = math.hypot(one.thing.u - two.thing.u, one.thing.v - two.thing.v)
    return away < (one.radius + two.radius) * FACE + 0.02


def _blend(
    base: NDArray[Any], donor: NDArray[Any], here: Seen, dx: int, dy: int
) -> NDArray[np.uint8]:
    """Copy the disc of `here` from `donor`, moved by (dx, dy) pixels, with a soft rim."""
    x, y, reach = (f * IMAGE_SIZE for f in (here.thing.u, here.thing.v, here.radius * FACE))
    around = int(reach) + 3
    left, top = max(0, int(x) - around, dx), max(0, int(y) - around, dy)
    right = min(IMAGE_SIZE, int(x) + around, IMAGE_SIZE + dx)
    bottom = min(IMAGE_SIZE, int(y) + around, IMAGE_SIZE + dy)
    rows, columns = np.mgrid[top:bottom, left:right]
    away = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
    share = np.clip((reach + 1.5 - away) / 2.5, 0, 1)[..., None]
    out = np.array(base)
    piece = donor[top - dy : bottom - dy, left - dx : right - dx]
    out[top:bottom, left:right] = piece * share + out[top:bottom, left:right] * (1 - share)
    return out


@dataclass(frozen=True)
class Motion:
    """An image scaled, turned about its middle (radians) and shifted (shares of the width)."""

    scale: float
    turn: float
    dx: float
    dy: float

    @classmethod
    def draw(cls, rng: Random, *, scale: float, turn: float, shift: float) -> Motion:
        """At random, within so much of standing still."""
        return cls(
            rng.uniform(1 - scale, 1 + scale),
            rng.uniform(-turn, turn),
            rng.uniform(-shift, shift),
            rng.uniform(-shift, shift),
        )

    def at(self, u: float, v: float) -> tuple[float, float]:
        """Where a place goes."""
        cos, sin = math.cos(self.turn) * self.scale, math.sin(self.turn) * self.scale
        x, y = u - 0.5, v - 0.5
        return cos * x - sin * y + 0.5 + self.dx, sin * x + cos * y + 0.5 + self.dy

    def picture(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """The image moved; what was at its edges goes on beyond them."""
        from PIL import Image

        border = IMAGE_SIZE // 3
        wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="edge")
        # PIL asks, for each new pixel, which old pixel it shows: the inverse of `at`
        a, b = math.cos(self.turn) / self.scale, math.sin(self.turn) / self.scale
        middle = IMAGE_SIZE / 2
        x, y = IMAGE_SIZE * (0.5 + self.dx), IMAGE_SIZE * (0.5 + self.dy)
        matrix = (a, b, middle + border - a * x - b * y, -b, a, middle + border + b * x - a * y)
        size = (IMAGE_SIZE, IMAGE_SIZE)
        return np.asarray(
            Image.fromarray(wide).transform(
                size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
            )
        )

    def things(self, seen: list[Seen]) -> list[Seen] | None:
        """What is then seen; None if something leaves the frame, or left becomes a guess."""
        after = []
        for s in seen:
            u, v = self.at(s.thing.u, s.thing.v)
            after.append(replace(s, thing=replace(s.thing, u=u, v=v), radius=s.radius * self.scale))
        after.sort(key=lambda s: s.thing.u)
        return after if all(map(_framed, after)) and not _ambiguous(after) else None


def _framed(s: Seen) -> bool:
    edge = s.radius * 1.1
    return all(edge <= x <= 1 - edge for x in (s.thing.u, s.thing.v))
