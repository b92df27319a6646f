"""`rft data time`: time making images and reading them again, and the rows of a trainer."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from rftcore.cli.making import recipe_and_task
from rftcore.splits import RL

if TYPE_CHECKING:
    from rftcore.datasets.slices import Slice
    from rftcore.types import Task


@click.command("time", short_help="Time making and reading images and rows.")
@click.option("--task", required=True, help="The task whose samples to read; see `rft tasks list`.")
@click.option("--split", default=RL, show_default=True, help="The split to read.")
@click.option("--count", default=64, show_default=True, type=click.IntRange(1))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
def time_(task: str, split: str, count: int, settings: tuple[str, ...]) -> None:
    """Time making images and reading them again, and the rows that a trainer reads.

    Uses a temporary cache, which is empty at first and deleted at the end.

    \b
    Example:
      rft data time --task counting --count 200
    """
    from rftcore.datasets.slices import take

    with _empty_cache():
        _, made = recipe_and_task(("--task", {"task": task}), settings=settings)
        part = take(made, split, count)
        images = len({image.key for sample in part for image in sample.images})
        click.echo(f"{made.name}, split {split}: {len(part)} samples, {images} images")
        for name, number, seconds in _timings(made, part, images):
            pace = number / seconds if seconds else float("inf")
            click.echo(
                f"{name:<24}{pace:>12.1f} per second{seconds / number * 1000:>11.3f} ms each"
            )


@contextmanager
def _empty_cache() -> Iterator[None]:
    """An empty cache folder for the block."""
    before = os.environ.get("RFT_CACHE")
    with tempfile.TemporaryDirectory(prefix="rft-time-") as folder:
        os.environ["RFT_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["RFT_CACHE"]
            if before is not None:
                os.environ["RFT_CACHE"] = before


def _timings(task: "Task", part: "Slice", images: int) -> Iterator[tuple[str, int, float]]:
    """What was done, how many times, and the seconds it took."""
    from rftcore.training.rows import Rows

    if images:
        yield "images, first time", images, _seconds(lambda: _open(part))
        yield "images, again", images, _seconds(lambda: _open(part))
    rows = Rows(part, task.prompt)
    yield "rows for training", len(part), _seconds(lambda: [rows[at] for at in range(len(part))])
    last = len(part) - 1
    yield "the same row again", 1000, _seconds(lambda: [rows[last] for _ in range(1000)])


def _open(part: "Slice") -> None:
    """Make missing images and decode each image once."""
    part.prepare()
    images = {image.key: image for sample in part for image in sample.images}
    for image in images.values():
        image.open()


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
