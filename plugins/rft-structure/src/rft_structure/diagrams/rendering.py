"""Draw a figure with matplotlib: black lines, letters at points, values in blue.

Without pyplot or global state: the bytes of an image depend only on its `Drawing`.
"""

from __future__ import annotations

import cmath
import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rft_structure.diagrams import labels
from rft_structure.diagrams.drawing import Drawing
from rftcore.images import ImageCache

VERSION = 1  # of the rendering: increase it when any pixel changes
INK, VALUE, FAINT = "#111111", "#0b3d91", "#777777"
LINE, THIN = 0.0072, 0.0045  # shares of the image
SQUARE, TICK, ARROW, CENTER = 0.045, 0.022, 0.024, 0.022
STYLE: Any = {  # overrides a user's settings of matplotlib
    "text.usetex": False,
    "text.antialiased": True,
    "text.hinting": "force_autohint",
    "path.snap": False,
    "path.simplify": False,
    "path.sketch": None,
    "path.effects": [],
    "agg.path.chunksize": 0,
}


def draw(drawing: Drawing) -> bytes:
    """Draw an RGB PNG of `drawing.size` x `drawing.size` pixels."""
    import matplotlib
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(drawing.size / 100, drawing.size / 100), dpi=100, facecolor="w")
        canvas: Any = FigureCanvasAgg(figure)
        _Pen(figure, drawing).all()
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    out = io.BytesIO()
    Image.fromarray(pixels.copy()).save(out, "PNG")
    return out.getvalue()


def _content(drawing: Drawing) -> str:
    return f"{VERSION}|{drawing.digest()}"


FIGURES = ImageCache("figures", _content, draw)  # each drawn once, then found on disk


class _Pen:
    """Adds the parts of a drawing to a matplotlib figure, in pixels."""

    def __init__(self, figure: Any, drawing: Drawing) -> None:
        self.figure, self.drawing, self.spots = figure, drawing, drawing.spots

    def all(self) -> None:
        """Add all parts: lines below marks below text."""
        for x, y, radius in self.drawing.circles:
            self.circle(x, y, radius)
            self.stroke([complex(x, y), complex(x, y) + 0.01], width=CENTER)
        for a, b in self.drawing.segments:
            self.stroke([self.spots[a], self.spots[b]])
        for mark in self.marks():
            self.stroke(mark, width=THIN)
        self.measures()
        self.texts()

    def marks(self) -> Iterator[list[complex]]:
        """Squares at right angles, ticks on equal sides, arrows on parallel lines."""
        for corner in self.drawing.rights:
            yield self.square(*(self.spots[name] for name in corner))
        for apex, *ends in self.drawing.equals:
            for end in ends:
                yield self.tick(self.spots[apex], self.spots[end])
        for points in self.drawing.parallels:
            a, b, c, d = (self.spots[name] for name in points)
            way = (b - a) / abs(b - a)
            yield self.arrow((a + b) / 2, way)
            yield self.arrow((c + d) / 2, way)

    def square(self, a: complex, corner: complex, b: complex) -> list[complex]:
        """The small square in a right angle."""
        side = SQUARE * self.drawing.size
        one, two = ((end - corner) / abs(end - corner) * side for end in (a, b))
        return [corner + one, corner + one + two, corner + two]

    def tick(self, a: complex, b: complex) -> list[complex]:
        """A short stroke across the middle of a side."""
        across = 1j * (b - a) / abs(b - a) * TICK * self.drawing.size
        return [(a + b) / 2 - across, (a + b) / 2 + across]

    def arrow(self, at: complex, way: complex) -> list[complex]:
        """An open arrow head."""
        size = ARROW * self.drawing.size
        return [at + size * way * cmath.rect(1, turn) - size / 2 * way for turn in (2.4, 0, -2.4)]

    def measures(self) -> None:
        """Arcs of given angles, and lines beside lengths that another point divides."""
        size = self.drawing.size
        for kind, points, _ in self.drawing.values:
            if kind == "angle":
                self.stroke(labels.arc(size, *(self.spots[n] for n in points)), VALUE, THIN)
        for a, b in labels.dimensions(self.drawing):
            across = 1j * (b - a) / abs(b - a) * TICK * size
            for line in ([a, b], [a - across, a + across], [b - across, b + across]):
                self.stroke(line, FAINT, THIN)

    def texts(self) -> None:
        """Letters and values on a white background."""
        for label, box in labels.place(self.drawing):
            color = INK if label.is_letter else VALUE
            self.write(label.text, box.middle, color, bold=label.is_letter)

    def stroke(self, spots: Sequence[complex], color: str = INK, width: float = LINE) -> None:
        """A line through spots; a very short one is a dot."""
        from matplotlib.lines import Line2D
        from matplotlib.transforms import IdentityTransform

        height = self.drawing.size
        line = Line2D(
            [spot.real for spot in spots],
            [height - spot.imag for spot in spots],
            color=color,
            linewidth=self.points(width),
            solid_capstyle="round",
            solid_joinstyle="round",
            transform=IdentityTransform(),
        )
        self.figure.add_artist(line)

    def circle(self, x: float, y: float, radius: float) -> None:
        """A closed line around a point."""
        from matplotlib.patches import Circle
        from matplotlib.transforms import IdentityTransform

        around = Circle(
            (x, self.drawing.size - y),
            radius,
            fill=False,
            edgecolor=INK,
            linewidth=self.points(LINE),
            transform=IdentityTransform(),
        )
        self.figure.add_artist(around)

    def write(self, text: str, at: complex, color: str, *, bold: bool) -> None:
        """A text around its middle."""
        from matplotlib.text import Text
        from matplotlib.transforms import IdentityTransform

        written = Text(
            at.real,
            self.drawing.size - at.imag,
            text,
            color=color,
            fontproperties=_font(bold).copy(),
            horizontalalignment="center",
            verticalalignment="center_baseline",
            transform=IdentityTransform(),
            bbox={"facecolor": "w", "edgecolor": "none", "pad": 0.3},
        )
        written.set_fontsize(self.points(labels.FONT))
        self.figure.add_artist(written)

    def points(self, share: float) -> float:
        """A share of the image in typographic points, at 100 dots per inch."""
        return share * self.drawing.size * 72 / 100


@cache
def _font(bold: bool) -> Any:
    """A font that is part of matplotlib, so independent of installed fonts."""
    import matplotlib
    from matplotlib.font_manager import FontProperties

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return FontProperties(fname=str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name))
