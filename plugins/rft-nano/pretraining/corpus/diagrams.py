"""Figures of plane geometry with letters and numbers, drawn with the pen of the task "structure".

Figures, letters and numbers are drawn at random: a number need not fit the length
beside it, so that there is nothing to learn but to read. No problem of the task is used.
"""

from __future__ import annotations

import cmath
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, combinations, pairwise, repeat
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from pretraining.corpus.store import Corpus, read_pictures

if TYPE_CHECKING:
    from rft_structure.diagrams import Drawing

LETTERS = "EFGHJKLMNPQRSTUVWXYZ"  # as in the task; the center of a circle is O
SIZE = 224  # pixels, as the task draws
MARGIN, CLOSEST, BESIDE = (
    0.13,
    0.12,
    0.09,
)  # of the image: free rim, between points, point to line
LEAST_ANGLE = 22.0  # degrees: a value must fit
ATTEMPTS = 200
MOST_VALUES = 4


@dataclass(frozen=True)
class Label:
    """A letter, or a number with its degree sign, and its middle in shares of the image.

    `of`: the points of the side or angle that a number belongs to; none for a letter.
    """

    text: str
    u: float
    v: float
    of: tuple[str, ...] = ()

    @property
    def is_letter(self) -> bool:
        """Whether it names a point."""
        return self.text.isalpha()


@dataclass(frozen=True)
class Diagram:
    """What an image shows. `values` holds (kind, points, text), kind "length" or "angle"."""

    figure: str
    points: dict[str, tuple[float, float]]
    lines: list[list[str]]
    center: str
    rights: list[str]
    values: list[tuple[str, list[str], str]]
    labels: list[Label]

    @classmethod
    def read(cls, data: Any) -> Diagram:
        """From plain data."""
        labels = [Label(**{**label, "of": tuple(label["of"])}) for label in data["labels"]]
        points = {name: tuple(spot) for name, spot in data["points"].items()}
        values = [(kind, list(names), text) for kind, names, text in data["values"]]
        return cls(**{**data, "labels": labels, "points": points, "values": values})


@dataclass
class Sketch:
    """A figure in the making: points by letter, lines of points in a row, a circle."""

    figure: str
    spots: dict[str, complex] = field(default_factory=dict)
    lines: list[list[str]] = field(default_factory=list)  # every two neighbors are joined
    center: str = ""
    rim: str = ""
    rights: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def segments(self) -> list[tuple[str, str]]:
        """What is drawn, point by point."""
        return [pair for line in self.lines for pair in pairwise(line)]


def _named(rng: Random, count: int) -> list[str]:
    return rng.sample(LETTERS, count)


def _ring(rng: Random, count: int) -> list[complex]:
    """Corners of a convex polygon."""
    turn, squeeze = rng.uniform(0, 360), rng.uniform(0.6, 1)
    gaps = [rng.uniform(0.6, 1.4) for _ in range(count)]
    at, spots = 0.0, []
    for gap in gaps:
        at += gap / sum(gaps) * 360
        spot = cmath.rect(1, math.radians(at))
        spots.append(complex(spot.real, squeeze * spot.imag) * cmath.rect(1, math.radians(turn)))
    return spots


def polygon(rng: Random) -> Sketch:
    """Three to five corners."""
    count = rng.choice((3, 3, 3, 4, 4, 5))
    names = _named(rng, count)
    kind = {3: "triangle", 4: "quadrilateral", 5: "pentagon"}[count]
    return Sketch(kind, dict(zip(names, _ring(rng, count), strict=True)), [[*names, names[0]]])


def divided(rng: Random) -> Sketch:
    """A triangle and a line from a corner to the side across."""
    a, b, c, foot = _named(rng, 4)
    one, two, three = _ring(rng, 3)
    at = two + rng.uniform(0.3, 0.7) * (three - two)
    spots = {a: one, b: two, c: three, foot: at}
    return Sketch("triangle", spots, [[a, b, foot, c, a], [a, foot]])


def crossing(rng: Random) -> Sketch:
    """Two lines that cross, sometimes with a side closed."""
    x, a, b, c, d = _named(rng, 5)
    turn, opening = rng.uniform(0, 360), rng.uniform(35, 145)
    one, two = (cmath.rect(1, math.radians(t)) for t in (turn, turn + opening))
    reach = [rng.uniform(0.6, 1.2) for _ in range(4)]
    spots = {x: 0j, a: one * reach[0], b: -one * reach[1], c: two * reach[2], d: -two * reach[3]}
    lines = [[a, x, b], [c, x, d]]
    if rng.random() < 0.5:
        lines += [[a, c], [b, d]]
    return Sketch("two lines that cross", spots, lines)


