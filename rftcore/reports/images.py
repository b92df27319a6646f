"""The images of a report: of which sample, at which size, and as which text in the page."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rftcore.images import Image
from rftcore.reports.seen import Size, cropped_size, seen_size

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

LARGEST = 1024  # of an edge, in pixels, where the size that the model saw is not known
QUALITY = 90  # of WebP; images of few colors are stored exactly
FEW_COLORS = 256


@dataclass
class Album:
    """The encoded images of a page, each once, up to `room` bytes of text.

    `full`: the next image did not fit, and none is added after it.
    """

    room: int
    encoded: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    full: bool = False
    _known: dict[Any, int] = field(default_factory=dict)

    def add(self, image: Image, budget: Mapping[str, Any]) -> int | None:
        """The number of an image in the page; None if it has no room.

        budget: `pixel_budget` of the run. Raises: `SampleError` for an image that cannot be read.
        """
        key = image.key, repr(budget)
        if key not in self._known:
            if self.full:
                return None
            shown, caption = as_seen(image.open(), budget)
            data = encode(shown)
            mark = hashlib.sha256(data).digest(), caption
            if mark not in self._known and not self._store(data, caption, shown.size):
                return None
            self._known[key] = self._known.setdefault(mark, len(self.encoded) - 1)
        return self._known[key]

    def _store(self, data: bytes, caption: str, size: Size) -> bool:
        text = base64.b64encode(data).decode("ascii")
        if len(text) > self.room:
            self.full = True
            return False
        self.room -= len(text)
        self.encoded.append(text)
        self.captions.append(caption)
        self.sizes.append(size)
        return True


def as_seen(image: PilImage, budget: Mapping[str, Any]) -> tuple[PilImage, str]:
    """The image at the size that the model saw, and a caption with that size."""
    from PIL import Image as pil

    own: Size = image.size
    wanted = seen_size(budget, own)
    if wanted is None:
        image.thumbnail((LARGEST, LARGEST))
        return image, f"{_text(own)} in the data, shown at {_text(image.size)}"
    if wanted != own:
        image = image.resize(wanted, pil.Resampling.BICUBIC)
    if crop := cropped_size(budget):
        left, top = ((whole - part) // 2 for whole, part in zip(wanted, crop, strict=True))
        image = image.crop((left, top, left + crop[0], top + crop[1]))
    same = image.size == own
    return image, f"{_text(image.size)} seen" + ("" if same else f", {_text(own)} in the data")


def encode(image: PilImage) -> bytes:
    """The image as WebP: exact if it has few colors, as a drawing has, else of high quality."""
    exact = image.getcolors(FEW_COLORS) is not None
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=exact, quality=QUALITY, method=4)
    return buffer.getvalue()


def _text(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
