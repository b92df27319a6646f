"""A figure under construction: random numbers, free letters, points, lines, relations.

Only `Random.random` is used, whose sequence Python guarantees.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import TypeVar

from rft_structure.diagrams import HIDDEN
from rft_structure.figures import Figure, Relation
from rft_structure.quantities import CENTER, NAMES, Quantity

Item = TypeVar("Item")

# Whole sides of right triangles that are not too thin to draw.
TRIPLES = (
    *((3 * k, 4 * k, 5 * k) for k in range(1, 13)),
    *((5 * k, 12 * k, 13 * k) for k in range(1, 6)),
    *((8 * k, 15 * k, 17 * k) for k in range(1, 5)),
    *((20 * k, 21 * k, 29 * k) for k in range(1, 3)),
    *((28, 45, 53), (33, 56, 65), (36, 77, 85), (39, 80, 89), (48, 55, 73), (65, 72, 97)),
)


@dataclass(frozen=True)
class Asked:
    """A figure with the given quantities and the asked one."""

    figure: Figure
    given: tuple[Quantity, ...]
    asked: Quantity


def unit(degrees: float) -> complex:
    """The point at distance 1 in a direction."""
    return cmath.rect(1, math.radians(degrees))


def apex(left: float, right: float) -> complex:
    """The third corner of the triangle over 0..1 with these angles at 0 and at 1."""
    scale = math.sin(math.radians(right)) / math.sin(math.radians(left + right))
    return scale * unit(left)


@dataclass
class Draft:
    """Collects points, lines and relations, and returns them as a rotated figure.

    `step`: angles drawn by `angles` are multiples of it.
    """

    rng: Random
    step: int
    points: dict[str, complex] = field(default_factory=dict)
    segments: list[tuple[str, str]] = field(default_factory=list)
    circles: list[tuple[str, str]] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def pick(self, options: Sequence[Item]) -> Item:
        """One of `options`, uniformly."""
        return options[int(self.rng.random() * len(options))]

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.rng.random() * (high - low + 1))

    def angles(self, count: int, total: int, low: int, high: int) -> list[int]:
        """`count` angles from `low` to `high` that add up to `total`."""
        while True:
            found = [self.step * self.whole(1, high // self.step) for _ in range(count - 1)]
            found.append(total - sum(found))
            if all(low <= angle <= high for angle in found):
                return found

    def triangle_angles(self) -> list[int]:
        """Three angles of a triangle that is easy to draw."""
        return self.angles(3, 180, 30, 115)

    def sides(self) -> tuple[int, int, int]:
        """Legs, in either order, and hypotenuse of a right triangle."""
        a, b, c = self.pick(TRIPLES)
        return self.pick(((a, b, c), (b, a, c)))

    def put(self, *spots: complex) -> list[str]:
        """Add points with free letters; returns the letters."""
        names = []
        for spot in spots:
            names.append(self.pick([name for name in NAMES if name not in self.points]))
            self.points[names[-1]] = spot
        return names

    def hide(self, *spots: complex) -> list[str]:
        """Add points without a letter, such as the end of a line."""
        names = [f"{HIDDEN}{len(self.points) + at}" for at in range(len(spots))]
        self.points |= dict(zip(names, spots, strict=True))
        return names

    def center(self, spot: complex, rim: str) -> str:
        """Add a circle around `spot` through the point `rim`."""
        self.points[CENTER] = spot
        self.circles.append((CENTER, rim))
        return CENTER

    def path(self, *names: str) -> None:
        """Join neighbors."""
        self.segments += pairwise(names)

    def loop(self, *names: str) -> None:
        """Join neighbors, and the last with the first."""
        self.path(*names, names[0])

    def relate(self, kind: str, *points: str) -> None:
        """Add a relation that holds."""
        self.relations.append(Relation(kind, points))

    def triangle(self, *spots: complex) -> list[str]:
        """Add three joined corners and their triangle."""
        names = self.put(*spots)
        self.loop(*names)
        self.relate("triangle", *names)
        return names

    def angle(self, a: str, vertex: str, b: str) -> Quantity:
        """An angle by its canonical name."""
        return self._figure(1).angle(a, vertex, b)

    def ask(self, given: Sequence[Quantity], asked: Quantity) -> Asked:
        """The finished figure, rotated and perhaps mirrored, with given and asked quantities."""
        return Asked(self._figure(unit(360 * self.rng.random())), tuple(given), asked)

    def _figure(self, turn: complex) -> Figure:
        mirror = turn != 1 and self.rng.random() < 0.5
        points = {
            name: turn * (spot.conjugate() if mirror else spot)
            for name, spot in self.points.items()
        }
        return Figure(points, tuple(self.segments), tuple(self.circles), tuple(self.relations))
