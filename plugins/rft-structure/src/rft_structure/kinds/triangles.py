"""Kinds of problem about the angles of triangles and polygons."""

from __future__ import annotations

from rft_structure.drafting import Asked, Draft, apex
from rft_structure.kinds.parts import point_beyond, polygon


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
    beyond = point_beyond(d, a, top, 0.5)
    d.relate("fan", top, a, b, beyond)
    return d.ask([d.angle(top, a, b)], d.angle(b, top, beyond))


def _opened(d: Draft) -> list[str]:
    x, y, _ = d.triangle_angles()
    a, b, c = d.triangle(apex(x, y), 0, 1)
    return [a, b, c, point_beyond(d, b, c, 0.5)]


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


def last_angle(d: Draft) -> Asked:
    """All angles of a polygon but one are known."""
    names = polygon(d, 4, 5)
    angles = [
        d.angle(names[at - 1], names[at], names[at + 1 - len(names)]) for at in range(len(names))
    ]
    return d.ask(angles[1:], angles[0])
