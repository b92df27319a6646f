"""The images of a row: paths inside its folder."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from rftcore.datasets.image_paths import is_outside
from rftcore.datasets.rows.faults import FaultFound, short
from rftcore.datasets.rows.fields import KNOWN
from rftcore.errors import closest

LONGEST_NAME, LONGEST_PATH = 255, 4000  # bytes: the limits of common file systems
_IMAGE_LIKE = re.compile(r"im(a)?ge?s?|pictures?|photos?|pixels?|videos?|audios?|frames?", re.I)
_IMAGE_FILE = re.compile(
    r"[^\n]{1,250}\.(?:png|jpe?g|webp|bmp|gif|tiff?|heic|avif|jp2)|data:image/.*", re.I | re.S
)
_NUMBERED = re.compile(r"(?:im(?:a)?ge?|picture|photo)s?[_ -]?\d+", re.I)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s=-]{200,}")
_TO_FILE = ": images must be files; write the bytes to a file and give its path"


def images_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths of a row's images as it gives them. Raises: FaultFound."""
    given = [fields[name] for name in ("image", "images") if fields.get(name) not in (None, [])]
    if not given:
        _no_images(fields)
        return ()
    if len(given) > 1 and _listed(given[0]) != _listed(given[1]):
        raise FaultFound("wrong field", "'image' and 'images' differ: use one of them")
    numbered = [key for key, value in fields.items() if _NUMBERED.fullmatch(key) and value]
    if numbered and any(map(_holds_image, (fields[key] for key in numbered))):
        text = f"the image in {short(numbered[0])} is ignored: list all paths in 'images'"
        raise FaultFound("wrong field", text)
    return tuple(map(_checked_path, _listed(given[0])))


def _no_images(fields: Mapping[str, Any]) -> None:
    """Raise unless the row has no image at all, so that its question is text only."""
    others = [
        key
        for key, value in fields.items()
        if key not in KNOWN and isinstance(value, str | list | dict) and value
    ]
    like = [key for key in others if any(map(_IMAGE_LIKE.fullmatch, re.split(r"\W|_", key)))]
    like += [key for key in others if _holds_image(fields[key])]
    hint = closest("image", others) or (f" Did you mean {like[0]!r}?" if like else "")
    if hint:
        raise FaultFound("missing field", f"no 'image'.{hint}")


def _holds_image(value: object) -> bool:
    """Whether a value is the path of an image file, its bytes, or a list of those."""
    if isinstance(value, list):
        return bool(value) and all(map(_holds_image, value))
    if isinstance(value, dict):
        return {*value} == {"bytes", "path"}
    return isinstance(value, str) and _IMAGE_FILE.fullmatch(value) is not None


def _listed(images: object) -> list[object]:
    """The paths of images; `datasets` writes one as {"path": PATH, "bytes": null}."""
    names = images if isinstance(images, list) else [images]
    return [_path(name) if isinstance(name, dict) else name for name in names]


def _path(name: dict[str, Any]) -> object:
    given = {key: value for key, value in name.items() if value is not None}
    return given["path"] if {*given} == {"path"} else name


def _checked_path(name: object) -> str:
    if isinstance(name, dict):
        raise FaultFound("wrong field", f"image {short(name)} is not a path{_TO_FILE}")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise FaultFound("wrong field", f"image {short(name)} is not a path")
    if name[:5].lower() == "data:":
        raise FaultFound("wrong field", f"image {short(name)} is a data URI{_TO_FILE}")
    if _URL.match(name):
        fetch = ": images must be files; download it and give the path of its file"
        raise FaultFound("wrong field", f"image {short(name)} is a URL{fetch}")
    if _BASE64.fullmatch(name):
        raise FaultFound("wrong field", f"image {short(name)} appears to be base64{_TO_FILE}")
    sizes = [len(part.encode()) for part in PurePosixPath(name).parts]
    if len(name.encode()) > LONGEST_PATH or max(sizes, default=0) > LONGEST_NAME:
        raise FaultFound("wrong field", f"image {short(name)} is too long for a path")
    if is_outside(name):
        inside = "use a relative path inside it"
        raise FaultFound("path", f"image {name!r} is outside the folder: {inside}", name)
    return name
