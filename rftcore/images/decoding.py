"""Decode image files to RGB pixels, upright and on white.

Training, evaluation, previews and the data check all decode here. EXIF orientation is applied,
transparent parts are white, and 16-bit gray is scaled. If a file leaves its meaning undefined,
the decoded image has a remark, which the data check reports.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rftcore.images.colors import Remark, to_rgb
from rftcore.images.other_files import what_else

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage
    from PIL.ImageFile import ImageFile

PAGES_APART = ("MPO", "PSD")  # formats whose further "frames" are previews or layers
PNG_EXIF, PNG_TEXTS = b"eXIf", (b"XML:com.adobe.xmp", b"Raw profile type")  # have orientations
PNG_START = b"\x89PNG\r\n\x1a\n"
CHUNK_FRAME = 12  # bytes of a PNG chunk besides its data: length, name, checksum
# A warning filter, as `warnings.filters` has it: Pillow warns of damaged metadata, again and again.
DAMAGED_METADATA = ("ignore", None, UserWarning, re.compile(r"PIL\."), 0)


class NotAnImageError(ValueError):
    """A file is not an image in a format that Pillow reads."""


class TooLargeError(ValueError):
    """An image has more pixels than Pillow decodes without a warning."""


@dataclass(frozen=True)
class Decoded:
    """RGB pixels, with remarks (kind, text) about what the file leaves undefined."""

    image: PilImage
    remarks: Sequence[Remark] = ()


def decode(data: bytes) -> Decoded:
    """The first frame of an image file in RGB.

    Raises: TooLargeError if the image is too large, and whatever Pillow raises.
    """
    with _opened(data) as opened:
        frames, raw_mode = _frames(opened), _raw_mode(opened)
        opened.load()
        image, doubt = to_rgb(_upright(opened), opened, raw_mode)
        return Decoded(image, (*frames, *doubt))


def check_opens(data: bytes) -> None:
    """Read the header of an image file.

    Raises: NotAnImageError, TooLargeError if the image is too large, and whatever Pillow raises.
    """
    _opened(data).close()


def pixel_hash(image: PilImage) -> str:
    """Hex BLAKE2 of an image's size and pixels: equal for equal pixels, whatever the file."""
    digest = hashlib.blake2b(f"{image.mode} {image.size}".encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.hexdigest()


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of the decoded image, in most formats without decoding it.

    Raises: TooLargeError if the image is too large, and whatever Pillow raises.
    """
    with _opened(data) as opened:
        if opened.format == "TIFF":  # Pillow versions differ in applying its orientation
            return decode(data).image.size
        width, height = opened.size
        if opened.format == "PNG" and not _has_metadata(data):
            return width, height  # where Pillow would decode all pixels to look for EXIF data
        return (height, width) if _orientation(opened) >= 5 else (width, height)


def _has_metadata(data: bytes) -> bool:
    """Whether a PNG has a chunk that may contain an orientation; pixels are not searched."""
    at = len(PNG_START)
    while header := data[at : at + 8]:
        if header[4:] == PNG_EXIF or data[at + 8 : at + 32].startswith(PNG_TEXTS):
            return True
        at += CHUNK_FRAME + int.from_bytes(header[:4])
    return False


def _opened(data: bytes) -> ImageFile:
    """The image before its pixels are read. Raises: TooLargeError if it has too many."""
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    most = pil.MAX_IMAGE_PIXELS or sys.maxsize
    _ignore_damaged_metadata()
    try:
        opened = pil.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise NotAnImageError(what_else(data)) from None
    except (pil.DecompressionBombError, pil.DecompressionBombWarning) as error:
        raise TooLargeError(f"more than {most} pixels; make it smaller") from error
    width, height = opened.size
    if width * height > most:
        raise TooLargeError(f"{width} x {height} is more than {most} pixels; make it smaller")
    return opened


def _ignore_damaged_metadata() -> None:
    """Ignore Pillow's warnings of it in this process, if that filter is not in place.

    A filter of a block would hold for all threads, and restoring it would drop what another has
    set meanwhile. Warnings of too many pixels are no `UserWarning`: they are shown as ever.
    """
    if DAMAGED_METADATA not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def _frames(opened: Any) -> list[Remark]:
    count = getattr(opened, "n_frames", 1)
    if count < 2 or opened.format in PAGES_APART:
        return []
    text = f"{count} frames or pages, only the first is used: save it as a single image"
    return [("several frames", text)]


def _raw_mode(opened: Any) -> str:
    """The pixel format of the file, such as "L;2"; Pillow drops it when pixels are loaded."""
    args = opened.tile[0].args if getattr(opened, "tile", None) else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _upright(opened: PilImage) -> PilImage:
    """The image with its EXIF orientation applied."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(opened))
    return opened if turn is None else opened.transpose(turn)


def _orientation(opened: PilImage) -> int:
    """The EXIF orientation from 1, upright, to 8."""
    from PIL import ExifTags

    try:
        orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata; the pixels are intact
        return 1
    return orientation if orientation in range(1, 9) else 1
