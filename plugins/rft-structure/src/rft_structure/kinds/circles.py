"""Kinds of problem about circles: inscribed angles, diameters, tangents, areas."""

from __future__ import annotations

from math import atan2, degrees, radians, sin, tan

from rft_structure.drafting import Asked, Draft, unit
from rft_structure.quantities import Quantity, area, length, perimeter


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
