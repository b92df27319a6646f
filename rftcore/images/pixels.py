"""Hashes of the pixels of image files, cached by the bytes of the files.

Decoding takes most of the time of a data check. Files with equal bytes have equal pixels, so a
second check reads the bytes and decodes only what is new: a changed file has other bytes, even
if its name, size and modification time are the same.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from rftcore.cache import cache_folder
from rftcore.images import colors, decoding
from rftcore.images.colors import Remark

DIGEST = 16  # bytes of each hash
RECORD = 2 * DIGEST
FEW = 256  # fewer new records are not saved
MOST = 500_000  # records of a file: 16 MB


@dataclass(frozen=True)
class Pixels:
    """The hash of an image's pixels, with remarks about what the file leaves undefined."""

    hash: str
    remarks: tuple[Remark, ...] = ()


class PixelCache:
    """Pixel hashes by the bytes of image files. A context manager: saves new ones on exit.

    Threads may share one.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_folder("pixels") / f"{decoder()}.hashes"
        self._known = _read(self._path)
        self._new: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if len(self._new) >= FEW:  # after an error too: the next check continues
            with suppress(OSError):  # an unwritable folder costs time, nothing else
                _write(self._path, {**self._known, **self._new})

    def pixels(self, data: bytes) -> Pixels:
        """As `decoding.decode`, but the pixels themselves are dropped.

        Raises: TooLargeError if the image is too large, and whatever Pillow raises.
        """
        decoding.check_opens(data)  # the limit on pixels applies to known files too
        key = hashlib.blake2b(data, digest_size=DIGEST).digest()
        if known := self._known.get(key) or self._new.get(key):
            return Pixels(known.hex())
        decoded = decoding.decode(data)
        pixels = Pixels(decoding.pixel_hash(decoded.image), tuple(decoded.remarks))
        if not pixels.remarks:
            self._new[key] = bytes.fromhex(pixels.hash)
        return pixels


@cache
def decoder() -> str:
    """A hash of everything that determines the pixels of a file: this code, Pillow, its codecs."""
    import PIL
    from PIL import features

    code = hashlib.sha256()
    for file in (decoding.__file__, colors.__file__):
        code.update(Path(file).read_bytes())
    codecs = {name: features.version(name) for name in sorted(features.get_supported_codecs())}
    text = f"{code.hexdigest()} {PIL.__version__} {codecs}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path) -> dict[bytes, bytes]:
    """The records of a file; none if it is absent, cut off or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    records, check = data[:-DIGEST], data[-DIGEST:]
    if len(records) % RECORD or _check(records) != check:
        return {}
    return {
        records[at : at + DIGEST]: records[at + DIGEST : at + RECORD]
        for at in range(0, len(records), RECORD)
    }


def _write(path: Path, known: dict[bytes, bytes]) -> None:
    """Replace the file atomically. Records that another process wrote meanwhile are lost."""
    records = b"".join(key + value for key, value in list(known.items())[-MOST:])
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(records + _check(records))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _check(records: bytes) -> bytes:
    return hashlib.blake2b(records, digest_size=DIGEST).digest()
