"""What the images show: triangles, squares and circles on white paper."""

import io
from typing import NamedTuple

import rftcore as rft

SIZE = 128  # pixels, of a square image: as many as `nano` sees
KINDS = ("triangle", "square", "circle")
COLORS = {"red": "#d62828", "blue": "#2456d6", "green": "#1e8c46", "yellow": "#f2b705"}
NEW_COLORS = {"purple": "#7b2fbe", "cyan": "#19b5c9"}  # never in training


class Shape(NamedTuple):
    """One shape, where its middle is and how large it is, in pixels."""

    kind: str
    color: str
    x: int
    y: int
    radius: int

    def __str__(self) -> str:
        return f"{self.color} {self.kind}"


def draw(shapes: tuple[Shape, ...]) -> bytes:
    """A PNG of the shapes."""
    from PIL import Image, ImageDraw  # here: rft imports plugins at every start

    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    for kind, color, x, y, radius in shapes:
        fill = {**COLORS, **NEW_COLORS}[color]
        if kind == "circle":
            pen.circle((x, y), radius, fill=fill)
        else:
            pen.regular_polygon((x, y, radius), 3 if kind == "triangle" else 4, fill=fill)
    png = io.BytesIO()
    image.save(png, "PNG")
    return png.getvalue()


# Draws an image when it is first opened and keeps it in a cache; the key is the text of its shapes.
# `by_code`: a change in this module draws all images again. For slow drawings, leave it out and
# put a version into the text, for instance with "version 1: {}".format.
IMAGES = rft.ImageCache("my-task", str, draw, by_code=True)
