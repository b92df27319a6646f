"""Figures of plane geometry: named points, what joins them, and what is true of them.

A point is a complex number, so turning is multiplying. Every figure is to
scale: what its relations say can be measured in its coordinates.
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
    """Something true of some points; `language.STATED` says in words what each kind means."""

    kind: str
    points: Points


@dataclass(frozen=True)
class Figure:
    """Points, the segments and circles (centre, point) drawn, and the relations that hold."""

    points: Mapping[str, complex]
    segments: tuple[tuple[str, str], ...]
    circles: tuple[tuple[str, str], ...]
    relations: tuple[Relation, ...]

    def of(self, kind: str) -> Iterator[Points]:
        """The points of every relation of a kind."""
        return (relation.points for relation in self.relations if relation.kind == kind)

    def angle(self, a: str, vertex: str, b: str) -> Quantity:
        """The angle between two rays, by one name however far along them its points lie."""
        first, second = sorted((self._nearest(vertex, a), self._nearest(vertex, b)))
        return Quantity("angle", (first, vertex, second))

    def triangles(self) -> Iterator[Points]:
        """Those that are said to be there, and parts of other shapes."""
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
        """An angle in degrees or a length, read off the coordinates."""
        spots = [self.points[name] for name in quantity.points]
        if quantity.kind == "length":
            return abs(spots[0] - spots[1])
        return math.degrees(abs(cmath.phase((spots[0] - spots[1]) / (spots[2] - spots[1]))))
