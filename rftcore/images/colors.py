"""Convert the pixels of an image file to 8-bit RGB on white.

16-bit gray is scaled, transparent parts are white. Where a file leaves its meaning undefined, the
result has a remark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Remark = tuple[str, str]  # its kind, and a text
Color = int | tuple[int, ...] | bytes | None  # the transparent one of a file
WHITE = (255, 255, 255)
WIDE_GRAY = ("I;16", "I;16L", "I;16B", "I;16N")  # modes of Pillow: 16 bits per pixel
SCALED_GRAY = ("PNG", "PPM")  # formats whose 32-bit integer gray is 0 to 65535 in Pillow
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF tags, and a value
DARK = 4096  # of 65536: a 16-bit image without brighter pixels appears black


def to_rgb(image: PilImage, opened: Any, raw_mode: str) -> tuple[PilImage, list[Remark]]:
    """An image as RGB, with remarks.

    opened: the file that it is from, before it was turned upright. raw_mode: the pixel format in
    that file, such as "L;2".
    """
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
