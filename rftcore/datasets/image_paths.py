"""Paths of images in rows: they stay inside their folder, and are read lazily."""

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar
from urllib.parse import unquote

from rftcore.errors import SampleError
from rftcore.images import Image

T = TypeVar("T")


@dataclass(frozen=True)
class RowImage(Image):
    """An image whose errors name its row, `origin`."""

    origin: str = field(default="", compare=False)

    def _by(self, reader: Callable[[bytes], T]) -> T:
        try:
            return super()._by(reader)
        except Exception as error:  # decoders raise almost anything for corrupt bytes
            raise SampleError(str(error), origin=self.origin) from error


def is_outside(name: str) -> bool:
    """Whether a path is absolute or contains "..", by the rules of any operating system."""
    if not (name.startswith("/") or any(mark in name for mark in ("..", "\\", ":"))):
        return False  # most names: a fast path
    windows = PureWindowsPath(name)  # handles drives and both slashes
    outside = windows.drive or windows.root or PurePosixPath(name).is_absolute()
    return bool(outside) or ".." in windows.parts


def links_out(path: Path, folder: Path) -> bool:
    """Whether `path`, with links resolved, is outside `folder`.

    Parents are resolved once: a dataset has many images in few folders.
    """
    parent = _real(path.parent.absolute())
    real = _real(path) if path.is_symlink() else parent / path.name
    return not real.is_relative_to(_real(folder.absolute()))


@lru_cache(maxsize=4096)
def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))  # Path.resolve raises for a link to itself


def similar_name(path: Path, folder: Path) -> str:
    """The name in `folder` of a file whose path differs from `path` only in spelling; else "".

    That is, in case, Unicode normalization, outer spaces, "\\" for "/" or %20 for a space.
    """
    name = path.relative_to(folder).as_posix()
    for spelled in dict.fromkeys((name, name.replace("\\", "/"), unquote(name))):
        found = folder
        for part in spelled.split("/"):
            exact = found / part
            found = exact if os.path.lexists(exact) else found / _names(found).get(_bare(part), "?")
        if found != path and found.is_file():
            return found.relative_to(folder).as_posix()
    return ""


@lru_cache(maxsize=64)
def _names(folder: Path) -> dict[str, str]:
    """The names in a folder, by their normalized form."""
    try:
        return {_bare(path.name): path.name for path in folder.iterdir()}
    except OSError:
        return {}


def _bare(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()
