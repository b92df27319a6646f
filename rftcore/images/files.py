"""Picture files: written whole or not at all, and known for broken when they are."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from rftcore.cache import keeping
from rftcore.errors import DataError

PNG = b"\x89PNG\r\n\x1a\n"
STALE_AFTER_S = 600.0  # a temporary file this old has lost its writer


def is_png(path: Path) -> bool:
    """Whether a file is there and begins as a PNG does; a cut-off one is empty.

    Raises: CacheError if that cannot be seen.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(PNG)) == PNG
    except FileNotFoundError:
        return False
    except OSError:
        with keeping(path):
            raise


def write(path: Path, data: bytes) -> None:
    """All of it or nothing, whoever else writes the same picture.

    Raises: DataError for bytes that are no PNG, which would be drawn again for ever, CacheError
    if the file cannot be written.
    """
    if not data.startswith(PNG):
        raise DataError(f"picture {path.name}: what was drawn is no PNG, but begins {data[:8]!r}")
    with keeping(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def sweep(directory: Path) -> None:
    """Remove what killed writers left; a living writer's file is young."""
    for left in directory.glob("??/.*.tmp"):
        try:
            if time.time() - left.stat().st_mtime > STALE_AFTER_S:
                left.unlink()
        except OSError:  # another process swept it, or the folder can only be read
            continue
