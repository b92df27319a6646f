"""What the images show: a chart of four bars, A to D, on lines that count the height."""

import io
from typing import NamedTuple

import rftcore as rft

SIZE = 128  # pixels, of a square image: as many as `nano` sees
LETTERS = "ABCD"
COLORS = ("#d62828", "#2456d6", "#1e8c46", "#f2b705", "#7b2fbe", "#19b5c9")
MOST = 9  # lines
STEP = 11  # pixels between two lines
FLOOR = 110  # pixels from the top


class Bar(NamedTuple):
    """A bar's height in lines, its width and its shift from the middle in pixels."""

    height: int
    color: str
    width: int
    shift: int


def draw(bars: tuple[Bar, ...]) -> bytes:
    """A PNG of the chart."""
    from PIL import Image, ImageDraw  # here: rft imports plugins at every start

    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    for line in range(MOST + 1):
        pen.line((0, FLOOR - STEP * line, SIZE, FLOOR - STEP * line), fill="#d0d0d0")
    for at, bar in enumerate(bars):
        middle = 16 + 32 * at
        left = middle + bar.shift - bar.width // 2
        pen.rectangle((left, FLOOR - STEP * bar.height, left + bar.width, FLOOR), fill=bar.color)
        pen.text((middle, SIZE - 9), LETTERS[at], fill="black", anchor="mm", font_size=14)
    png = io.BytesIO()
    image.save(png, "PNG")
    return png.getvalue()


# Draws an image when it is first opened and keeps it in a cache; the key is the text of its shapes.
# `by_code`: a change in this module draws all images again. For slow drawings, leave it out and
# put a version into the text, for instance with "version 1: {}".format.
IMAGES = rft.ImageCache("my-task", str, draw, by_code=True)
