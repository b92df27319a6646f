"""Kinds of problem about angles between parallel lines."""

from __future__ import annotations

from rft_structure.drafting import Asked, Draft, apex, unit
from rft_structure.kinds.parts import point_beyond, polygon


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
    beyond = point_beyond(d, q, t, 0.5)
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
    a, b, c, e = polygon(d, 4, 4)
    beyond = point_beyond(d, a, b, 0.4)
    d.relate("fan", b, a, c, beyond)
    given = [d.angle(c, b, beyond), d.angle(b, c, e), d.angle(c, e, a)]
    return d.ask(given, d.angle(e, a, b))
