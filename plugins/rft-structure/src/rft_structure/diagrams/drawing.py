"""The content of a diagram as a value. Coordinates are pixels, x to the right and y downwards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

HIDDEN = "."  # a point whose name starts with it gets no letter

Points = tuple[str, ...]


@dataclass(frozen=True)
class Drawing:
    """Everything that determines an image; plain data.

    Args:
        size: width and height in pixels.
        unit: pixels per unit of length.
        points: (name, x, y); a name that starts with `HIDDEN` gets no letter.
        segments: pairs of names.
        circles: (x, y, radius).
        rights: (end, corner, end) of right angles to mark.
        equals: (apex, end, end) of equal sides to mark.
        parallels: (a, b, c, d) of parallel lines to mark.
        values: (kind, points, text) of values to show, kind "length" or "angle".
    """

    size: int
    unit: float
    points: tuple[tuple[str, float, float], ...]
    segments: tuple[tuple[str, str], ...]
    circles: tuple[tuple[float, float, float], ...]
    rights: tuple[Points, ...]
    equals: tuple[Points, ...]
    parallels: tuple[Points, ...]
    values: tuple[tuple[str, Points, str], ...]

    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()

    @property
    def spots(self) -> dict[str, complex]:
        """The position of each point."""
        return {name: complex(x, y) for name, x, y in self.points}
