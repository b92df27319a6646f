"""Kinds of problem about lengths, areas and perimeters."""

from __future__ import annotations

from itertools import product
from math import acos, degrees

from rft_structure.drafting import Asked, Draft, unit
from rft_structure.kinds.parts import close_over_crossing
from rft_structure.quantities import area, length, perimeter

# Whole sides of triangles that are neither thin nor blunt.
WHOLE_TRIANGLES = tuple(
    sides
    for sides in product(range(4, 13), repeat=3)
    if max(sides) <= 0.8 * (sum(sides) - max(sides)) and max(sides) <= 2 * min(sides)
)


def _right_triangle(d: Draft, one: float, other: float) -> list[str]:
    corner, a, b = d.triangle(0, one, 1j * other)
    d.relate("right", a, corner, b)
    return [corner, a, b]


def right_triangle(d: Draft) -> Asked:
    """Two sides of a right triangle are given."""
    one, other, _ = d.sides()
    corner, a, b = _right_triangle(d, one, other)
    sides = [length(corner, a), length(corner, b), length(a, b)]
    asked = d.pick(sides)
    return d.ask([side for side in sides if side != asked], asked)


def _two_sides(d: Draft) -> tuple[int, int]:
    """Whole sides of a shape that is not too thin."""
    one, ratio = d.whole(3, 20), 0.4 + 0.5 * d.rng.random()
    return d.pick(((one, max(2, round(one * ratio))), (max(2, round(one * ratio)), one)))


def right_triangle_area(d: Draft) -> Asked:
    """Both legs are given."""
    corner, a, b = _right_triangle(d, *_two_sides(d))
    return d.ask([length(corner, a), length(corner, b)], area("triangle", corner, a, b))


def hypotenuse_then_area(d: Draft) -> Asked:
    """The longest side and a leg are given, the area is asked."""
    one, other, _ = d.sides()
    corner, a, b = _right_triangle(d, one, other)
    return d.ask([length(a, b), length(corner, a)], area("triangle", corner, a, b))


def _rectangle(d: Draft, one: float, other: float) -> list[str]:
    names = d.put(0, one, one + 1j * other, 1j * other)
    d.loop(*names)
    d.relate("rectangle", *names)
    return names


def rectangle_area(d: Draft) -> Asked:
    """Two sides are given."""
    a, b, c, e = _rectangle(d, *_two_sides(d))
    return d.ask([length(a, b), length(b, c)], area("rectangle", a, b, c, e))


def rectangle_perimeter(d: Draft) -> Asked:
    """Two sides are given."""
    a, b, c, e = _rectangle(d, *_two_sides(d))
    return d.ask([length(a, b), length(b, c)], perimeter("rectangle", a, b, c, e))


def _cut_rectangle(d: Draft) -> list[str]:
    one, other, _ = d.sides()
    a, b, c, e = _rectangle(d, one, other)
    d.path(a, c)
    d.relate("part", a, b, c)
    return [a, b, c, e]


def diagonal_then_area(d: Draft) -> Asked:
    """A side and the diagonal are given."""
    a, b, c, e = _cut_rectangle(d)
    return d.ask([length(a, b), length(a, c)], area("rectangle", a, b, c, e))


def diagonal_then_perimeter(d: Draft) -> Asked:
    """A side and the diagonal are given."""
    a, b, c, e = _cut_rectangle(d)
    return d.ask([length(a, b), length(a, c)], perimeter("rectangle", a, b, c, e))


def _trapezium(d: Draft, foot: float, past: float, top: float, height: float) -> list[str]:
    """a-b below, c-e above; the foot of c on a-b is `foot` from a and `past` from b."""
    a, b, c, e, f = d.put(0, foot + past, foot + 1j * height, foot - top + 1j * height, foot)
    d.path(a, f, b, c, e, a)
    d.path(c, f)
    d.relate("trapezium", a, b, c, e, f)
    d.relate("parallel-lines", a, b, e, c)
    d.relate("line", a, f, b)
    d.relate("right", c, f, b)
    d.relate("part", c, f, b)
    return [a, b, c, e, f]


def trapezium_area(d: Draft) -> Asked:
    """Both parallel sides and the height are given."""
    foot = d.whole(6, 14)
    top = d.whole(foot // 2, foot - 1)
    a, b, c, e, f = _trapezium(d, foot, d.whole(3, 6), top, d.whole(4, 10))
    return d.ask([length(a, b), length(c, e), length(c, f)], area("trapezium", a, b, c, e))


def slope_then_trapezium(d: Draft) -> Asked:
    """Instead of the height, a slanting side and its part of the base are given."""
    past, height, _ = d.sides()
    foot = d.whole(past // 2 + 2, 2 * past)
    a, b, c, e, f = _trapezium(d, foot, past, d.whole(foot // 2, foot - 1), height)
    given = [length(a, b), length(c, e), length(b, c), length(b, f)]
    return d.ask(given, area("trapezium", a, b, c, e))


def _hourglass(d: Draft, a: complex, b: complex, ratio: float) -> list[str]:
    names = d.put(0, a, b, -ratio * a, -ratio * b)
    x, a_, b_, c, e = close_over_crossing(d, *names)
    d.relate("parallel-lines", a_, b_, e, c)
    d.relate("similar", x, a_, b_, x, c, e)
    return [x, a_, b_, c, e]


def hourglass(d: Draft) -> Asked:
    """Crossing lines between parallel ones; three lengths are given."""
    x, a, b, c, e = _tilted_hourglass(d)
    return d.ask([length(x, a), length(x, c), length(a, b)], length(c, e))


def _tilted_hourglass(d: Draft) -> list[str]:
    """Whole sides x-a, a-b, x-c and c-e."""
    small, large = d.pick(((1, 2), (2, 3), (3, 4), (3, 5), (4, 5)))
    one, other = d.whole(2, 6), d.whole(2, 6)
    bend = unit(180 - d.whole(50, 75))
    flip = d.rng.random() < 0.5
    near, far = (small, large) if flip else (large, small)
    return _hourglass(d, near * one, near * (one + other * bend), far / near)


def hourglass_then_perimeter(d: Draft) -> Asked:
    """Two sides of a triangle follow, the third is given; its perimeter is asked."""
    one, other, longest = d.pick(WHOLE_TRIANGLES)
    bend = degrees(acos((one**2 + longest**2 - other**2) / (2 * one * longest)))
    x, a, b, c, e = _hourglass(d, one, longest * unit(bend), d.pick((0.5, 1.5, 2)))
    given = [length(x, a), length(a, b), length(x, c), length(x, e)]
    return d.ask(given, perimeter("triangle", x, c, e))


def right_hourglass(d: Draft) -> Asked:
    """One triangle is right: its longest side follows, then that of the other."""
    one, other, _ = d.sides()
    x, a, b, c, e = _hourglass(d, one, one + 1j * other, d.pick((0.5, 1.5, 2, 3)))
    d.relate("right", x, a, b)
    return d.ask([length(x, a), length(a, b), length(x, c)], length(x, e))
