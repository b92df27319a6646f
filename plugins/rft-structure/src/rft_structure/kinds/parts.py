"""Parts of figures that kinds of several topics are made of."""

from __future__ import annotations

from math import cos, radians

from rft_structure.drafting import Draft, unit


def point_beyond(d: Draft, start: str, end: str, share: float) -> str:
    """A point further along a ray, joined."""
    (beyond,) = d.put(d.points[end] + share * (d.points[end] - d.points[start]))
    d.path(end, beyond)
    d.relate("line", start, end, beyond)
    return beyond


def polygon(d: Draft, low: int, high: int) -> list[str]:
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


def close_over_crossing(d: Draft, x: str, a: str, b: str, c: str, e: str) -> list[str]:
    """Close two triangles, x, a, b and x, c, e, over lines that cross at x; their points."""
    d.path(a, x, c, e, x, b, a)
    d.relate("cross", x, a, c, b, e)
    d.relate("part", x, a, b)
    d.relate("part", x, c, e)
    return [x, a, b, c, e]
