"""A folder of drawn images: the file of each, and drawing of those that are missing."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from rftcore.cache import cache_folder
from rftcore.distributed import cores
from rftcore.images.files import is_png, sweep, write
from rftcore.images.image import Image

FEW = 16  # not worth starting workers for

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class ImageCache(Generic[Thing]):
    """A folder of PNG files, one per thing that `draw` can draw.

    `folder` is its name in the cache folder; a `directory` is used as it is instead.
    `content` returns, as text, everything that determines the pixels: if the text changes, for
    example a version in it, the image is drawn again. `draw` returns the bytes of a PNG, and
    `in_worker` runs once in each worker process, before its first image. Workers and pickled
    samples need functions of an importable module, or partials of such; other functions are
    called in this process. With `by_code`, the code of the module of `draw`, without comments,
    is part of the content: useful while you write a task, wasteful if drawing is slow.
    """

    folder: str
    content: Callable[[Thing], str]
    draw: Callable[[Thing], bytes]
    in_worker: Callable[[], object] | None = None
    directory: Path | None = None
    by_code: bool = False
    _code: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        if self.by_code:  # now, not at the first image: the file may be edited meanwhile
            object.__setattr__(self, "_code", _syntax(self.draw))

    def path(self, thing: Thing) -> Path:
        """The file of an image, drawn or not: `k[:2]/k.png` with k the hash of its content."""
        key = self._key(thing)
        return self._place() / key[:2] / f"{key}.png"

    def get(self, thing: Thing) -> Path:
        """The file of an image, drawn now if it is absent or broken.

        Raises: DataError if `draw` does not return a PNG, CacheError if the file cannot be
        written, and whatever `draw` raises.
        """
        path = self.path(thing)
        if not is_png(path):
            write(path, self.draw(thing))
        return path

    def image(self, thing: Thing) -> Image:
        """The image for a `Sample`, drawn on access; its key is the hash of its content."""
        return Image(self._key(thing), partial(self._read, thing), self.path(thing))

    def draw_all(
        self, things: Sequence[Thing], label: str = "drawing", *, workers: int | None = None
    ) -> list[Path]:
        """The files of all images, in order; only missing ones are drawn.

        `label` is shown with the progress. `workers`: processes to start (default: one per
        core; 0 or 1: none). A killed call keeps finished images; the next call continues.
        Raises: DataError when a worker dies, and whatever `draw` raises.
        """
        paths = [self.path(thing) for thing in things]
        wanted = dict(zip(paths, things, strict=True))
        missing = [(path, thing) for path, thing in wanted.items() if not is_png(path)]
        if missing:
            sweep(self._place())
            self._draw(missing, label, cores() if workers is None else workers)
        return paths

    def _draw(self, jobs: Sequence[tuple[Path, Thing]], label: str, workers: int) -> None:
        from rftcore.progress import Bar

        with Bar(len(jobs), label, "image") as bar:
            if workers > 1 and len(jobs) > FEW and _is_importable(self.draw):
                from rftcore.images.workers import draw_in_processes  # slow to import

                draw_in_processes(self.draw, jobs, workers, self.in_worker, bar.update)
                return
            for path, thing in jobs:
                write(path, self.draw(thing))
                bar.update()

    def _key(self, thing: Thing) -> str:
        return hashlib.sha256((self.content(thing) + self._code).encode()).hexdigest()

    def _place(self) -> Path:
        return self.directory or cache_folder(self.folder)

    def _read(self, thing: Thing) -> bytes:
        return self.get(thing).read_bytes()


def _syntax(draw: Any) -> str:
    """A hash of the code of a function's module, independent of layout and comments."""
    try:
        source = Path(_function(draw).__code__.co_filename).read_bytes()
    except (AttributeError, OSError):  # compiled or interactive: no file to read
        return ""
    return hashlib.sha256(ast.dump(ast.parse(source)).encode()).hexdigest()


def _function(draw: Any) -> Any:
    while isinstance(draw, partial):
        draw = draw.func
    return draw


def _is_importable(draw: Any) -> bool:
    """Whether a new process can import the function: not a lambda, not in a task's bare file."""
    draw = _function(draw)
    module = (getattr(draw, "__module__", None) or "builtins").partition(".")[0]
    known = module == "__main__" or any(f.find_spec(module, None) for f in sys.meta_path)
    return known and "<" not in getattr(draw, "__qualname__", "")
