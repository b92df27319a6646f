"""The folder for files that can be made again: images, and models built on first use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rftcore.errors import CacheError

VARIABLE = "RFT_CACHE"


def cache_folder(name: str = "") -> Path:
    """`name` in `$RFT_CACHE`, or in the user's cache folder for rft; it need not exist yet."""
    import platformdirs

    return Path(os.environ.get(VARIABLE) or platformdirs.user_cache_dir("rft")) / name


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Around reading and writing `path`: a fault of the disk becomes a message with the path.

    Raises: CacheError for an OSError, or one of a library in Rust, such as safetensors; it names
    RFT_CACHE if the path is in the cache folder.
    """
    try:
        yield
    except CacheError:
        raise
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
        elif number:
            reason = os.strerror(int(number[1]))
        else:
            raise
        raise CacheError(f"{path}: {reason}{hint(path)}") from error


def hint(path: str | Path) -> str:
    """How to move the cache folder, for the end of a message on a path in it; else ""."""
    if not Path(path).absolute().is_relative_to(cache_folder().absolute()):
        return ""
    now = f"{VARIABLE}={os.environ[VARIABLE]}" if os.environ.get(VARIABLE) else "it is not set"
    return (
        f". That is in rft's cache folder: set {VARIABLE} to a folder that can be written and has "
        f"room ({now})"
    )
