"""Quantities of a problem: angles, lengths, areas and perimeters of named points.

Values are floats; only `show` turns a number into text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["angle", "length", "area", "perimeter"]
NAMES = tuple("EFGHJKLMNPQRSTUVWXYZ")  # A to D are the choices, O the center, I looks like 1
CENTER = "O"
_NOISE = 1e-6  # of floating point, in degrees or units


@dataclass(frozen=True, order=True)
class Quantity:
    """A measurable quantity. `shape` is that of an area or a perimeter."""

    kind: Kind
    points: tuple[str, ...]
    shape: str = ""

    def __str__(self) -> str:
        points = " ".join(self.points)
        if self.kind == "length":
            return points
        if self.kind == "angle":
            return f"angle {points}"
        kind = "circumference" if (self.kind, self.shape) == ("perimeter", "circle") else self.kind
        return f"{kind} of {self.shape} {points}"

    @property
    def short(self) -> str:
        """The name without corners for an area or perimeter, of which a problem has only one."""
        return str(self) if self.kind in ("angle", "length") else str(self).partition(" ")[0]


def length(a: str, b: str) -> Quantity:
    """The distance of two points, in either order."""
    return Quantity("length", (min(a, b), max(a, b)))


def area(shape: str, *points: str) -> Quantity:
    """The area of a shape with these corners; a circle is named by its center."""
    return Quantity("area", points, shape)


def perimeter(shape: str, *points: str) -> Quantity:
    """The perimeter of a shape with these corners."""
    return Quantity("perimeter", points, shape)


def show(value: float) -> str:
    """At most one decimal, half rounded up: 37, 0.5, 50.3."""
    tenths = math.floor(value * 10 + 0.5 + _NOISE)
    whole, rest = divmod(tenths, 10)
    return f"{whole}.{rest}" if rest else str(whole)


def is_exact(value: float) -> bool:
    """Whether `show` is exact for a value, so that calculations can use the text."""
    return abs(value - float(show(value))) < _NOISE


def is_clear(value: float) -> bool:
    """Whether rounding is unambiguous: exact, or far from the middle of two tenths."""
    return is_exact(value) or abs(value * 10 % 1 - 0.5) > 0.05
