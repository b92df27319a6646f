"""Pictures on disk, found by what they show.

A picture's name is the hash of everything that decides its pixels, so a second
run renders nothing and a stale picture is never served. Files appear whole or
not at all: each is written beside its place and moved there.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rft_scenes import scene as scenes
from rft_scenes.pictures import Job, draw, is_png, sweep
from rft_scenes.rendering import DEFAULT, RenderSettings, revision
from rft_scenes.scene import Scene

FEW = 16  # not worth starting workers for


class ImageCache:
    """A folder of PNG files, one per scene and setting.

    Without a directory: `$RFT_CACHE`, or the user's cache folder for rft, and
    `scenes` below it. A given directory is used as it is.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = _default_directory() if directory is None else Path(directory)

    def path(self, scene: Scene, settings: RenderSettings = DEFAULT) -> Path:
        """Where the picture is or will be; renders nothing.

        key = SHA-256 of (generator version, scene, width, height, samples, revisions if any)
        """
        content = [
            scenes.GENERATOR_VERSION,
            scene.digest(),
            settings.width,
            settings.height,
            settings.samples,
            *revision(scene),
        ]
        key = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return self.directory / key[:2] / f"{key}.png"

    def get(self, scene: Scene, settings: RenderSettings = DEFAULT) -> Path:
        """The picture's file, rendered now if it is absent or broken."""
        path = self.path(scene, settings)
        if not is_png(path):
            draw((scene, path), settings)
        return path

    def render_all(
        self,
        scenes: Sequence[Scene],
        settings: RenderSettings = DEFAULT,
        *,
        workers: int | None = None,
        progress: bool = True,
        label: str = "rendering",
    ) -> list[Path]:
        """Every scene's picture, in order; what is there already is not rendered again.

        `workers`: processes to start (default: one per core; 0 or 1: none).
        A killed call keeps what it finished; the next one continues from there.
        Raises: RenderError when a worker dies.
        """
        paths = [self.path(scene, settings) for scene in scenes]
        wanted = dict(zip(paths, scenes, strict=True))
        missing = [(scene, path) for path, scene in wanted.items() if not is_png(path)]
        if missing:
            sweep(self.directory)
            with _Meter(len(missing), label, shown=progress) as meter:
                _draw_all(missing, settings, _workers(workers), meter.add)
        return paths


def _default_directory() -> Path:
    import platformdirs

    return Path(os.environ.get("RFT_CACHE") or platformdirs.user_cache_dir("rft")) / "scenes"


def _workers(asked: int | None) -> int:
    if asked is not None:
        return max(1, asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _draw_all(
    jobs: Sequence[Job], settings: RenderSettings, workers: int, done: Callable[[int], None]
) -> None:
    if workers > 1 and len(jobs) > FEW:
        from rft_scenes.workers import draw_in_processes  # multiprocessing is slow to import

        draw_in_processes(jobs, settings, workers, done)
        return
    for job in jobs:
        draw(job, settings)
        done(1)


class _Meter:
    """A bar on a terminal, a line every tenth elsewhere."""

    def __init__(self, total: int, label: str, *, shown: bool) -> None:
        self.total, self.label, self.done = total, label, 0
        self.plain = shown and not sys.stderr.isatty()
        self.started = time.monotonic()
        from tqdm import tqdm

        self.bar = tqdm(
            total=total, desc=label, unit="image", disable=self.plain or not shown, leave=True
        )

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def add(self, count: int) -> None:
        before, self.done = self.done, self.done + count
        self.bar.update(count)
        if self.plain and before * 10 // self.total < self.done * 10 // self.total:
            left = (time.monotonic() - self.started) / self.done * (self.total - self.done)
            sys.stderr.write(f"{self.label}: {self.done}/{self.total}, {left:.0f} s left\n")
