"""Measure a drawn figure without the derivation code.

Uses only the content of a sample: its text, the pixels of its lettered points and its
circle.
"""

import math
import re
from collections.abc import Sequence

from rftcore.types import Sample

Spot = tuple[float, float]
# A value after any calculation: "angle E F G = 180 - 70 = 110." or "E F is 5."
VALUE = r"(?:[\d.+*/() -]+= )*(\d+(?:\.\d)?)(?=[.,] |[.]$)"


def spots(sample: Sample, names: Sequence[str]) -> list[Spot]:
    return [sample.meta["points"][name] for name in names]


def angle(a: Spot, b: Spot, c: Spot) -> float:
    """At b, in degrees, by the dot and the cross product."""
    (ux, uy), (vx, vy) = ((p[0] - b[0], p[1] - b[1]) for p in (a, c))
    return abs(math.degrees(math.atan2(ux * vy - uy * vx, ux * vx + uy * vy)))


def around(corners: Sequence[Spot]) -> float:
    return sum(math.dist(a, b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True))


def inside(corners: Sequence[Spot]) -> float:
    """The shoelace formula."""
    pairs = zip(corners, [*corners[1:], corners[0]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def measured(sample: Sample, kind: str, shape: str, names: Sequence[str], radius: float) -> float:
    """A quantity of the drawing, in degrees or in units of the figure. `radius` is in pixels."""
    unit, at = sample.meta["pixels_per_unit"], spots(sample, names)
    if kind == "angle":
        return angle(*at)
    if kind == "length":
        return math.dist(*at) / unit
    if shape == "circle":
        return math.pi * (radius / unit) ** 2 if kind == "area" else 2 * math.pi * radius / unit
    if shape == "sector":
        return angle(at[1], at[0], at[2]) / 360 * math.pi * (radius / unit) ** 2
    return around(at) / unit if kind == "perimeter" else inside(at) / unit**2


def right_value(sample: Sample) -> str:
    """The answer as a number: behind the gold's letter, if it is one."""
    if not sample.meta["choices"]:
        return sample.gold
    offered = dict(re.findall(r"([A-D]) ([\d.]+)[,.]", sample.question.partition("Choices: ")[2]))
    return offered[sample.gold].rstrip(".")


def values_in(text: str) -> list[tuple[str, str, float]]:
    """(kind, points, value) of every "Angle E F G is 50." and "E F = 5." in a text."""
    found = [
        ("angle", names, float(value))
        for names, value in re.findall(rf"[aA]ngle (\w \w \w) (?:is|=) {VALUE}", text)
    ]
    found += [
        ("length", names, float(value))
        for names, value in re.findall(rf"(?:^|[.,:] )([A-Z] [A-Z]) (?:is|=) {VALUE}", text)
    ]
    return [(kind, names.replace(" ", ""), value) for kind, names, value in found]
