"""The theorems, and for a figure every possible use of each.

    Use(theorem, premises -> conclusion, formula)

This module does not use values; `derivation` finds the uses whose premises are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

from rft_structure import formulas
from rft_structure.figures import Figure
from rft_structure.formulas import Formula
from rft_structure.quantities import Quantity, area, length, perimeter

Instance = tuple[Sequence[Quantity], Quantity, Formula]


@dataclass(frozen=True)
class Theorem:
    """A name, the reason written in a chain of thought, and the instances in a figure."""

    name: str
    reason: str
    instances: Callable[[Figure], Iterator[Instance]]


@dataclass(frozen=True)
class Use:
    """One instance of a theorem."""

    theorem: Theorem
    premises: tuple[Quantity, ...]
    conclusion: Quantity
    formula: Formula


def uses(figure: Figure) -> list[Use]:
    """Every instance of every theorem, in a fixed order."""
    return [
        Use(theorem, tuple(premises), conclusion, formula)
        for theorem in THEOREMS
        for premises, conclusion, formula in theorem.instances(figure)
    ]


def _all_but_one(angles: Sequence[Quantity], formula: Formula) -> Iterator[Instance]:
    for at, last in enumerate(angles):
        yield [*angles[:at], *angles[at + 1 :]], last, formula


def _corners(figure: Figure, points: Sequence[str]) -> list[Quantity]:
    before, after = [*points[-1:], *points[:-1]], [*points[1:], *points[:1]]
    return [figure.angle(a, b, c) for a, b, c in zip(before, points, after, strict=True)]


def _triangle_sum(figure: Figure) -> Iterator[Instance]:
    for points in figure.triangles():
        yield from _all_but_one(_corners(figure, points), formulas.rest_of(180))


def _isosceles(figure: Figure) -> Iterator[Instance]:
    for apex, a, b in [*figure.of("equal"), *figure.of("radii")]:
        first, second = figure.angle(apex, a, b), figure.angle(apex, b, a)
        top = figure.angle(a, apex, b)
        yield [first], second, formulas.SAME
        yield [second], first, formulas.SAME
        yield [top], first, formulas.SHARED
        yield [top], second, formulas.SHARED


def _exterior(figure: Figure) -> Iterator[Instance]:
    for a, b, c, beyond in figure.of("outer"):
        inner = [figure.angle(b, a, c), figure.angle(a, b, c)]
        yield inner, figure.angle(a, c, beyond), formulas.SUM


def _polygon_sum(figure: Figure) -> Iterator[Instance]:
    for points in [*figure.of("polygon"), *figure.of("inside")]:
        halves = len(points) - 2
        formula = formulas.rest_of(180 * halves, f"{halves} * 180")
        yield from _all_but_one(_corners(figure, points), formula)


def _straight_line(figure: Figure) -> Iterator[Instance]:
    for vertex, *rays in figure.of("fan"):
        angles = [figure.angle(a, vertex, b) for a, b in pairwise(rays)]
        yield from _all_but_one(angles, formulas.rest_of(180))


def _vertical(figure: Figure) -> Iterator[Instance]:
    for vertex, a, b, c, d in figure.of("cross"):
        for e, f in ((c, d), (d, c)):
            first, second = figure.angle(a, vertex, e), figure.angle(b, vertex, f)
            yield [first], second, formulas.SAME
            yield [second], first, formulas.SAME


def _alternate(figure: Figure) -> Iterator[Instance]:
    for p, x, q, y in figure.of("opposed"):
        first, second = figure.angle(x, p, q), figure.angle(y, q, p)
        yield [first], second, formulas.SAME
        yield [second], first, formulas.SAME


def _corresponding(figure: Figure) -> Iterator[Instance]:
    for beyond, p, x, q, y in figure.of("corresponding"):
        first, second = figure.angle(beyond, p, x), figure.angle(p, q, y)
        yield [first], second, formulas.SAME
        yield [second], first, formulas.SAME


def _co_interior(figure: Figure) -> Iterator[Instance]:
    for p, x, q, y in figure.of("parallel"):
        angles = [figure.angle(x, p, q), figure.angle(y, q, p)]
        yield from _all_but_one(angles, formulas.rest_of(180))


def _pythagoras(figure: Figure) -> Iterator[Instance]:
    for points in figure.triangles():
        for corner, a, b in permutations(points):
            right = figure.angle(a, corner, b)
            one, two, longest = length(corner, a), length(corner, b), length(a, b)
            yield [right, longest, one], two, formulas.LEG
            if a < b:
                yield [right, one, two], longest, formulas.HYPOTENUSE


def _similar(figure: Figure) -> Iterator[Instance]:
    for points in figure.of("similar"):
        pairs = list(zip(points[:3], points[3:], strict=True))
        for (a, d), (b, e), (c, f) in permutations(pairs):
            yield [length(b, c), length(d, e), length(a, b)], length(e, f), formulas.SCALED
            yield [length(e, f), length(a, b), length(d, e)], length(b, c), formulas.SCALED


def _inscribed(figure: Figure) -> Iterator[Instance]:
    for center, a, b, c in figure.of("inscribed"):
        central, rim = figure.angle(a, center, b), figure.angle(a, c, b)
        yield [central], rim, formulas.HALF
        yield [rim], central, formulas.TWICE


def _semicircle(figure: Figure) -> Iterator[Instance]:
    for a, b, c in figure.of("diameter"):
        yield [], figure.angle(a, c, b), formulas.RIGHT


def _tangent(figure: Figure) -> Iterator[Instance]:
    for center, touch, beyond in figure.of("tangent"):
        yield [], figure.angle(center, touch, beyond), formulas.RIGHT


def _perimeter(figure: Figure) -> Iterator[Instance]:
    for a, b, c in figure.triangles():
        sides = [length(a, b), length(b, c), length(a, c)]
        yield sides, perimeter("triangle", a, b, c), formulas.AROUND
    for a, b, c, d in figure.of("rectangle"):
        sides = [length(a, b), length(b, c)]
        yield sides, perimeter("rectangle", a, b, c, d), formulas.AROUND_RECTANGLE


def _rectangle_area(figure: Figure) -> Iterator[Instance]:
    for a, b, c, d in figure.of("rectangle"):
        yield [length(a, b), length(b, c)], area("rectangle", a, b, c, d), formulas.PRODUCT


def _triangle_area(figure: Figure) -> Iterator[Instance]:
    for points in figure.triangles():
        for corner, a, b in permutations(points):
            if a < b:
                known = [figure.angle(a, corner, b), length(corner, a), length(corner, b)]
                yield known, area("triangle", *points), formulas.HALF_PRODUCT


def _trapezium_area(figure: Figure) -> Iterator[Instance]:
    for a, b, c, d, foot in figure.of("trapezium"):
        known = [figure.angle(c, foot, b), length(a, b), length(c, d), length(c, foot)]
        yield known, area("trapezium", a, b, c, d), formulas.TRAPEZIUM


def _circle(figure: Figure, asked: Quantity, formula: Formula) -> Iterator[Instance]:
    for center, *rim in figure.of("circle"):
        for point in rim:
            yield [length(center, point)], asked, formula


def _circle_area(figure: Figure) -> Iterator[Instance]:
    return _circle(figure, area("circle", "O"), formulas.DISC)


def _circumference(figure: Figure) -> Iterator[Instance]:
    return _circle(figure, perimeter("circle", "O"), formulas.RIM)


def _sector_area(figure: Figure) -> Iterator[Instance]:
    for center, a, b in figure.of("sector"):
        for end in (a, b):
            known = [figure.angle(a, center, b), length(center, end)]
            yield known, area("sector", center, a, b), formulas.SECTOR


THEOREMS = (
    Theorem("triangle-sum", "The angles of a triangle make 180", _triangle_sum),
    Theorem("isosceles", "Equal sides make equal angles", _isosceles),
    Theorem("exterior", "An outer angle is the sum of the two far ones", _exterior),
    Theorem("polygon-sum", "The angles make 180 for each triangle inside", _polygon_sum),
    Theorem("straight-line", "Angles on a line make 180", _straight_line),
    Theorem("vertical", "Lines that cross make equal angles", _vertical),
    Theorem("alternate", "Alternate angles are equal", _alternate),
    Theorem("corresponding", "Corresponding angles are equal", _corresponding),
    Theorem("co-interior", "Angles between parallel lines make 180", _co_interior),
    Theorem("pythagoras", "In a right triangle", _pythagoras),
    Theorem("similar", "Triangles of the same shape", _similar),
    Theorem("inscribed", "The angle at the center is twice the one at the circle", _inscribed),
    Theorem("semicircle", "The angle over a diameter is right", _semicircle),
    Theorem("tangent", "A tangent is at a right angle to the radius", _tangent),
    Theorem("perimeter", "All sides together", _perimeter),
    Theorem("rectangle-area", "Side times side", _rectangle_area),
    Theorem("triangle-area", "Half of side times height", _triangle_area),
    Theorem("trapezium-area", "Half of both sides times height", _trapezium_area),
    Theorem("circle-area", "Pi times radius times radius", _circle_area),
    Theorem("circumference", "Twice pi times radius", _circumference),
    Theorem("sector-area", "A part of the circle", _sector_area),
)
