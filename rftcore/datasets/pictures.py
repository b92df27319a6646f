"""Paths of images as rows give them: inside their folder, and lazy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from rftcore.decoding import Decoded
from rftcore.errors import SampleError
from rftcore.types import Image

T = TypeVar("T")


@dataclass(frozen=True)
class RowImage(Image):
    """An image whose faults name its row."""

    origin: str = field(default="", compare=False)

    def decode(self) -> Decoded:
        """As `Image.decode`. Raises `SampleError` naming the row if that fails."""
        return self._named(super().decode)

    def size(self) -> tuple[int, int]:
        """As `Image.size`. Raises `SampleError` naming the row if that fails."""
        return self._named(super().size)

    def _named(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except Exception as error:  # decoders raise whatever they like on corrupt bytes
            raise SampleError(f"{self.origin}: {error}") from error


def leaves(name: str) -> bool:
    """Whether a path is absolute or climbs with "..", by the rules of any system."""
    if not (name.startswith("/") or any(mark in name for mark in ("..", "\\", ":"))):
        return False  # most names, and this is asked of every one
    windows = PureWindowsPath(name)  # knows drives and both slashes
    outside = windows.drive or windows.root or PurePosixPath(name).is_absolute()
    return bool(outside) or ".." in windows.parts


def links_out(path: Path, folder: Path) -> bool:
    """Whether a link on the way to `path` leads out of `folder`.

    Looks at most parents once: a dataset has many pictures in few of them.
    """
    parent = _real(path.parent.absolute())
    real = path.resolve() if path.is_symlink() else parent / path.name
    return not real.is_relative_to(_real(folder.absolute()))


@lru_cache(maxsize=4096)
def _real(folder: Path) -> Path:
    return folder.resolve()
