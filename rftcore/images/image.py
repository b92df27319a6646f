"""An image that is read or drawn when its pixels are needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rftcore.columns import printable
from rftcore.errors import SampleError
from rftcore.images.decoding import Decoded, decode, size_of
from rftcore.regular_files import content

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from rftcore.images.pixels import PixelCache, Pixels

T = TypeVar("T")


@dataclass(frozen=True)
class Image:
    """An image that is read, or drawn, on access.

    `key` identifies the pixels without decoding them: a file's path, or a hash of the content
    of a generated image. `read` returns the encoded bytes (PNG, JPEG, ...); it is called in
    the process that needs the pixels. `path` is the file that has the image, if there is one:
    it may not have been drawn yet.
    """

    key: str
    read: Callable[[], bytes] = field(compare=False, repr=False)
    path: Path | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_path(cls, path: str | Path) -> Image:
        """The image in a file, which need not exist yet.

        Raises: `SampleError` if `path` is not a path.
        """
        if not isinstance(path, str | os.PathLike):
            raise SampleError(f"expected the path of an image file, got {path!r:.60}")
        return cls(key=str(path), read=partial(content, Path(path)), path=Path(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> Image:
        """An image in memory. Raises: `SampleError` if `data` is not bytes."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise SampleError(f"expected the bytes of an image file, got {data!r:.60}")
        data = bytes(data)
        return cls(key=hashlib.sha256(data).hexdigest(), read=lambda: data)

    def open(self) -> PilImage:
        """The decoded image in RGB: upright, on white (`rftcore.images.decoding`).

        Raises: `SampleError` naming the image if that fails.
        """
        return self.decode().image

    def decode(self) -> Decoded:
        """The decoded image, with remarks about what the file leaves undefined.

        Raises: `SampleError` naming the image if that fails.
        """
        return self._by(decode)

    def size(self) -> tuple[int, int]:
        """Width and height, without decoding the pixels.

        Raises: `SampleError` naming the image if that fails.
        """
        return self._by(size_of)

    def pixels(self, known: PixelCache) -> Pixels:
        """The hash of the pixels, with remarks about what the file leaves undefined.

        Raises: `SampleError` naming the image if that fails.
        """
        return self._by(known.pixels)

    def fetched(self) -> Image:
        """An equal image that can be read in another thread: a file, or bytes that are read now.

        `read` of a generated image may draw it with a library that is not thread-safe. If it
        raises, the returned image raises the same error on access.
        """
        if getattr(self.read, "func", None) is content:
            return self
        try:
            data = self.read()
        except Exception as error:
            return replace(self, read=partial(_raise, error))
        return replace(self, read=lambda: data)

    def _by(self, reader: Callable[[bytes], T]) -> T:
        try:
            data = self.read()
            if not isinstance(data, bytes | bytearray | memoryview):
                raise SampleError(
                    f"image {self.key}: its `read` returned {data!r:.60}, not the bytes of a file"
                )
            return reader(bytes(data))
        except SampleError:
            raise
        except Exception as error:  # decoders raise almost anything for damaged data
            raise SampleError(
                f"image {printable(self.key, lines=False)}: {_fault(error)}"
            ) from error


def _raise(error: Exception) -> bytes:
    raise error


def _fault(error: Exception) -> str:
    """The message of an error, without the path and buffer that Pillow and the system add."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
