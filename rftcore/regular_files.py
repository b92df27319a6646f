"""Files that a row or a setting names: read only if they are regular, and within their folder.

Reading a pipe waits for a writer and a device may have no end. What a name leads to can change
between two reads, so it is looked up each time and never kept.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_SPECIAL = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
_SPECIAL |= dict.fromkeys((stat.S_ISCHR, stat.S_ISBLK), "a device")


def special(path: Path) -> str:
    """ "a pipe", "a device" or "a socket", which reading could wait for without an end; else "".

    Raises: OSError if there is no such file.
    """
    return _special(path.stat().st_mode)


def opened(path: Path) -> BinaryIO:
    """A regular file, open for reading. Raises: OSError, also for a pipe, socket or device."""
    return open(path, "rb", opener=_open_regular)


def content(path: Path, within: Path | None = None) -> bytes:
    """The bytes of a regular file.

    within: a folder above it, which no link below that folder may lead out of.
    Raises: OSError, also for a pipe, socket or device, and for a link out of the folder.
    """
    if within is not None and links_out(path, within):
        raise OSError(errno.EACCES, f"it is a link out of {within}", str(path))
    with opened(path) as file:
        return file.read()


def links_out(path: Path, folder: Path) -> bool:
    """Whether `path`, which is in `folder` by its name, is elsewhere with links resolved.

    Only the part below the folder is looked at unless it has links: a dataset has many images.
    """
    place = os.fspath(folder)
    for name in path.relative_to(folder).parts:
        place = os.path.join(place, name)  # noqa: PTH118 - text is faster than Path
        if os.path.islink(place):  # noqa: PTH114
            return not _real(path).is_relative_to(_real(folder))
    return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for a link to itself


def _open_regular(path: str, flags: int) -> int:
    """`os.open` that does not wait for the writer of a pipe."""
    file = os.open(path, flags | os.O_NONBLOCK)
    if kind := _special(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", path)
    return file


def _special(mode: int) -> str:
    return next((name for is_one, name in _SPECIAL.items() if is_one(mode)), "")
