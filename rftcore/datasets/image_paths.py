"""Paths of images as rows give them: inside their folder, and lazy."""

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
    """An image whose faults name its row."""

    origin: str = field(default="", compare=False)

    def _by(self, reader: Callable[[bytes], T]) -> T:
        try:
            return super()._by(reader)
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
    real = _real(path) if path.is_symlink() else parent / path.name
    return not real.is_relative_to(_real(folder.absolute()))


@lru_cache(maxsize=4096)
def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))  # `resolve` raises for a link to itself


def near(path: Path, folder: Path) -> str:
    """The name in `folder` of a file whose name differs from `path`'s only in spelling; else "".

    In case, in the encoding of accents, in outer spaces, in "\\" for "/" or in %20 for a space.
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
    """What is in a folder, by bare name."""
    try:
        return {_bare(path.name): path.name for path in folder.iterdir()}
    except OSError:
        return {}


def _bare(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()