def parallels(rng: Random) -> Sketch:
    """Two parallel lines and one across."""
    p, q, a, b, c, d = _named(rng, 6)
    turn = cmath.rect(1, math.radians(rng.uniform(0, 360)))
    across = cmath.rect(rng.uniform(0.8, 1.2), math.radians(rng.uniform(45, 135)))
    spots = {p: across, q: 0j, a: across - 1, b: across + 1, c: -1 + 0j, d: 1 + 0j}
    spots = {name: spot * turn for name, spot in spots.items()}
    return Sketch("parallel lines", spots, [[a, p, b], [c, q, d], [p, q]])


def rectangle(rng: Random) -> Sketch:
    """Four right angles."""
    names = _named(rng, 4)
    turn, height = cmath.rect(1, math.radians(rng.uniform(0, 360))), rng.uniform(0.4, 1)
    spots = [complex(*xy) * turn for xy in ((0, 0), (1, 0), (1, height), (0, height))]
    corners = [(names[at - 1], names[at], names[(at + 1) % 4]) for at in range(4)]
    drawn = [[*names, names[0]]]
    return Sketch("rectangle", dict(zip(names, spots, strict=True)), drawn, rights=corners)


def right_triangle(rng: Random) -> Sketch:
    """One right angle."""
    a, b, c = _named(rng, 3)
    turn, height = cmath.rect(1, math.radians(rng.uniform(0, 360))), rng.uniform(0.45, 1)
    spots = {a: 0j, b: turn, c: complex(0, height) * turn}
    return Sketch("triangle", spots, [[a, b, c, a]], rights=[(b, a, c)])


def circle(rng: Random) -> Sketch:
    """A circle, points on it, some joined with the center or with one another."""
    names = _named(rng, rng.choice((2, 3, 3)))
    turn = rng.uniform(0, 360)
    gaps = [rng.uniform(0.7, 1.3) for _ in names]
    total, at, spots = sum(gaps), 0.0, {"O": 0j}
    for name, gap in zip(names, gaps, strict=True):
        at += gap / total * 360
        spots[name] = cmath.rect(1, math.radians(turn + at))
    lines = [["O", name] for name in names[: rng.choice((1, 2, len(names)))]]
    lines += [list(pair) for pair in combinations(names, 2) if rng.random() < 0.6]
    return Sketch("circle", spots, lines, center="O", rim=names[0])


FIGURES: dict[Callable[[Random], Sketch], int] = {
    polygon: 6,
    divided: 3,
    crossing: 3,
    parallels: 3,
    rectangle: 2,
    right_triangle: 3,
    circle: 4,
}


def draw(index: int, part: str = "train") -> tuple[Sketch, Drawing]:
    """Figure `index` of a part of the corpus: what it is, and what the pen needs."""
    rng = Random(int.from_bytes(hashlib.sha256(f"nano|{part}|{index}".encode()).digest(), "big"))
    for _ in range(ATTEMPTS):
        sketch = rng.choices(list(FIGURES), list(FIGURES.values()))[0](rng)
        _place(sketch, rng)
        if not _is_crowded(sketch):
            return sketch, _drawing(sketch, _values(rng, sketch))
    raise AssertionError("figures are rarely crowded")


def _place(sketch: Sketch, rng: Random) -> None:
    """Scale a figure into the image: as large as fits, or a little smaller and aside."""
    around = list(sketch.spots.values())
    if sketch.center:  # all points lie within the circle
        middle, corner = sketch.spots[sketch.center], 1 + 1j
        reach = abs(sketch.spots[sketch.rim] - middle)
        around = [middle - reach * corner, middle + reach * corner]
    low = complex(min(s.real for s in around), min(s.imag for s in around))
    high = complex(max(s.real for s in around), max(s.imag for s in around))
    span = high - low
    share = (1 - 2 * MARGIN) * rng.uniform(0.85, 1) / max(span.real, span.imag)
    room = complex(1, 1) * (1 - 2 * MARGIN) - span * share
    corner = complex(MARGIN, MARGIN) + complex(rng.random() * room.real, rng.random() * room.imag)
    sketch.spots = {n: ((s - low) * share + corner) * SIZE for n, s in sketch.spots.items()}


