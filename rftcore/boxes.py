"""Boxes in an image: coordinates and their frames, overlap (IoU), and matching of several boxes.

Three frames are in use. `pixels` are those of the image in the dataset. `norm1000` divides
each side of the image into 1000 parts, so a box stays the same however a processor resizes the
image. A model with dynamic resolution may also use pixels of the image as it was resized:
`resized` has that size, and `Box.scaled` converts between any two.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

# Frames by name: the size of the image in their units, None where each image has its own.
FRAMES: Mapping[str, int | None] = MappingProxyType({"norm1000": 1000, "unit": 1, "pixels": None})

Size = tuple[float, float]  # width and height


class Box(NamedTuple):
    """A box by its left, top, right and lower edge; x grows to the right, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Its width, negative if the edges are in the wrong order."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Its height, negative if the edges are in the wrong order."""
        return self.bottom - self.top

    def scaled(self, size: Size, to: Size, *, digits: int = 0) -> "Box":
        """The box in an image of size `to` instead of `size`, rounded to `digits`.

        Both are width and height, (1000, 1000) in the frame norm1000. A box that rounding would
        make empty keeps one unit of the last digit, inside the image.
        """
        unit = 10.0**-digits
        left, right = _edges(self.left, self.right, to[0] / size[0], to[0], unit, digits)
        top, bottom = _edges(self.top, self.bottom, to[1] / size[1], to[1], unit, digits)
        return Box(left, top, right, bottom)


def _edges(
    low: float, high: float, factor: float, most: float, unit: float, digits: int
) -> tuple[float, float]:
    first, last = round(low * factor, digits), round(high * factor, digits)
    if first < last or low >= high:
        return first, last
    first = min(first, round(most - unit, digits))
    return first, round(first + unit, digits)


def iou(one: Box, other: Box) -> float:
    """The intersection over union of two boxes: 1 if they are equal, 0 if they are disjoint.

        IoU = area of the intersection / area of the union

    Returns: in [0, 1], no unit; 0.0 for a box without area or with a coordinate that is not
    finite. Scaling both boxes alike, each axis by its own factor, does not change it.
    """
    areas = one.width * one.height, other.width * other.height
    sides = (one.width, one.height, other.width, other.height)
    if not (all(side > 0 for side in sides) and all(map(math.isfinite, (*one, *other, *areas)))):
        return 0.0
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    union = areas[0] + areas[1] - shared
    return min(1.0, shared / union) if union > 0 else 0.0


def matching(weights: Sequence[Sequence[float]]) -> float:
    """The largest sum of weights of a one-to-one matching of rows and columns.

    Optimal, by the Hungarian algorithm: O(rows^2 columns). Weights are at least 0.
    """
    if not weights or not weights[0]:
        return 0.0
    if len(weights) > len(weights[0]):
        weights = [*zip(*weights, strict=True)]
    rows, columns = len(weights), len(weights[0])
    duals = [0.0] * (rows + 1), [0.0] * (columns + 1)
    matched = [0] * (columns + 1)  # the row of each column; rows and columns count from 1
    for row in range(1, rows + 1):
        matched[0] = row
        _augment(weights, matched, *duals)
    pairs = ((row - 1, column - 1) for column, row in enumerate(matched) if row and column)
    return math.fsum(weights[row][column] for row, column in pairs)


def _augment(
    weights: Sequence[Sequence[float]],
    matched: list[int],
    of_row: list[float],
    of_column: list[float],
) -> None:
    """Match the row of column 0, along the shortest augmenting path."""
    count = len(matched)
    least, before, done = [math.inf] * count, [0] * count, [False] * count
    column = 0
    while matched[column]:
        done[column], row = True, matched[column]
        free = [at for at in range(1, count) if not done[at]]
        for at in free:
            cost = -weights[row - 1][at - 1] - of_row[row] - of_column[at]
            if cost < least[at]:
                least[at], before[at] = cost, column
        column = min(free, key=least.__getitem__)
        delta = least[column]
        for at in range(count):
            if done[at]:
                of_row[matched[at]] += delta
                of_column[at] -= delta
            else:
                least[at] -= delta
    while column:
        matched[column] = matched[before[column]]
        column = before[column]


def resized(
    size: tuple[int, int], *, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """Width and height of an image as the processors of Qwen-VL resize it.

    Sides become multiples of `factor` (patch size times merge size: 28 for Qwen2-VL and
    Qwen2.5-VL, 32 for Qwen3-VL), with `min_pixels` to `max_pixels` pixels, which are
    `policy.pixels` or the model's own. Boxes of Qwen2.5-VL are in pixels of this size.
    """
    width, height = (round(side / factor) * factor for side in size)
    if width * height > max_pixels:
        shrink = math.sqrt(size[0] * size[1] / max_pixels)
        width, height = (max(factor, math.floor(side / shrink / factor) * factor) for side in size)
    elif width * height < min_pixels:
        grow = math.sqrt(min_pixels / (size[0] * size[1]))
        width, height = (math.ceil(side * grow / factor) * factor for side in size)
    return width, height
