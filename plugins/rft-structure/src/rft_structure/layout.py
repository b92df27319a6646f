"""Lay out a figure on a square image.

The image is to scale: one unit of length is `Drawing.unit` pixels everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from rft_structure.diagrams import HIDDEN, Drawing, Points
from rft_structure.figures import Figure
from rft_structure.quantities import Quantity, show

MARGIN = 0.13  # share of the image, on each side, for letters
CLOSEST = 0.11  # share of the image: least distance between lettered points
BESIDE = 0.1  # share of the image: least distance of a point from a line that it is not on
ON_LINE = 1e-6

Labels = Sequence[tuple[Quantity, float]]
Spot = tuple[float, float]


def lay_out(figure: Figure, size: int, labels: Labels = ()) -> Drawing:
    """The figure centered and as large as the image allows, with values as labels."""
    low, high = _bounds(figure)
    unit = size * (1 - 2 * MARGIN) / max((high - low).real, (high - low).imag)
    middle, half = (low + high) / 2, complex(size, size) / 2

    def place(spot: complex) -> Spot:
        at = (spot - middle).conjugate() * unit + half  # y points downwards
        return round(at.real, 3), round(at.imag, 3)

    radii = [(figure.points[center], figure.points[rim]) for center, rim in figure.circles]
    return Drawing(
        size,
        unit,
        tuple((name, *place(spot)) for name, spot in figure.points.items()),
        figure.segments,
        tuple((*place(center), round(abs(rim - center) * unit, 3)) for center, rim in radii),
        tuple(_right_angles(figure)),
        tuple(figure.of("equal")),
        tuple(figure.of("parallel-lines")),
        tuple((label.kind, label.points, show(value)) for label, value in labels),
    )


def is_crowded(figure: Figure) -> bool:
    """Whether letters would overlap, or a line passes too close to a point."""
    low, high = _bounds(figure)
    image = max((high - low).real, (high - low).imag) / (1 - 2 * MARGIN)
    lettered = [spot for name, spot in figure.points.items() if not name.startswith(HIDDEN)]
    if any(abs(one - two) < CLOSEST * image for one, two in combinations(lettered, 2)):
        return True
    lines = [(figure.points[a], figure.points[b]) for a, b in figure.segments]
    return any(
        ON_LINE < _distance(spot, *line) / image < BESIDE for spot in lettered for line in lines
    )


def _distance(spot: complex, a: complex, b: complex) -> float:
    """The distance of a point from a segment."""
    along = ((spot - a) / (b - a)).real
    return abs(spot - (a + min(1.0, max(0.0, along)) * (b - a)))


def _bounds(figure: Figure) -> tuple[complex, complex]:
    """Lower left and upper right corner of everything drawn."""
    spots = list(figure.points.values())
    for center, rim in figure.circles:
        radius = abs(figure.points[rim] - figure.points[center])
        spots += [figure.points[center] + radius * side for side in (1 + 1j, -1 - 1j)]
    across, up = [spot.real for spot in spots], [spot.imag for spot in spots]
    return complex(min(across), min(up)), complex(max(across), max(up))


def _right_angles(figure: Figure) -> Iterator[Points]:
    yield from figure.of("right")
    for a, b, c, d in figure.of("rectangle"):
        yield from ((d, a, b), (a, b, c), (b, c, d), (c, d, a))


def coordinates(drawing: Drawing) -> Mapping[str, Spot]:
    """The lettered points in pixels."""
    return {name: (x, y) for name, x, y in drawing.points if not name.startswith(HIDDEN)}
