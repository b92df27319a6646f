"""The boxes of a sample, to draw over its images.

They are the gold of a task whose parser reads boxes, and what `Sample.meta["boxes"]` declares:
a list of objects with `box`, four numbers [left, top, right, bottom], and optionally `label`,
`image` (the number of the image, from 0) and `frame` (pixels, norm1000 or unit; pixels by default).
"""

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rftcore.boxes import FRAMES, Box
from rftcore.types import Parser, Sample


@dataclass(frozen=True)
class Overlay:
    """A box over an image, in shares of its width and height."""

    image: int
    box: Box
    label: str = ""
    gold: bool = False


def overlays(sample: Sample, parser: Parser) -> list[Overlay]:
    """The boxes of a sample, gold ones last. What `undrawn` reports is left out.

    Raises: SampleError if the size of an image that they need cannot be read.
    """
    return [*_declared(sample), *_gold(sample, parser)]


def _gold(sample: Sample, parser: Parser) -> Iterator[Overlay]:
    inner = getattr(parser, "parser", parser)  # of one made forgiving
    frame = getattr(inner, "frame", None)
    value = parser.gold(sample.gold).value if frame in FRAMES and sample.images else None
    if isinstance(value, tuple):
        for box in value:
            if isinstance(box, Box):
                yield Overlay(0, _share(box, str(frame), sample, 0), gold=True)


def _declared(sample: Sample) -> Iterator[Overlay]:
    declared = sample.meta.get("boxes")
    for item in declared if isinstance(declared, list | tuple) else ():
        if not _fault(item, len(sample.images)):
            at, frame = item.get("image", 0), item.get("frame", "pixels")
            yield Overlay(
                at, _share(Box(*item["box"]), frame, sample, at), str(item.get("label", ""))
            )


def undrawn(sample: Sample) -> str:
    """The first thing in `meta["boxes"]` that is no box to draw, with what is; "" if all are.

    A number is taken for a count of boxes.
    """
    declared = sample.meta.get("boxes")
    if declared is None or isinstance(declared, numbers.Real):
        return ""
    if not isinstance(declared, list | tuple):
        return f"'boxes' is {declared!r:.60}: write a list of objects with 'box'"
    faults = (_fault(item, len(sample.images)) for item in declared)
    return next((f"item {at} of 'boxes' {one}" for at, one in enumerate(faults, 1) if one), "")


def _fault(item: Any, images: int) -> str:
    """Why an item of `meta["boxes"]` cannot be drawn, or ""."""
    if not isinstance(item, dict):
        return f'is {item!r:.60}: write {{"box": [left, top, right, bottom]}}'
    box, at, frame = item.get("box"), item.get("image", 0), item.get("frame", "pixels")
    if not (isinstance(box, list | tuple) and len(box) == 4 and all(map(_is_number, box))):
        return f"has box {box!r:.60}: write four numbers, [left, top, right, bottom]"
    if not (isinstance(frame, str) and frame in FRAMES):
        return f"has frame {frame!r:.60}: use {', '.join(FRAMES)}"
    if not (isinstance(at, int) and 0 <= at < images):
        return f"has image {at!r:.60}, of {images} images: they are counted from 0"
    return ""


@dataclass
class Undrawn:
    """Counts samples with something that is `undrawn`, and keeps the first."""

    count: int = 0
    first: str = ""

    def see(self, sample: Sample) -> None:
        """Count a sample."""
        if fault := undrawn(sample):
            self.count += 1
            self.first = self.first or f"{sample.where}: {fault}"

    def lines(self) -> list[str]:
        """A warning if there is such a sample."""
        more = f" ({self.count} such samples, this is the first)" if self.count > 1 else ""
        return [f"boxes: {self.first}{more}"] if self.count else []


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _share(box: Box, frame: str, sample: Sample, image: int) -> Box:
    side = FRAMES[frame]
    width, height = (side, side) if side else sample.images[image].size()
    return Box(box.left / width, box.top / height, box.right / width, box.bottom / height)
