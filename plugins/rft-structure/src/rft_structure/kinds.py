"""The kinds of problem: a figure with whole measures, given and asked quantities.

Each kind needs one set of theorems, which `derivation` finds. No set of `HELD_OUT`
occurs in `TRAINED`, and no theorem occurs only in `HELD_OUT`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import acos, atan2, cos, degrees, radians, sin, tan

from rft_structure.drafting import Asked, Draft, apex, unit
from rft_structure.quantities import Quantity, area, length, perimeter

# Whole sides of triangles that are neither thin nor blunt.
WHOLE_TRIANGLES = tuple(
    sides
    for sides in product(range(4, 13), repeat=3)
    if max(sides) <= 0.8 * (sum(sides) - max(sides)) and max(sides) <= 2 * min(sides)
)


@dataclass(frozen=True)
class Kind:
    """A named generator of problems; kinds of one family share a topic."""

    name: str
    family: str
    make: Callable[[Draft], Asked]


# -- triangles and polygons ---------------------------------------------------------------------


def third_angle(d: Draft) -> Asked:
    """Two angles of a triangle are known."""
    x, y, _ = d.triangle_angles()
    a, b, c = d.triangle(0, 1, apex(x, y))
    return d.ask([d.angle(c, a, b), d.angle(a, b, c)], d.angle(a, c, b))


def _isosceles(d: Draft, base: float) -> list[str]:
    top, a, b = d.triangle(apex(base, base), 0, 1)
    d.relate("equal", top, a, b)
    return [top, a, b]


def base_angle(d: Draft) -> Asked:
    """The apex of an isosceles triangle is known."""
    top, a, b = _isosceles(d, d.whole(25, 75))
    return d.ask([d.angle(a, top, b)], d.angle(top, a, b))


def apex_angle(d: Draft) -> Asked:
    """A base angle of an isosceles triangle is known."""
    top, a, b = _isosceles(d, d.whole(25, 75))
    return d.ask([d.angle(top, a, b)], d.angle(a, top, b))


def apex_outside(d: Draft) -> Asked:
    """A base angle is known, the angle beside the apex is asked."""
    top, a, b = _isosceles(d, d.whole(30, 70))
    beyond = _beyond(d, a, top, 0.5)
    d.relate("fan", top, a, b, beyond)
    return d.ask([d.angle(top, a, b)], d.angle(b, top, beyond))


def _beyond(d: Draft, start: str, end: str, share: float) -> str:
    """A point further along a ray, joined."""
    (beyond,) = d.put(d.points[end] + share * (d.points[end] - d.points[start]))
    d.path(end, beyond)
    d.relate("line", start, end, beyond)
    return beyond


def _opened(d: Draft) -> list[str]:
    x, y, _ = d.triangle_angles()
    a, b, c = d.triangle(apex(x, y), 0, 1)
    return [a, b, c, _beyond(d, b, c, 0.5)]


def outer_angle(d: Draft) -> Asked:
    """Two angles of a triangle are known, the outer angle at the third is asked."""
    a, b, c, beyond = _opened(d)
    d.relate("outer", a, b, c, beyond)
    return d.ask([d.angle(b, a, c), d.angle(a, b, c)], d.angle(a, c, beyond))


def from_outer_angle(d: Draft) -> Asked:
    """An outer and an inner angle are known."""
    a, b, c, beyond = _opened(d)
    d.relate("fan", c, b, a, beyond)
    return d.ask([d.angle(a, c, beyond), d.angle(a, b, c)], d.angle(b, a, c))


def _polygon(d: Draft, low: int, high: int) -> list[str]:
    """Corners in order, of a polygon whose sides touch a circle."""
    count = d.whole(low, high)
    inner = d.angles(count, 180 * (count - 2), 65, 150)
    spots, normal = [], 0.0
    for angle in inner:
        turn = 180 - angle
        spots.append(unit(normal + turn / 2) / cos(radians(turn / 2)))
        normal += turn
    names = d.put(*spots)
    d.loop(*names)
    d.relate("polygon", *names)
    return names


def last_angle(d: Draft) -> Asked:
    """All angles of a polygon but one are known."""
    names = _polygon(d, 4, 5)
    angles = [
        d.angle(names[at - 1], names[at], names[at + 1 - len(names)]) for at in range(len(names))
    ]
    return d.ask(angles[1:], angles[0])


# -- lines --------------------------------------------------------------------------------------


def on_a_line(d: Draft) -> Asked:
    """Rays divide a straight angle into three; two of the angles are known."""
    x, y, _ = d.angles(3, 180, 30, 110)
    vertex, a, b, c, e = d.put(0, 1, unit(x), unit(x + y), -1)
    for end in (a, b, c, e):
        d.path(vertex, end)
    d.relate("line", a, vertex, e)
    d.relate("fan", vertex, a, b, c, e)
    return d.ask([d.angle(a, vertex, b), d.angle(b, vertex, c)], d.angle(c, vertex, e))


def _crossing(d: Draft, angle: float) -> list[str]:
    vertex, a, b, c, e = d.put(0, 1, -1, unit(angle), -unit(angle))
    d.path(a, vertex, b)
    d.path(c, vertex, e)
    d.relate("cross", vertex, a, b, c, e)
    return [vertex, a, b, c, e]


def crossing(d: Draft) -> Asked:
    """Two lines cross."""
    vertex, a, b, c, e = _crossing(d, d.whole(30, 150))
    return d.ask([d.angle(a, vertex, c)], d.angle(b, vertex, e))


def three_lines(d: Draft) -> Asked:
    """Three lines cross in one point; two of the angles are known."""
    x, y, _ = d.angles(3, 180, 35, 100)
    vertex, a, b, c, _ = _crossing(d, x)
    f, g = d.put(unit(x + y), -unit(x + y))
    d.path(f, vertex, g)
    d.relate("cross", vertex, a, b, f, g)
    d.relate("fan", vertex, a, c, f, b)
    return d.ask([d.angle(a, vertex, c), d.angle(c, vertex, f)], d.angle(a, vertex, g))


def _bow_tie(d: Draft, bottom: float = 0.0) -> list[str]:
    """Lines cross at x and close the triangles x, a, b and x, c, e; `bottom` is the angle at c.

    Without `bottom`, the triangle x, c, e is isosceles.
    """
    left, right, top = d.triangle_angles()
    bottom = bottom or (180 - top) / 2
    x, reach = apex(left, right), 0.8
    a, b = -x, 1 - x
    c = -reach * a / abs(a)
    e = -reach * sin(radians(bottom)) / sin(radians(top + bottom)) * b / abs(b)
    names = d.put(0, a, b, c, e)
    return _close(d, *names)


def _close(d: Draft, x: str, a: str, b: str, c: str, e: str) -> list[str]:
    d.path(a, x, c, e, x, b, a)
    d.relate("cross", x, a, c, b, e)
    d.relate("part", x, a, b)
    d.relate("part", x, c, e)
    return [x, a, b, c, e]


def bow_tie(d: Draft) -> Asked:
    """Crossing lines close two triangles; the angle where they cross is given."""
    x, a, b, c, e = _bow_tie(d, d.step * d.whole(30 // d.step + 1, 60 // d.step))
    return d.ask([d.angle(a, x, b), d.angle(x, c, e)], d.angle(x, e, c))


def through_bow_tie(d: Draft) -> Asked:
    """Two angles of one triangle and one of the other are given."""
    x, a, b, c, e = _bow_tie(d, d.step * d.whole(30 // d.step + 1, 60 // d.step))
    given = [d.angle(x, a, b), d.angle(x, b, a), d.angle(x, c, e)]
    return d.ask(given, d.angle(x, e, c))


def equal_bow_tie(d: Draft) -> Asked:
    """One of the two triangles is isosceles, the crossing angle is given."""
    x, a, b, c, e = _bow_tie(d)
    d.relate("equal", x, c, e)
    return d.ask([d.angle(a, x, b)], d.angle(x, c, e))


# -- parallel lines -----------------------------------------------------------------------------


def _parallels(d: Draft, lettered: str) -> dict[str, str]:
    """w-p-x above z-q-y, and r-p-q-s across them; only the lettered ends get letters."""
    across = unit(d.whole(40, 140))
    spots = {"r": 1.7 * across, "s": -0.7 * across, "w": across - 1, "x": across + 1}
    spots |= {"z": -1 + 0j, "y": 1 + 0j}
    p, q = d.put(across, 0)
    at = {"p": p, "q": q}
    for end, spot in spots.items():
        (at[end],) = d.put(spot) if end in lettered else d.hide(spot)
    for line in ("wpx", "zqy", "rpqs"):
        d.path(*(at[end] for end in line))
    upper, lower = (next(end for end in line if end in lettered) for line in ("wx", "zy"))
    d.relate("parallel-lines", at["p"], at[upper], at["q"], at[lower])
    return at


def alternate(d: Draft) -> Asked:
    """One alternate angle gives the other."""
    at = _parallels(d, "wy")
    p, q, w, y = (at[end] for end in "pqwy")
    d.relate("opposed", p, w, q, y)
    return d.ask([d.angle(w, p, q)], d.angle(y, q, p))


def corresponding(d: Draft) -> Asked:
    """One corresponding angle gives the other."""
    at = _parallels(d, "rxy")
    r, p, x, q, y = (at[end] for end in "rpxqy")
    d.relate("corresponding", r, p, x, q, y)
    return d.ask([d.angle(r, p, x)], d.angle(p, q, y))


def co_interior(d: Draft) -> Asked:
    """Two angles between parallel lines."""
    at = _parallels(d, "xy")
    p, q, x, y = (at[end] for end in "pqxy")
    d.relate("parallel", p, x, q, y)
    return d.ask([d.angle(x, p, q)], d.angle(p, q, y))


def corresponding_then_line(d: Draft) -> Asked:
    """The angle beside the corresponding one is asked."""
    at = _parallels(d, "rxyz")
    r, p, x, q, y, z = (at[end] for end in "rpxqyz")
    d.relate("corresponding", r, p, x, q, y)
    d.relate("line", y, q, z)
    d.relate("fan", q, y, p, z)
    return d.ask([d.angle(r, p, x)], d.angle(p, q, z))


def _over_base(d: Draft) -> list[str]:
    """A triangle p, q, t and, through p, a line w-p-x parallel to its base q-t."""
    left, right, _ = d.triangle_angles()
    top = apex(left, right)
    p, q, t, w = d.put(top, 0, 1, top - 0.6)
    (x,) = d.hide(top + 0.6)
    d.path(w, p, x)
    d.loop(p, q, t)
    d.relate("triangle", p, q, t)
    d.relate("parallel-lines", p, w, q, t)
    d.relate("opposed", p, w, q, t)
    return [p, q, t, w]


def alternate_then_triangle(d: Draft) -> Asked:
    """An angle at the parallel line and one of the triangle are given."""
    p, q, t, w = _over_base(d)
    return d.ask([d.angle(w, p, q), d.angle(p, t, q)], d.angle(q, p, t))


def alternate_then_outer(d: Draft) -> Asked:
    """An angle at a parallel line and the apex are given, the outer angle at the base is asked."""
    p, q, t, w = _over_base(d)
    beyond = _beyond(d, q, t, 0.5)
    d.relate("outer", p, q, t, beyond)
    return d.ask([d.angle(w, p, q), d.angle(q, p, t)], d.angle(p, t, beyond))


def _cut_triangle(d: Draft, left: float, right: float) -> list[str]:
    """A triangle r, p, s whose sides from r are cut at q and u, parallel to p-s."""
    top = apex(left, right)
    r, p, s, q, u = d.put(top, 0, 1, 0.45 * top, 1 + 0.45 * (top - 1))
    d.path(r, q, p, s, u, r)
    d.path(q, u)
    d.relate("triangle", r, p, s)
    for side in ((r, q, p), (r, u, s)):
        d.relate("line", *side)
    d.relate("parallel-lines", p, s, q, u)
    d.relate("parallel", q, u, p, s)
    d.relate("corresponding", r, q, u, p, s)
    return [r, p, s, q, u]


def co_interior_then_triangle(d: Draft) -> Asked:
    """An angle of the lower part and one at the base are given, the apex is asked."""
    r, p, s, q, u = _cut_triangle(d, *d.triangle_angles()[:2])
    return d.ask([d.angle(p, q, u), d.angle(u, s, p)], d.angle(q, r, u))


def corresponding_then_triangle(d: Draft) -> Asked:
    """An angle of the upper part and one at the base are given, the apex is asked."""
    r, p, s, q, u = _cut_triangle(d, *d.triangle_angles()[:2])
    return d.ask([d.angle(r, q, u), d.angle(u, s, p)], d.angle(q, r, u))


def co_interior_then_isosceles(d: Draft) -> Asked:
    """The whole triangle is isosceles; an angle of the lower part is given."""
    base = d.whole(40, 75)
    r, p, s, q, u = _cut_triangle(d, base, base)
    d.relate("equal", r, p, s)
    return d.ask([d.angle(p, q, u)], d.angle(u, s, p))


def quadrilateral_outside(d: Draft) -> Asked:
    """An outer angle of a quadrilateral and two inner ones are given."""
    a, b, c, e = _polygon(d, 4, 4)
    beyond = _beyond(d, a, b, 0.4)
    d.relate("fan", b, a, c, beyond)
    given = [d.angle(c, b, beyond), d.angle(b, c, e), d.angle(c, e, a)]
    return d.ask(given, d.angle(e, a, b))


# -- circles ------------------------------------------------------------------------------------


def _on_circle(d: Draft, *degrees: float) -> list[str]:
    """The center and points of a circle."""
    rim = d.put(*map(unit, degrees))
    center = d.center(0, rim[0])
    d.relate("circle", center, *rim)
    return [center, *rim]


def _inscribed(d: Draft) -> list[str]:
    """Center, both ends of an arc and an opposite point, joined to the ends of the arc."""
    central = 2 * d.whole(25, 75)
    place = central + (360 - central) * (0.35 + 0.3 * d.rng.random())
    center, a, b, c = _on_circle(d, 0, central, place)
    d.path(center, a, c, b, center)
    d.relate("inscribed", center, a, b, c)
    return [center, a, b, c]


def angle_at_circle(d: Draft) -> Asked:
    """The angle at the center is given, or the one at the circle."""
    center, a, b, c = _inscribed(d)
    both = [d.angle(a, center, b), d.angle(a, c, b)]
    given, asked = d.pick((both, both[::-1]))
    return d.ask([given], asked)


def circle_then_isosceles(d: Draft) -> Asked:
    """The angle at the circle is given, one beside the chord is asked."""
    center, a, b, c = _inscribed(d)
    d.path(a, b)
    d.relate("radii", center, a, b)
    return d.ask([d.angle(a, c, b)], d.angle(center, a, b))


def circle_then_triangle(d: Draft) -> Asked:
    """The angle at the center and one of the triangle in the circle are given."""
    first = d.angles(3, 180, 35, 80)
    center, a, b, c = _on_circle(d, 0, 2 * first[0], 2 * (first[0] + first[1]))
    d.loop(a, b, c)
    d.path(a, center, b)
    d.relate("part", a, b, c)
    d.relate("inscribed", center, a, b, c)
    return d.ask([d.angle(a, center, b), d.angle(a, b, c)], d.angle(c, a, b))


def _half_circle(d: Draft, angle: float) -> list[str]:
    """A triangle over a diameter a-b, with this angle at a."""
    _, a, b, c = _on_circle(d, 180, 0, 2 * angle)
    d.loop(a, b, c)
    d.relate("part", a, b, c)
    d.relate("diameter", a, b, c)
    return [a, b, c]


def over_diameter(d: Draft) -> Asked:
    """A triangle over a diameter, with one of its angles."""
    a, b, c = _half_circle(d, d.whole(20, 70))
    return d.ask([d.angle(c, a, b)], d.angle(c, b, a))


def _whole_half_circle(d: Draft) -> tuple[list[str], list[Quantity]]:
    """A triangle with whole sides over a diameter, and its legs and diameter."""
    one, other, longest = d.sides()
    a, b, c = _half_circle(d, degrees(atan2(other, one)))
    d.points = {name: spot * longest / 2 for name, spot in d.points.items()}
    return [a, b, c], [length(a, c), length(b, c), length(a, b)]


def sides_over_diameter(d: Draft) -> Asked:
    """Two sides of a triangle over a diameter are given."""
    _, sides = _whole_half_circle(d)
    asked = d.pick(sides)
    return d.ask([side for side in sides if side != asked], asked)


def area_over_diameter(d: Draft) -> Asked:
    """The diameter and one side are given, the area is asked."""
    corners, sides = _whole_half_circle(d)
    return d.ask(sides[1:], area("triangle", *corners))


def around_over_diameter(d: Draft) -> Asked:
    """The diameter and one side are given, the perimeter is asked."""
    corners, sides = _whole_half_circle(d)
    return d.ask(sides[1:], perimeter("triangle", *corners))


def _touched(d: Draft, radius: float, far: complex) -> list[str]:
    """A circle, the point where a line from `far` touches it, and `far`."""
    touch, beyond = d.put(radius, far)
    center = d.center(0, touch)
    (end,) = d.hide(radius - 0.5 * (far - radius))
    d.loop(center, touch, beyond)
    d.path(touch, end)
    d.relate("circle", center, touch)
    d.relate("touches", beyond, touch)
    d.relate("part", center, touch, beyond)
    d.relate("tangent", center, touch, beyond)
    return [center, touch, beyond]


def tangent_angle(d: Draft) -> Asked:
    """An angle of the triangle of center, touching point and a point of the tangent."""
    angle = d.whole(30, 62)
    center, touch, beyond = _touched(d, 1, 1 + 1j * tan(radians(angle)))
    both = [d.angle(touch, center, beyond), d.angle(center, beyond, touch)]
    given, asked = d.pick((both, both[::-1]))
    return d.ask([given], asked)


def tangent_length(d: Draft) -> Asked:
    """Two of radius, tangent and distance from the center are given."""
    radius, way = sorted(d.sides()[:2])
    center, touch, beyond = _touched(d, radius, radius + 1j * way)
    sides = [length(center, touch), length(touch, beyond), length(center, beyond)]
    asked = d.pick(sides)
    return d.ask([side for side in sides if side != asked], asked)


def tangent_then_circle(d: Draft) -> Asked:
    """Tangent and distance are given, the area of the circle is asked."""
    radius, way = sorted(d.sides()[:2])
    center, touch, beyond = _touched(d, radius, radius + 1j * way)
    return d.ask([length(touch, beyond), length(center, beyond)], area("circle", center))


def two_tangents(d: Draft) -> Asked:
    """Two tangents from one point; the angle between them is given."""
    half = d.whole(20, 55)
    reach = 1 / sin(radians(half))
    center, one, two = _on_circle(d, 90 - half, half - 90)
    (far,) = d.put(reach)
    d.path(center, one, far, two, center)
    for touch in (one, two):
        d.relate("touches", far, touch)
        d.relate("tangent", center, touch, far)
    d.relate("inside", center, one, far, two)
    return d.ask([d.angle(one, far, two)], d.angle(one, center, two))


def _radius(d: Draft) -> list[str]:
    radius = d.whole(4, 60) / 2
    (rim,) = d.put(radius)
    center = d.center(0, rim)
    d.path(center, rim)
    d.relate("circle", center, rim)
    return [center, rim]


def circle_area(d: Draft) -> Asked:
    """The radius is given."""
    center, rim = _radius(d)
    return d.ask([length(center, rim)], area("circle", center))


def circumference(d: Draft) -> Asked:
    """The radius is given."""
    center, rim = _radius(d)
    return d.ask([length(center, rim)], perimeter("circle", center))


def sector_area(d: Draft) -> Asked:
    """Radius and angle are given."""
    angle, radius = d.step * d.whole(30 // d.step, 150 // d.step), d.whole(2, 20)
    center, a, b = _on_circle(d, 0, angle)
    d.points = {name: spot * radius for name, spot in d.points.items()}
    d.path(a, center, b)
    d.relate("sector", center, a, b)
    return d.ask([d.angle(a, center, b), length(center, a)], area("sector", center, a, b))


# -- lengths, areas and perimeters --------------------------------------------------------------


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
    x, a_, b_, c, e = _close(d, *names)
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


TRAINED = (
    Kind("third-angle", "triangle", third_angle),
    Kind("base-angle", "isosceles", base_angle),
    Kind("apex-angle", "isosceles", apex_angle),
    Kind("apex-outside", "isosceles", apex_outside),
    Kind("outer-angle", "exterior", outer_angle),
    Kind("from-outer-angle", "exterior", from_outer_angle),
    Kind("last-angle", "polygon", last_angle),
    Kind("on-a-line", "crossing", on_a_line),
    Kind("crossing", "crossing", crossing),
    Kind("three-lines", "crossing", three_lines),
    Kind("bow-tie", "crossing", bow_tie),
    Kind("through-bow-tie", "crossing", through_bow_tie),
    Kind("alternate", "parallel", alternate),
    Kind("corresponding", "parallel", corresponding),
    Kind("co-interior", "parallel", co_interior),
    Kind("corresponding-then-line", "parallel", corresponding_then_line),
    Kind("alternate-then-triangle", "parallel", alternate_then_triangle),
    Kind("co-interior-then-triangle", "parallel", co_interior_then_triangle),
    Kind("angle-at-circle", "inscribed", angle_at_circle),
    Kind("circle-then-isosceles", "inscribed", circle_then_isosceles),
    Kind("over-diameter", "semicircle", over_diameter),
    Kind("sides-over-diameter", "semicircle", sides_over_diameter),
    Kind("area-over-diameter", "semicircle", area_over_diameter),
    Kind("around-over-diameter", "semicircle", around_over_diameter),
    Kind("tangent-angle", "tangent", tangent_angle),
    Kind("tangent-length", "tangent", tangent_length),
    Kind("right-triangle", "pythagoras", right_triangle),
    Kind("hypotenuse-then-area", "pythagoras", hypotenuse_then_area),
    Kind("diagonal-then-area", "pythagoras", diagonal_then_area),
    Kind("diagonal-then-perimeter", "pythagoras", diagonal_then_perimeter),
    Kind("hourglass", "similar", hourglass),
    Kind("right-triangle-area", "area", right_triangle_area),
    Kind("rectangle-area", "area", rectangle_area),
    Kind("rectangle-perimeter", "area", rectangle_perimeter),
    Kind("trapezium-area", "area", trapezium_area),
    Kind("circle-area", "circle", circle_area),
    Kind("circumference", "circle", circumference),
    Kind("sector-area", "circle", sector_area),
)
HELD_OUT = (
    Kind("equal-bow-tie", "crossing", equal_bow_tie),
    Kind("corresponding-then-triangle", "parallel", corresponding_then_triangle),
    Kind("co-interior-then-isosceles", "parallel", co_interior_then_isosceles),
    Kind("alternate-then-outer", "parallel", alternate_then_outer),
    Kind("quadrilateral-outside", "polygon", quadrilateral_outside),
    Kind("circle-then-triangle", "inscribed", circle_then_triangle),
    Kind("two-tangents", "tangent", two_tangents),
    Kind("tangent-then-circle", "tangent", tangent_then_circle),
    Kind("slope-then-trapezium", "pythagoras", slope_then_trapezium),
    Kind("hourglass-then-perimeter", "similar", hourglass_then_perimeter),
    Kind("right-hourglass", "similar", right_hourglass),
)
