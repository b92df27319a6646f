"""Image files: written atomically, and checked when they are read."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from rftcore.cache import keeping
from rftcore.errors import DataError

PNG = b"\x89PNG\r\n\x1a\n"
STALE_AFTER_S = 600.0  # older temporary files are left over from a killed process


def is_png(path: Path) -> bool:
    """Whether a file exists and begins as a PNG does; a cut-off file is empty.

    Raises: CacheError if it cannot be read.
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
    """Write a file atomically, also if other processes write the same image.

    Raises: DataError if `data` is not a PNG, since it would be drawn again forever, CacheError
    if the file cannot be written.
    """
    if not data.startswith(PNG):
        raise DataError(f"image {path.name}: `draw` must return a PNG, got bytes {data[:8]!r}...")
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
    """Remove temporary files of killed processes; those of running ones are recent."""
    for left in directory.glob("??/.*.tmp"):
        try:
            if time.time() - left.stat().st_mtime > STALE_AFTER_S:
                left.unlink()
        except OSError:  # removed by another process, or a read-only folder
            continue
