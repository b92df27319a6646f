"""Hashes of the pixels of image files, kept by the files' bytes in the cache folder.

Decoding takes most of the time of a data check. A file with the same bytes has the same pixels,
so a second check reads the bytes and decodes nothing; a changed file has other bytes and is
decoded, whatever its name, size and time of change.
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
from rftcore.images import decoding
from rftcore.images.decoding import Remark

DIGEST = 16  # bytes of each hash
RECORD = 2 * DIGEST
FEW = 256  # not worth a file
MOST = 500_000  # records that are kept: a file of 16 MB


@dataclass(frozen=True)
class Pixels:
    """What an image file shows: the hash of its pixels, and what it leaves open."""

    hash: str
    remarks: tuple[Remark, ...] = ()


class PixelCache:
    """Pixel hashes by the bytes of image files; a context manager, which keeps them at its end.

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
        if len(self._new) >= FEW:  # also of a check that stops: the next one goes on from there
            with suppress(OSError):  # a folder that cannot be written only costs time
                _write(self._path, {**self._known, **self._new})

    def pixels(self, data: bytes) -> Pixels:
        """As `decoding.decode`, but the pixels themselves are dropped.

        Raises: TooLargeError if the image is too large, and whatever Pillow raises.
        """
        decoding.check_opens(data)  # a limit on pixels holds for a known file too
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
    """A hash of everything that decides which pixels a file has: this code, Pillow, its codecs."""
    import PIL
    from PIL import features

    with Path(decoding.__file__).open("rb") as file:
        code = hashlib.file_digest(file, "sha256").hexdigest()
    codecs = {name: features.version(name) for name in sorted(features.get_supported_codecs())}
    text = f"{code} {PIL.__version__} {codecs}"
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
    """All of it or nothing; what another process has written meanwhile is decoded again."""
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
