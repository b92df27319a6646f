"""Kinds of problem about angles of lines that cross."""

from __future__ import annotations

from math import radians, sin

from rft_structure.drafting import Asked, Draft, apex, unit
from rft_structure.kinds.parts import close_over_crossing


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
    return close_over_crossing(d, *names)


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
