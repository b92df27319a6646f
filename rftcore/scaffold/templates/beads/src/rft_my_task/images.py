"""What the images show: colored beads on a string, one end of it black."""

import io
from typing import NamedTuple

import rftcore as rft

SIZE = 128  # pixels, of a square image: as many as `nano` sees
COLORS = {"red": "#d62828", "blue": "#2456d6", "green": "#1e8c46", "yellow": "#f2b705"}


class Bead(NamedTuple):
    """One bead, where its middle is and how large it is, in pixels."""

    color: str
    x: int
    y: int
    radius: int


def draw(beads: tuple[Bead, ...]) -> bytes:
    """A PNG of the string, with its black end beside the first bead."""
    from PIL import Image, ImageDraw  # here: rft imports plugins at every start

    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    first = beads[0]
    end = (0 if first.x < SIZE // 2 else SIZE - 1, first.y)
    pen.line([end, *((bead.x, bead.y) for bead in beads)], fill="gray", width=3)
    pen.circle(end, 8, fill="black")
    for color, x, y, radius in beads:
        pen.circle((x, y), radius, fill=COLORS[color])
    png = io.BytesIO()
    image.save(png, "PNG")
    return png.getvalue()


# Draws an image when it is first opened and keeps it in a cache; the key is the text of its shapes.
# `by_code`: a change in this module draws all images again. For slow drawings, leave it out and
# put a version into the text, for instance with "version 1: {}".format.
IMAGES = rft.ImageCache("my-task", str, draw, by_code=True)
