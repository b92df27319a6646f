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

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage
    from PIL.ImageFile import ImageFile

Remark = tuple[str, str]  # its kind, and a text
Color = int | tuple[int, ...] | bytes | None  # the transparent one of a file
WHITE = (255, 255, 255)
WIDE_GRAY = ("I;16", "I;16L", "I;16B", "I;16N")  # modes of Pillow: 16 bits per pixel
SCALED_GRAY = ("PNG", "PPM")  # formats whose 32-bit integer gray is 0 to 65535 in Pillow
PAGES_APART = ("MPO", "PSD")  # formats whose further "frames" are previews or layers
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF tags, and a value
PNG_EXIF, PNG_TEXTS = b"eXIf", (b"XML:com.adobe.xmp", b"Raw profile type")  # have orientations
PNG_START = b"\x89PNG\r\n\x1a\n"
CHUNK_FRAME = 12  # bytes of a PNG chunk besides its data: length, name, checksum
# A warning filter, as `warnings.filters` has it: Pillow warns of damaged metadata, again and again.
DAMAGED_METADATA = ("ignore", None, UserWarning, re.compile(r"PIL\."), 0)
DARK = 4096  # of 65536: a 16-bit image without brighter pixels appears black


OTHER_FILES = (  # first bytes of files that are mistaken for images, and their description
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
    (b"<svg", "an SVG drawing: export it as PNG"),
    (b"<?xml", "an XML file, such as an SVG drawing: export it as PNG"),
    (b"<!doctype html", "a web page, so its download failed"),
    (b"<html", "a web page, so its download failed"),
    (b"%pdf", "a PDF: export its page as PNG"),
    (b"pk\x03\x04", "a ZIP archive: unpack it"),
    (b"data:", "a data URI: write the bytes that it encodes into the file"),
)
PHOTOS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc")  # brands of HEIC files, at byte 8


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
        image, doubt = _rgb(_upright(opened), opened, raw_mode)
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


def what_else(data: bytes) -> str:
    """A description of a file that is not an image."""
    head = data[:64].lstrip().lower()
    found = [what for start, what in OTHER_FILES if head.startswith(start)]
    if data[4:8] == b"ftyp" and data[8:12] in PHOTOS:
        found.append("a HEIC photo: convert it to JPEG or PNG")
    if not data:
        found.append("the file is empty")
    return "not an image in any format that Pillow reads" + "".join(f"; {it}" for it in found[:1])


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


def _rgb(image: PilImage, opened: Any, raw_mode: str) -> tuple[PilImage, list[Remark]]:
    tags = getattr(opened, "tag_v2", {})
    doubt: list[Remark] = []
    if image.mode in (*WIDE_GRAY, "I", "F"):
        gray, doubt = _gray(image, opened.format, tags)
        image = _see_through(gray, image, image.info.get("transparency"))
    elif image.mode in ("1", "L", "RGB") and image.info.get("transparency") is not None:
        key = _eight_bit(image.info["transparency"], raw_mode)
        image = _see_through(image.convert("RGB" if image.mode == "RGB" else "L"), None, key)
    elif image.mode == "La":  # Pillow has no direct way to RGBA
        image = image.convert("LA")
    if image.has_transparency_data:
        image, hidden = _on_white(image.convert("RGBA"))
        doubt = [*doubt, *hidden]
    return image.convert("RGB"), doubt


def _gray(image: PilImage, kind: str, tags: Any) -> tuple[PilImage, list[Remark]]:
    """Wide integers and floating point numbers as 8 bits, with remarks."""
    import numpy as np
    from PIL import Image as pil

    values = np.asarray(image)
    if image.mode in WIDE_GRAY or kind in SCALED_GRAY:
        bits = int(tags.get(BITS_PER_SAMPLE, (16,))[0])
        shown, doubt = values.astype(np.int64) >> (bits - 8), []
        if values.size and int(values.max()) < DARK >> (16 - bits):
            text = f"{bits}-bit gray whose brightest pixel is {int(values.max())}: nearly black"
            doubt = [("dark image", f"{text}; scale it to the full range")]
    else:
        shown, rule = _unscaled(values.astype(np.float64))
        what = "floating point" if image.mode == "F" else "32-bit integer"
        doubt = [("undefined scale", f"{what} pixels, {rule}; save it with 8 or 16 bits")]
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        shown = 255 - shown
    return pil.fromarray(shown.clip(0, 255).astype(np.uint8)), doubt


def _unscaled(values: Any) -> tuple[Any, str]:
    """Numbers without a defined white as 0 to 255, and the rule that was applied."""
    import numpy as np

    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    for white in (1, 255, 65535):
        if low >= 0 and high <= white and known.size == values.size:
            return values * (255 / white), f"{low:g} to {high:g}, shown with {white} as white"
    shown = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * (
        255 / (high - low) if high > low else 0
    )
    return shown, f"stretched so that {low:g} is black and {high:g} is white"


def _eight_bit(key: Color, raw_mode: str) -> Color:
    """The transparent color of a PNG, converted to the 8-bit pixels of Pillow."""
    if isinstance(key, tuple):
        return tuple(part >> 8 for part in key) if max(key) > 255 or "16" in raw_mode else key
    if not isinstance(key, int):
        return key
    return min(255, key * {"1": 255, "L;2": 85, "L;4": 17}.get(raw_mode, 1))


def _see_through(shown: PilImage, exact: PilImage | None, key: Color) -> PilImage:
    """`shown` with alpha 0 where it, or `exact`, has the color `key`."""
    import numpy as np
    from PIL import Image as pil

    if key is None or isinstance(key, bytes):
        return shown
    same = np.asarray(exact or shown) == np.asarray(key)
    same = same.all(-1) if same.ndim == 3 else same
    seen = shown.convert("RGB")
    seen.putalpha(pil.fromarray(np.where(same, 0, 255).astype(np.uint8)))
    return seen


def _on_white(image: PilImage) -> tuple[PilImage, list[Remark]]:
    """The image composited on white."""
    from PIL import Image as pil

    alpha = image.getchannel("A")
    paper = pil.new("RGBA", image.size, (*WHITE, 255))
    if alpha.getextrema() == (0, 0):
        text = "its alpha is 0 everywhere, so only white is visible: save it without transparency"
        return paper, [("nothing visible", text)]
    return pil.alpha_composite(paper, image), []
