"""What files of answers keep of the images that a prompt showed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from rftcore.completions import ShownImage, Size
from rftcore.images.image import Image

Seen = Callable[[Size], Size | None]  # the size that a policy's image processor makes of a size


def shown(images: Sequence[Image], seen: Seen | None = None) -> tuple[ShownImage, ...]:
    """The images as a stored completion has them.

    seen: what a policy makes of a size. Without it no image is read, and no size is known.
    Raises: `SampleError` naming an image that cannot be read.
    """
    return tuple(_one(image, seen) for image in images)


def _one(image: Image, seen: Seen | None) -> ShownImage:
    path = None if image.path is None else str(image.path.absolute())
    if seen is None:
        return ShownImage(key=image.key, path=path)
    size = _size(image, image.path)
    return ShownImage(key=image.key, path=path, size=size, seen=seen(size))


@lru_cache(maxsize=4096)
def _size(image: Image, _path: Path | None) -> Size:
    """Width and height; equal keys at one path are one image, which is read once."""
    return image.size()
