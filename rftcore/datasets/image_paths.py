"""Paths of images in rows: they stay inside their folder, and are read lazily."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar
from urllib.parse import unquote

from rftcore.errors import SampleError
from rftcore.images import Image
from rftcore.regular_files import links_out, special

T = TypeVar("T")
MOST_FOLDERS = 20  # where a missing image is searched: a dataset may have a folder per sample


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


def misplaced(path: Path, folder: Path | None) -> str:
    """Why a file may not be read: "a link out of FOLDER", "a pipe, not a file"; else "".

    folder: where it has to stay, if that matters.
    """
    if folder is not None and links_out(path, folder):
        return f"a link out of {folder}"
    try:
        kind = special(path)
    except OSError:  # reading it reports that
        return ""
    return f"{kind}, not a file" if kind else ""


def similar_hint(name: str, folder: Path) -> str:
    """A sentence on a file of `folder` that a path without a file may mean; "" if there is none.

    A path of another machine, or relative to another folder, ends with the same names or lacks
    the folder; since another image may have that name, the sentence leaves it open.
    """
    if other := next(_spelled_alike(name, folder), ""):
        return f". A file {_apart(other, name)} exists: use this name"
    if other := next(_placed_alike(name, folder), ""):
        return f". A file {_apart(other, name)} exists: if it is this image, use this name"
    return ""


def _apart(other: str, name: str) -> str:
    """A name in quotes; with escapes if accents in NFD may make it look like the missing one."""
    composed = all(unicodedata.is_normalized("NFC", each) for each in (other, name))
    return repr(other) if composed else ascii(other)


def _spelled_alike(name: str, folder: Path) -> Iterator[str]:
    """Files whose path differs only in case, normalization, outer spaces, "\\" or %20."""
    for spelled in _spellings(name):
        if ".." in spelled.split("/"):
            continue
        found = _file(spelled, folder)
        if found and found != folder / name:
            yield found.relative_to(folder).as_posix()


def _placed_alike(name: str, folder: Path) -> Iterator[str]:
    """Files whose path is the end of `name`, or is `name` within one of the first folders."""
    for spelled in _spellings(name):
        parts = [part for part in spelled.split("/") if part not in ("", ".", "..")]
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        within = [f"{below}/{'/'.join(parts)}" for below in _folders(folder) if parts]
        for other in [*ends, *within]:
            if found := _file(other, folder):
                yield found.relative_to(folder).as_posix()


def _spellings(name: str) -> list[str]:
    return [*dict.fromkeys((name, name.replace("\\", "/"), unquote(name)))]


def _file(name: str, folder: Path) -> Path | None:
    """The file `name` in `folder`, by names that are equal but for their spelling, if there is."""
    found = folder
    for part in name.split("/"):
        known = part if os.path.lexists(found / part) else _names(found).get(_bare(part))
        if known is None:
            return None
        found = found / known
    inside = os.path.isfile(found) and not links_out(found, folder)  # noqa: PTH113 - never raises
    return found if inside else None


@lru_cache(maxsize=64)
def _folders(folder: Path) -> list[str]:
    """The first folders in a folder."""
    try:
        return [path.name for path in sorted(folder.iterdir()) if path.is_dir()][:MOST_FOLDERS]
    except OSError:
        return []


@lru_cache(maxsize=64)
def _names(folder: Path) -> dict[str, str]:
    """The names in a folder, by their normalized form."""
    try:
        return {_bare(path.name): path.name for path in folder.iterdir()}
    except OSError:
        return {}


def _bare(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()
