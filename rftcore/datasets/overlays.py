"""The boxes of a sample, to draw over its images.

They are the gold of a task whose parser reads boxes, and what `Sample.meta["boxes"]` declares:
a list of objects with `box`, four numbers [left, top, right, bottom], and optionally `label`,
`image` (the number of the image, from 0) and `frame` (pixels, norm1000 or unit; pixels by default).
"""

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
    """The boxes of a sample, gold ones last. Other forms in `meta["boxes"]` are left out.

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
        if not isinstance(item, dict):
            continue
        box, at, frame = item.get("box"), item.get("image", 0), item.get("frame", "pixels")
        known = isinstance(at, int) and 0 <= at < len(sample.images) and frame in FRAMES
        if known and isinstance(box, list | tuple) and len(box) == 4 and all(map(_is_number, box)):
            share = _share(Box(*box), frame, sample, at)
            yield Overlay(at, share, str(item.get("label", "")))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _share(box: Box, frame: str, sample: Sample, image: int) -> Box:
    side = FRAMES[frame]
    width, height = (side, side) if side else sample.images[image].size()
    return Box(box.left / width, box.top / height, box.right / width, box.bottom / height)