def _is_crowded(sketch: Sketch) -> bool:
    spots = sketch.spots
    if any(abs(a - b) < CLOSEST * SIZE for a, b in combinations(spots.values(), 2)):
        return True
    for a, b in sketch.segments:
        for name, spot in spots.items():
            away = _distance(spot, spots[a], spots[b])
            on_it = any(name in line and a in line and b in line for line in sketch.lines)
            if name not in (a, b) and not on_it and away < BESIDE * SIZE:
                return True
    return False


def _distance(spot: complex, a: complex, b: complex) -> float:
    along = ((spot - a) / (b - a)).real
    return abs(spot - (a + min(1.0, max(0.0, along)) * (b - a)))


def _values(rng: Random, sketch: Sketch) -> list[tuple[str, tuple[str, ...], str]]:
    """Numbers on some sides and angles; each says what it says."""
    lengths = [("length", pair) for pair in sketch.segments]
    angles = [("angle", corner) for corner in _corners(sketch)]
    rng.shuffle(lengths)
    rng.shuffle(angles)
    count = rng.choice((0, 1, 2, 2, 3, 3, MOST_VALUES))
    split = rng.randint(0, count)
    chosen = [*lengths[:split], *angles[: count - split]]
    return [(kind, points, _number(rng, kind)) for kind, points in chosen]


def _number(rng: Random, kind: str) -> str:
    if kind == "angle":
        return str(rng.randint(10, 175) if rng.random() < 0.6 else 5 * rng.randint(2, 35))
    if rng.random() < 0.15:
        return f"{rng.randint(1, 40)}.{rng.randint(1, 9)}"
    return str(rng.randint(2, 99) if rng.random() < 0.9 else rng.randint(100, 300))


def _corners(sketch: Sketch) -> list[tuple[str, str, str]]:
    """Angles between neighboring lines, not marked as right, and wide enough for a value."""
    marked = {corner[1] for corner in sketch.rights}
    out = []
    for vertex, spot in sketch.spots.items():
        if vertex in marked:
            continue
        ends = {b if a == vertex else a for a, b in sketch.segments if vertex in (a, b)}
        ordered = sorted(ends, key=lambda e: cmath.phase(sketch.spots[e] - spot))
        around = zip(ordered, [*ordered[1:], *ordered[:1]], strict=True)
        for a, b in around:
            opening = math.degrees(
                cmath.phase((sketch.spots[b] - spot) / (sketch.spots[a] - spot)) % (2 * math.pi)
            )
            if a != b and LEAST_ANGLE <= opening <= 165:
                out.append((min(a, b), vertex, max(a, b)))
    return out


def _drawing(sketch: Sketch, values: list[tuple[str, tuple[str, ...], str]]) -> Drawing:
    from rft_structure.diagrams import Drawing

    spots = sketch.spots
    circles = []
    if sketch.center:
        middle = spots[sketch.center]
        circles = [(middle.real, middle.imag, round(abs(spots[sketch.rim] - middle), 3))]
    return Drawing(
        size=SIZE,
        unit=1.0,
        points=tuple((n, round(s.real, 3), round(s.imag, 3)) for n, s in spots.items()),
        segments=tuple(dict.fromkeys(sketch.segments)),
        circles=tuple(circles),
        rights=tuple(sketch.rights),
        equals=(),
        parallels=(),
        values=tuple(values),
    )


def describe(sketch: Sketch, drawing: Drawing) -> Diagram:
    """The facts of an image, with the places that the pen gave to its labels."""
    from rft_structure.diagrams import place

    # the pen places values first, in their order, then letters
    owners = chain((points for _, points, _ in drawing.values), repeat(()))
    labels = [
        Label(label.text, box.middle.real / SIZE, box.middle.imag / SIZE, tuple(of))
        for (label, box), of in zip(place(drawing), owners, strict=False)
    ]
    return Diagram(
        sketch.figure,
        {n: (s.real / SIZE, s.imag / SIZE) for n, s in sketch.spots.items()},
        [list(line) for line in sketch.lines],
        sketch.center,
        [corner[1] for corner in sketch.rights],
        [(kind, list(points), text) for kind, points, text in drawing.values],
        labels,
    )


def build(count: int, folder: Path, part: str = "train") -> None:
    """Draw what is missing and pack `count` figures."""
    from rft_structure.diagrams import FIGURES as PICTURES

    drawn = [draw(index, part) for index in range(count)]
    PICTURES.draw_all([drawing for _, drawing in drawn], "drawing diagrams")
    pixels = read_pictures(PICTURES.path(drawing) for _, drawing in drawn)
    Corpus(pixels, [describe(*each) for each in drawn]).save(folder)
