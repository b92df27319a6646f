"""Turn errors of a full or missing disk into one message."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rftcore.errors import RunError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a full or lost disk makes of a writer into a `RunError`."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}. What was complete is kept: "
            "once it can be, continue with --resume"
        ) from error


def storage_fault(error: BaseException, folder: Path) -> str:
    """Why a file could not be written in `folder`, if that is what `error` comes from, else "".

    Writers of tensors raise errors of their own for a full disk, without a number.
    """
    seen: BaseException | None = error
    while seen is not None:
        if reason := _storage_fault(seen, folder):
            return reason
        seen = seen.__cause__ or seen.__context__
    return ""


def _storage_fault(error: BaseException, folder: Path) -> str:
    number = error.errno if isinstance(error, OSError) else _number_in(str(error))
    file = error.filename if isinstance(error, OSError) else None
    if file is not None and not Path(str(file)).is_relative_to(folder):
        return ""  # a file of a plugin's or a dataset's
    if number is not None and number in _STORAGE_ERRORS:
        return os.strerror(number)
    if any(mark in str(error) for mark in _TORCH_WRITER):
        full = _free_bytes(folder) < NEARLY_FULL
        return os.strerror(errno.ENOSPC) if full else f"torch could not write a file ({error})"
    return ""


def _number_in(text: str) -> int:
    """The system's error number in a message of safetensors', or 0."""
    found = re.search(r"\bcode: (\d+)|\bos error (\d+)", text)
    return int(found[1] or found[2]) if found else 0


_STORAGE_ERRORS = tuple(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ESTALE", "EACCES", "EPERM")
)
_TORCH_WRITER = ("inline_container", "PytorchStreamWriter", "unexpected pos", "iostream error")
NEARLY_FULL = 64 * 2**20  # bytes


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0  # the folder was deleted
