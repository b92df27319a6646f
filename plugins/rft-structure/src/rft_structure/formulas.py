"""Formulas: the value, the working as text, and typical slips.

A slip is a plausible wrong formula; its name is the reason for a wrong choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rft_structure.quantities import show

Value = Callable[..., float]
Slip = tuple[str, Value]


@dataclass(frozen=True)
class Formula:
    """`value` and `working` take the values of the premises, in order.

    With `squares`, `value` is a length and `working` computes its square.
    """

    working: Callable[..., str]
    value: Value
    slips: tuple[Slip, ...]
    squares: bool = False

    def line(self, name: str, values: list[float]) -> str:
        """The calculation as one line that ends in the result."""
        result, working = show(self.value(*values)), self.working(*map(show, values))
        if self.squares:
            square = show(self.value(*values) ** 2)
            return f"{working} = {square} = {result} * {result}, {name} = {result}"
        return f"{name} = {result}" if working == result else f"{name} = {working} = {result}"


def rest_of(whole: int, written: str = "") -> Formula:
    """What is left of a whole after subtracting the known angles."""
    return Formula(
        lambda *known: " - ".join([written or str(whole), *known]),
        lambda *known: whole - sum(known),
        (
            ("took a sum 180 too large", lambda *known: whole + 180 - sum(known)),
            ("took a sum 90 too small", lambda *known: whole - 90 - sum(known)),
            ("did not subtract", lambda *known: sum(known)),
            ("left an angle out", lambda *known: whole - known[0]),
            ("left an angle out", lambda *known: whole - known[-1]),
        ),
    )


SAME = Formula(
    lambda a: a,
    lambda a: a,
    (
        ("took the angle that makes 180 with it", lambda a: 180 - a),
        ("took the angle that makes 90 with it", lambda a: 90 - a),
        ("halved it", lambda a: a / 2),
        ("doubled it", lambda a: 2 * a),
    ),
)
SHARED = Formula(
    lambda apex: f"(180 - {apex}) / 2",
    lambda apex: (180 - apex) / 2,
    (
        ("forgot to halve", lambda apex: 180 - apex),
        ("took the other angle", lambda apex: apex),
        ("halved the other angle", lambda apex: apex / 2),
        ("took a sum of 360", lambda apex: (360 - apex) / 2),
    ),
)
SUM = Formula(
    lambda a, b: f"{a} + {b}",
    lambda a, b: a + b,
    (
        ("took the inner angle", lambda a, b: 180 - a - b),
        ("subtracted", lambda a, b: abs(a - b)),
        ("left an angle out", lambda a, b: 180 - a),
        ("left an angle out", lambda a, b: 180 - b),
    ),
)
TWICE = Formula(
    lambda a: f"2 * {a}",
    lambda a: 2 * a,
    (
        ("took the same angle", lambda a: a),
        ("halved instead of doubling", lambda a: a / 2),
        ("took the rest of 180", lambda a: 180 - 2 * a),
        ("took the rest of 180", lambda a: 180 - a),
    ),
)
HALF = Formula(
    lambda a: f"{a} / 2",
    lambda a: a / 2,
    (
        ("forgot to halve", lambda a: a),
        ("doubled instead of halving", lambda a: 2 * a),
        ("took the rest of 180", lambda a: 180 - a),
        ("took the rest of 90", lambda a: 90 - a / 2),
    ),
)
RIGHT = Formula(lambda: "90", lambda: 90, (("took 60 for 90", lambda: 60),))


def _legs(right: float, a: float, b: float) -> float:
    return math.hypot(a, b) if right == 90 else math.nan


def _leg(right: float, longest: float, leg: float) -> float:
    return math.sqrt(longest**2 - leg**2) if right == 90 and longest > leg else math.nan


HYPOTENUSE = Formula(
    lambda _, a, b: f"{a} * {a} + {b} * {b}",
    _legs,
    (
        ("added the sides", lambda _, a, b: a + b),
        ("forgot the root", lambda _, a, b: a**2 + b**2),
        ("subtracted the squares", lambda _, a, b: math.sqrt(abs(a**2 - b**2))),
        ("took the mean", lambda _, a, b: (a + b) / 2),
    ),
    squares=True,
)
LEG = Formula(
    lambda _, longest, leg: f"{longest} * {longest} - {leg} * {leg}",
    _leg,
    (
        ("subtracted the sides", lambda _, longest, leg: longest - leg),
        ("forgot the root", lambda _, longest, leg: longest**2 - leg**2),
        ("added the squares", lambda _, longest, leg: math.hypot(longest, leg)),
        ("added the sides", lambda _, longest, leg: longest + leg),
    ),
    squares=True,
)
SCALED = Formula(
    lambda side, other, base: f"{side} * {other} / {base}",
    lambda side, other, base: side * other / base,
    (
        ("turned the ratio over", lambda side, other, base: side * base / other),
        ("added the difference", lambda side, other, base: abs(side + other - base)),
        ("took the same length", lambda side, other, base: side),
        ("paired the wrong sides", lambda side, other, base: base * other / side),
    ),
)
AROUND = Formula(
    lambda *sides: " + ".join(sides),
    lambda *sides: sum(sides),
    (
        ("left a side out", lambda *sides: sum(sides[1:])),
        ("left a side out", lambda *sides: sum(sides[:-1])),
        ("counted a side twice", lambda *sides: sum(sides) + sides[0]),
        ("took an area", lambda *sides: sides[0] * sides[1] / 2),
    ),
)
AROUND_RECTANGLE = Formula(
    lambda a, b: f"2 * ({a} + {b})",
    lambda a, b: 2 * (a + b),
    (
        ("added two sides of four", lambda a, b: a + b),
        ("took the area", lambda a, b: a * b),
        ("left a side out", lambda a, b: 2 * a + b),
        ("left a side out", lambda a, b: a + 2 * b),
    ),
)
PRODUCT = Formula(
    lambda a, b: f"{a} * {b}",
    lambda a, b: a * b,
    (
        ("took the perimeter", lambda a, b: 2 * (a + b)),
        ("halved it like a triangle", lambda a, b: a * b / 2),
        ("added the sides", lambda a, b: a + b),
        ("doubled it", lambda a, b: 2 * a * b),
    ),
)
HALF_PRODUCT = Formula(
    lambda _, a, b: f"{a} * {b} / 2",
    lambda right, a, b: a * b / 2 if right == 90 else math.nan,
    (
        ("forgot to halve", lambda _, a, b: a * b),
        ("added the sides", lambda _, a, b: a + b),
        ("took the perimeter", lambda _, a, b: a + b + math.hypot(a, b)),
        ("halved twice", lambda _, a, b: a * b / 4),
    ),
)
TRAPEZIUM = Formula(
    lambda _, a, b, height: f"({a} + {b}) * {height} / 2",
    lambda right, a, b, height: (a + b) * height / 2 if right == 90 else math.nan,
    (
        ("forgot to halve", lambda _, a, b, height: (a + b) * height),
        ("used one side only", lambda _, a, b, height: a * height),
        ("used one side only", lambda _, a, b, height: b * height),
        ("multiplied the sides", lambda _, a, b, height: a * b),
    ),
)
DISC = Formula(
    lambda r: f"pi * {r} * {r}",
    lambda r: math.pi * r**2,
    (
        ("took the circumference", lambda r: 2 * math.pi * r),
        ("took the diameter for the radius", lambda r: 4 * math.pi * r**2),
        ("forgot pi", lambda r: r**2),
        ("forgot the square", lambda r: math.pi * r),
    ),
)
RIM = Formula(
    lambda r: f"2 * pi * {r}",
    lambda r: 2 * math.pi * r,
    (
        ("took the area", lambda r: math.pi * r**2),
        ("forgot to double", lambda r: math.pi * r),
        ("took the diameter for the radius", lambda r: 4 * math.pi * r),
        ("forgot pi", lambda r: 2 * r),
    ),
)
SECTOR = Formula(
    lambda angle, r: f"{angle} / 360 * pi * {r} * {r}",
    lambda angle, r: angle / 360 * math.pi * r**2,
    (
        ("took the arc", lambda angle, r: angle / 180 * math.pi * r),
        ("took the whole circle", lambda angle, r: math.pi * r**2),
        ("took 180 for the whole", lambda angle, r: angle / 180 * math.pi * r**2),
        ("forgot pi", lambda angle, r: angle / 360 * r**2),
    ),
)
