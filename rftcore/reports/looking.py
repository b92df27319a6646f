"""Find the images of a report's samples: in the files that rows name, or through the recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rftcore.completions import ScoredCompletion, ShownImage
from rftcore.config import load_recipe, read_recipe_file
from rftcore.datasets.slices import Slice, take
from rftcore.errors import RftError, SampleError, describe
from rftcore.images import Image
from rftcore.plugins import Catalogue
from rftcore.progress import Bar
from rftcore.reports.images import Album
from rftcore.reports.rows import ROLLOUTS, Row
from rftcore.runs import RunFolder
from rftcore.types import Task

MANY = 1000  # samples; fewer are read in seconds, without a bar
Key = tuple[int, int]  # of a sample as a model sees it: number of the pixel budget, of the sample


@dataclass
class Found:
    """The images of each sample, and why those of others are missing.

    sights: for each run, the number of its pixel budget. Runs with one budget see the same images.
    images: numbers in the album. missing: how often each reason applies. left_out: samples whose
    images had no room.
    """

    sights: Sequence[int] = ()
    images: dict[Key, list[int]] = field(default_factory=dict)
    missing: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


def find_images(
    runs: Sequence[RunFolder],
    rows: Sequence[tuple[int, Row]],
    catalogue: Catalogue,
    album: Album,
    *,
    progress: bool = True,
) -> Found:
    """Put the images of the rows' samples into the album, as long as there is room.

    rows: each with the number of its sample. The first samples of each split come first. A run
    whose task cannot be made has no images, which is counted and no error.
    """
    tasks = [_Task(run, catalogue) for run in runs]
    budgets = list(dict.fromkeys(repr(task.budget) for task in tasks))
    found = Found([budgets.index(repr(task.budget)) for task in tasks])
    wanted: dict[Key, Row] = {}
    for number, row in rows:
        wanted.setdefault((found.sights[row.run], number), row)
    shown = progress and len(wanted) >= MANY
    with Bar(len(wanted), "report: images", "sample", show=shown) as bar:
        for key, row in sorted(wanted.items(), key=_rank(wanted)):
            _add(found, key, row.answer, tasks[row.run], album)
            bar.update()
    return found


def _rank(wanted: Mapping[Key, Row]) -> Callable[[tuple[Key, Row]], tuple[int, Key]]:
    """The n-th samples of all splits before the next: every split has images, and rollouts too."""
    rollouts = [key for key, row in wanted.items() if row.source == ROLLOUTS]
    place = {key: at for at, key in enumerate(rollouts)}

    def rank(item: tuple[Key, Row]) -> tuple[int, Key]:
        key, row = item
        return place.get(key, row.answer.index or 0), key

    return rank


def _add(found: Found, key: Key, row: ScoredCompletion, task: _Task, album: Album) -> None:
    if album.full:
        found.left_out += 1
        return
    try:
        numbers = [album.add(image, task.budget) for image in task.images(row)]
    except RftError as error:
        found.missing[describe(error)] += 1
        return
    if None in numbers:
        found.left_out += 1
    elif numbers:
        found.images[key] = [number for number in numbers if number is not None]


class _Task:
    """A run's task, made when the first sample is read."""

    def __init__(self, run: RunFolder, catalogue: Catalogue) -> None:
        self._run, self._catalogue = run, catalogue
        self._made: Task | RftError | None = None
        self._parts: dict[str, Slice] = {}
        self.budget: Mapping[str, Any] = run.manifest().get("pixel_budget") or {}

    def images(self, row: ScoredCompletion) -> Sequence[Image]:
        """What the prompt of a row's sample shows. Raises: RftError with the reason it cannot.

        The files that the row names are read; if one is gone, or an image was in memory, the
        sample is read again.
        """
        files = [file for image in row.images if (file := _file(image)) is not None]
        if row.images and len(files) == len(row.images):
            return files
        if row.split is None or row.index is None:
            return ()
        task = self._task()
        if row.split not in self._parts:
            self._parts[row.split] = take(task, row.split)
        part = self._parts[row.split]
        if row.index >= len(part):
            raise SampleError(f"split {row.split!r} has fewer samples than when the run was made")
        sample = part[row.index]
        if (sample.id, sample.question, sample.gold) != (row.id, row.question, row.gold):
            raise SampleError(f"split {row.split!r} has changed since the run was made")
        try:
            return task.prompt(sample).images
        except Exception as error:
            raise SampleError(describe(error)) from error

    def _task(self) -> Task:
        if self._made is None:
            try:
                file = self._run.recipe_file
                recipe = load_recipe((str(file), read_recipe_file(file)))
                self._made = self._catalogue.task_of(recipe)
            except RftError as error:
                self._made = error
        if isinstance(self._made, RftError):
            raise self._made
        return self._made


def _file(image: ShownImage) -> Image | None:
    """The image in the file that a row names, if it is there."""
    if image.path is None or not Path(image.path).is_file():
        return None
    return replace(Image.from_path(image.path), key=image.key)
