"""Pictures on disk, found by what they show.

A picture's name is the hash of everything that decides its pixels, so a second
run draws nothing and a stale picture is never served. Files appear whole or
not at all: each is written beside its place and moved there.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rft_structure.drawing import VERSION, draw
from rft_structure.layout import Drawing
from rftcore.bars import Bar

PNG = b"\x89PNG\r\n\x1a\n"
FEW = 32  # not worth starting workers for
STALE_AFTER_S = 600.0  # a temporary file this old has lost its writer

Job = tuple[Drawing, Path]


class FigureCache:
    """A folder of PNG files, one per drawing.

    Without a directory: `$RFT_CACHE`, or the user's cache folder for rft, and
    `figures` below it. A given directory is used as it is.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = _default_directory() if directory is None else Path(directory)

    def path(self, drawing: Drawing) -> Path:
        """Where the picture is or will be; draws nothing.

        key = SHA-256 of (version of the pen, drawing with its size)
        """
        key = hashlib.sha256(f"{VERSION}|{drawing.digest()}".encode()).hexdigest()
        return self.directory / key[:2] / f"{key}.png"

    def get(self, drawing: Drawing) -> Path:
        """The picture's file, drawn now if it is absent or broken."""
        path = self.path(drawing)
        if not is_png(path):
            write((drawing, path))
        return path

    def draw_all(
        self, drawings: Sequence[Drawing], *, workers: int | None = None, label: str = "drawing"
    ) -> list[Path]:
        """Every picture, in order; what is there already is not drawn again.

        `workers`: processes to start (default: one per core; 0 or 1: none).
        A killed call keeps what it finished; the next one continues from there.
        Raises: DataError when a worker dies.
        """
        paths = [self.path(drawing) for drawing in drawings]
        wanted = dict(zip(paths, drawings, strict=True))
        missing = [(drawing, path) for path, drawing in wanted.items() if not is_png(path)]
        if missing:
            _sweep(self.directory)
            with Bar(len(missing), label, "picture") as bar:
                _draw_all(missing, _workers(workers), bar.update)
        return paths


def write(job: Job) -> None:
    """Draw one picture into its file: all of it or nothing, whoever else writes the same."""
    drawing, path = job
    data = draw(drawing)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def is_png(path: Path) -> bool:
    """Whether a file is there and begins as a PNG does; a cut-off one is empty."""
    try:
        with path.open("rb") as file:
            return file.read(len(PNG)) == PNG
    except FileNotFoundError:
        return False


def _default_directory() -> Path:
    import platformdirs

    return Path(os.environ.get("RFT_CACHE") or platformdirs.user_cache_dir("rft")) / "figures"


def _workers(asked: int | None) -> int:
    if asked is not None:
        return max(1, asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _draw_all(jobs: Sequence[Job], workers: int, done: Callable[[int], None]) -> None:
    if workers > 1 and len(jobs) > FEW:
        from rft_structure.workers import write_in_processes  # multiprocessing is slow to import

        write_in_processes(jobs, workers, done)
        return
    for job in jobs:
        write(job)
        done(1)


def _sweep(directory: Path) -> None:
    """Remove what killed writers left; a living writer's file is young."""
    for left in directory.glob("??/.*.tmp"):
        try:
            if time.time() - left.stat().st_mtime > STALE_AFTER_S:
                left.unlink()
        except FileNotFoundError:  # another process swept it
            continue
