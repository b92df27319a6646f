"""Place letters and values so that a reader sees what each belongs to.

Every label has candidate places with costs: for crossing lines, other labels and
the image border. Labels take the cheapest in turn, for `ROUNDS` rounds.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rft_structure.diagrams.drawing import HIDDEN, Drawing

FONT = 0.062  # share of the image: height of an em
ARC = 0.062  # radius of an angle's arc
GAP = 0.008  # between an arc and its value
LETTER_AT = (0.052, 0.062, 0.074)  # distance of a letter from its point
VALUE_AT = (0.048, 0.056, 0.066)  # distance of a length from its line
ASIDE = 0.09  # distance of a dimension line from what it measures
ROUNDS = 3
BARRED = 20.0  # cost of a line between an angle and its value, in pixels
STRAY = 1.5  # least ratio of the distances of an angle's value from another vertex and its own
_WIDTHS = {".": 0.36, "°": 0.5, "M": 1.0, "W": 1.1}  # in em, of characters with unusual widths

Line = tuple[complex, complex]


@dataclass(frozen=True)
class Label:
    """A text and the candidate places of its middle, best first."""

    text: str
    places: tuple[complex, ...]
    vertex: complex | None = None  # of a value, if it is an angle's
    is_letter: bool = False


@dataclass(frozen=True)
class Box:
    """A rectangle around a label."""

    middle: complex
    width: float
    height: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.width * self.height

    def overlap(self, other: Box) -> float:
        """The shared area, in square pixels."""
        away = self.middle - other.middle
        across = (self.width + other.width) / 2 - abs(away.real)
        down = (self.height + other.height) / 2 - abs(away.imag)
        return max(0.0, across) * max(0.0, down)

    def outside(self, size: float) -> float:
        """How far it extends beyond the image, in pixels."""
        half = complex(self.width, self.height) / 2
        low, high = self.middle - half, self.middle + half
        return max(0.0, -low.real, -low.imag, high.real - size, high.imag - size)

    def cut(self, line: Line) -> float:
        """The length of a line inside the box, in pixels."""
        start, way = line[0] - self.middle, line[1] - line[0]
        if abs(start) - abs(way) > self.width + self.height:
            return 0.0
        enter, leave = 0.0, 1.0
        for at, go, half in (
            (start.real, way.real, self.width / 2),
            (start.imag, way.imag, self.height / 2),
        ):
            if abs(go) < 1e-9:
                if abs(at) > half:
                    return 0.0
                continue
            first, last = sorted(((-half - at) / go, (half - at) / go))
            enter, leave = max(enter, first), min(leave, last)
        return max(0.0, leave - enter) * abs(way)


Priced = tuple[float, Box]


def place(drawing: Drawing) -> list[tuple[Label, Box]]:
    """Every label of a drawing with its place."""
    wanted = list(labels(drawing))
    lines = list(strokes(drawing))
    corners = [label.vertex for label in wanted if label.vertex is not None]
    offers = [_offers(label, lines, corners, drawing.size) for label in wanted]
    chosen = [min(offer, key=lambda priced: priced[0])[1] for offer in offers]
    for _ in range(ROUNDS):
        for at, offer in enumerate(offers):
            chosen[at] = _best(offer, [*chosen[:at], *chosen[at + 1 :]])
    return list(zip(wanted, chosen, strict=True))


def _offers(
    label: Label, lines: Sequence[Line], corners: Sequence[complex], size: int
) -> list[Priced]:
    """Every place of a label with its cost, without other labels."""
    boxes = [box_of(label.text, spot, size) for spot in label.places]
    return [
        (
            sum(map(box.cut, lines)) * 4
            + box.outside(size) * 50
            + _strays(box.middle, label.vertex, lines, corners) * 2
            + rank * 0.5,
            box,
        )
        for rank, box in enumerate(boxes)
    ]


def _strays(
    spot: complex, vertex: complex | None, lines: Sequence[Line], corners: Sequence[complex]
) -> float:
    """The cost of a value that does not clearly belong to the angle at `vertex`, in pixels.

    A value should be much closer to its own vertex than to others with a value, without a
    line in between.
    """
    if vertex is None:
        return 0.0
    others = [abs(spot - corner) for corner in corners if corner != vertex]
    near = max(0.0, STRAY * abs(spot - vertex) - min(others)) if others else 0.0
    return near + BARRED * sum(_crosses((vertex, spot), line) for line in lines)


def _crosses(one: Line, other: Line) -> bool:
    """Whether two segments cross, except at the start of the first."""
    way, across, gap = one[1] - one[0], other[1] - other[0], other[0] - one[0]
    area = (way.conjugate() * across).imag
    if abs(area) < 1e-9:
        return False
    along, aside = ((gap.conjugate() * by).imag / area for by in (across, way))
    return 0.05 < along < 1 and 0 < aside < 1


def _best(offer: Sequence[Priced], others: Sequence[Box]) -> Box:
    costs = [cost + 2 * sum(map(box.overlap, others)) for cost, box in offer]
    return offer[costs.index(min(costs))][1]


def box_of(text: str, middle: complex, size: int) -> Box:
    """The bounding box of a text in the font of the drawing."""
    width = sum(0.66 if sign.isdigit() else _WIDTHS.get(sign, 0.8) for sign in text)
    return Box(middle, size * FONT * width, size * FONT * 0.8)


def labels(drawing: Drawing) -> Iterator[Label]:
    """All labels; values first, because they have fewer places than letters."""
    spots, size = drawing.spots, drawing.size
    for kind, points, text in drawing.values:
        at = [spots[name] for name in points]
        if kind == "angle":
            yield Label(f"{text}°", tuple(_in_angle(f"{text}°", size, *at)), at[1])
        elif is_measured_aside(drawing, at[0], at[1]):
            one, two = dimension(drawing, at[0], at[1])
            yield Label(text, tuple(one + share * (two - one) for share in (0.5, 0.38, 0.62)))
        else:
            yield Label(text, tuple(_beside(drawing, at[0], at[1])))
    for name, spot in spots.items():
        if name[0] != HIDDEN:
            yield Label(name, tuple(_around(drawing, name, spot)), is_letter=True)


def _in_angle(text: str, size: int, a: complex, vertex: complex, b: complex) -> Iterator[complex]:
    """Places just beyond the arc, near the bisector."""
    one, opening = cmath.phase(a - vertex), cmath.phase((b - vertex) / (a - vertex))
    box = box_of(text, vertex, size)
    for more in (0.0, 0.015, 0.03, 0.05, 0.08):
        for share in (0.5, 0.4, 0.6, 0.3, 0.7):
            way = cmath.rect(1, one + share * opening)
            reach = (box.width * abs(way.real) + box.height * abs(way.imag)) / 2
            yield vertex + way * (reach + size * (ARC + GAP + more))


def _beside(drawing: Drawing, a: complex, b: complex) -> Iterator[complex]:
    """Places next to the middle of a line: outside first, because inside other lines are close."""
    outside = _freer_side(drawing, a, b)
    for side in (outside, -outside):
        for away in VALUE_AT:
            for share in (0.5, 0.42, 0.58, 0.33, 0.67):
                yield a + share * (b - a) + side * away * drawing.size


def _freer_side(drawing: Drawing, a: complex, b: complex) -> complex:
    """The unit normal of a line, away from the other points."""
    across = 1j * (b - a) / abs(b - a)
    weight = sum(((spot - a) / across).real for spot in drawing.spots.values())
    return -across if weight > 0 else across


def _around(drawing: Drawing, name: str, spot: complex) -> Iterator[complex]:
    """Places in the middle of the widest gap between the lines at a point, then in the others."""
    rays = sorted(_rays(drawing, name, spot)) or [0.0]
    gaps = zip(rays, [*rays[1:], rays[0] + 2 * math.pi], strict=True)
    for one, two in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
        for distance in LETTER_AT:
            for share in (0.5, 0.42, 0.58, 0.33, 0.67):
                yield spot + cmath.rect(drawing.size * distance, one + share * (two - one))


def _rays(drawing: Drawing, name: str, spot: complex) -> Iterator[float]:
    """The directions of lines and circles at a point, rounded so that equal ones are merged."""
    spots = drawing.spots
    ways = {complex(0)}
    for a, b in drawing.segments:
        if name in (a, b) or _is_between(spot, spots[a], spots[b]):
            ways |= {spots[a] - spot, spots[b] - spot}
    for x, y, radius in drawing.circles:
        out = spot - complex(x, y)
        if abs(abs(out) - radius) < 1:
            ways |= {1j * out, -1j * out}
    yield from {round(cmath.phase(way), 3) for way in ways if abs(way) > 1}


def is_measured_aside(drawing: Drawing, a: complex, b: complex) -> bool:
    """Whether a lettered point is between two others, so that a value needs a dimension line."""
    return any(_is_between(spot, a, b) for name, spot in drawing.spots.items() if name[0] != HIDDEN)


def _is_between(spot: complex, a: complex, b: complex) -> bool:
    along = (spot - a) / (b - a)
    return 0.02 < along.real < 0.98 and abs(along.imag) < 0.02


def dimension(drawing: Drawing, a: complex, b: complex) -> Line:
    """The dimension line beside a-b, on the emptier side."""
    shift = ASIDE * drawing.size * _freer_side(drawing, a, b)
    return a + shift, b + shift


def dimensions(drawing: Drawing) -> Iterator[Line]:
    """Every dimension line."""
    spots = drawing.spots
    for kind, points, _ in drawing.values:
        if kind == "length" and is_measured_aside(drawing, *(spots[name] for name in points)):
            yield dimension(drawing, *(spots[name] for name in points))


def strokes(drawing: Drawing) -> Iterator[Line]:
    """Everything that labels should not cross, as straight segments."""
    spots = drawing.spots
    yield from ((spots[a], spots[b]) for a, b in drawing.segments)
    yield from dimensions(drawing)
    for x, y, radius in drawing.circles:
        yield from _pieces(complex(x, y) + cmath.rect(radius, turn) for turn in _turns(36))
    for kind, points, _ in drawing.values:
        if kind == "angle":
            yield from _pieces(arc(drawing.size, *(spots[name] for name in points)))


def arc(size: int, a: complex, vertex: complex, b: complex) -> list[complex]:
    """The arc that marks an angle."""
    one, opening = cmath.phase(a - vertex), cmath.phase((b - vertex) / (a - vertex))
    return [vertex + cmath.rect(ARC * size, one + opening * at / 12) for at in range(13)]


def _turns(count: int) -> list[float]:
    return [2 * math.pi * at / count for at in range(count + 1)]


def _pieces(spots: Iterable[complex]) -> Iterator[Line]:
    return pairwise(spots)
