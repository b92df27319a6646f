"""Figures of plane geometry: named points, segments, circles and relations.

A point is a complex number, so rotation is multiplication. Every figure is to
scale: its relations can be measured in its coordinates.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rft_structure.diagrams import HIDDEN, Points
from rft_structure.quantities import Quantity


@dataclass(frozen=True)
class Relation:
    """A relation that holds for some points; `language.STATED` has the kinds in words."""

    kind: str
    points: Points


@dataclass(frozen=True)
class Figure:
    """Points, the segments and circles (center, point) drawn, and the relations that hold."""

    points: Mapping[str, complex]
    segments: tuple[tuple[str, str], ...]
    circles: tuple[tuple[str, str], ...]
    relations: tuple[Relation, ...]

    def of(self, kind: str) -> Iterator[Points]:
        """The points of every relation of a kind."""
        return (relation.points for relation in self.relations if relation.kind == kind)

    def angle(self, a: str, vertex: str, b: str) -> Quantity:
        """The angle between two rays, with the same name for any points on the rays."""
        first, second = sorted((self._nearest(vertex, a), self._nearest(vertex, b)))
        return Quantity("angle", (first, vertex, second))

    def triangles(self) -> Iterator[Points]:
        """Triangles, and triangular parts of other shapes."""
        yield from self.of("triangle")
        yield from self.of("part")

    def lines(self) -> Iterator[Points]:
        """Three points in a row, the second between the others."""
        yield from self.of("line")
        for vertex, a, b, c, d in self.of("cross"):
            yield a, vertex, b
            yield c, vertex, d

    def _nearest(self, vertex: str, point: str) -> str:
        """The first named point on a ray."""
        for a, between, b in self.lines():
            if (vertex, point) in ((a, b), (b, a)) and not between.startswith(HIDDEN):
                return self._nearest(vertex, between)
        return point

    def measure(self, quantity: Quantity) -> float:
        """An angle in degrees or a length, measured in the coordinates."""
        spots = [self.points[name] for name in quantity.points]
        if quantity.kind == "length":
            return abs(spots[0] - spots[1])
        return math.degrees(abs(cmath.phase((spots[0] - spots[1]) / (spots[2] - spots[1]))))
