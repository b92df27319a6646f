"""Two pictures, a list, and the calls between them, by split and index.

    (dataset seed, split, index) -> start -> change -> question, gold, reasoning, pictures

Each arrow is a pure function, so nothing is stored but rendered pictures. The
splits differ in nothing but their seeds and, for `ood-left` and `ood-right`,
the camera of the second picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from random import Random

from rft_scenes import ImageCache, RenderError, RenderSettings, Scene, SceneError
from rft_scenes.sampling import View

from rft_transformation.generator import Change, Start, draw_change, draw_start
from rft_transformation.language import MOST_CALLS, MOST_OBJECTS, question
from rft_transformation.reasoning import reasoning
from rft_transformation.state import to_plain
from rftcore.errors import DataError, RecipeError, closest
from rftcore.types import Image, Sample

VERSION = 1  # of the generator: bump it when any sample changes
LARGEST_SPLIT = 2**32
# Of the second picture; in the other splits it is the centre.
_VIEW: dict[str, View] = {"ood-left": "left", "ood-right": "right"}
# Second pictures of one first picture, which saves rendering in what trains. Evaluation has one,
# so that its samples are independent, as an interval assumes.
_PER_START = {"sft": 2, "rl": 4}


@dataclass(frozen=True)
class TransformationScenes:
    """What changed between two pictures of a scene.

    `sizes` holds (split, number of samples) pairs. Every count of calls from `calls_low` to
    `calls_high` is equally frequent in every split.
    Raises: RecipeError for options out of range.
    """

    objects_low: int
    objects_high: int
    calls_low: int
    calls_high: int
    seed: int
    sizes: tuple[tuple[str, int], ...]
    settings: RenderSettings = field(default_factory=RenderSettings)

    def __post_init__(self) -> None:
        ranges = {
            "objects": (self.objects_low, self.objects_high, MOST_OBJECTS),
            "calls": (self.calls_low, self.calls_high, MOST_CALLS),
        }
        ends = {
            f"{name}_{end}": pair[at]
            for name, pair in ranges.items()
            for at, end in enumerate(("low", "high"))
        }
        _check_integers({**ends, "seed": self.seed, **{_option(s): n for s, n in self.sizes}})
        for name, (low, high, most) in ranges.items():
            if not 1 <= low <= high <= most:
                raise RecipeError(
                    f"{name}_low={low}, {name}_high={high}: a sample needs "
                    f"1 <= {name}_low <= {name}_high <= {most}"
                )
        if self.seed < 0:
            raise RecipeError(f"seed={self.seed}: use 0 or more")
        for split, size in self.sizes:
            if not 1 <= size <= LARGEST_SPLIT:
                raise RecipeError(f"{_option(split)}={size}: a split has 1 to {LARGEST_SPLIT}")

    @property
    def splits(self) -> tuple[str, ...]:
        """The standard splits, and the moved cameras."""
        return tuple(split for split, _ in self.sizes)

    def size(self, split: str) -> int:
        """How many samples `split` has. Raises DataError for an unknown split."""
        sizes = dict(self.sizes)
        if split not in sizes:
            raise DataError(
                f"transformation has no split {split!r}.{closest(split, sizes)} "
                f"Offered: {', '.join(sizes)}"
            )
        return sizes[split]

    def sample(self, split: str, index: int) -> Sample:
        """The same sample for the same index, on every machine and in every process."""
        size = self.size(split)
        if not 0 <= index < size:
            raise IndexError(f"split {split!r} has samples 0 to {size - 1}, not {index}")
        return _sample(self, split, index)

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Render the pictures of these samples that are not in the cache yet."""
        scenes = [scene for index in indices for scene in self.scenes(split, index)]
        try:
            ImageCache().render_all(
                scenes, self.settings, label=f"rendering transformation/{split}"
            )
        except RenderError as error:
            raise DataError(str(error)) from error

    def scenes(self, split: str, index: int) -> tuple[Scene, Scene]:
        """What the two pictures of a sample show."""
        start, change = self.story(split, index)
        return (
            start.scene(start.state, "centre"),
            start.scene(change.end, _VIEW.get(split, "centre")),
        )

    def story(self, split: str, index: int) -> tuple[Start, Change]:
        """Where a sample starts and what happens. Raises DataError if nothing fits the options."""
        try:
            return _story(self, split, index)
        except SceneError as error:
            raise DataError(f"{_origin(split, index)}: {error}") from error

    def _rng(self, purpose: str, split: str, number: int) -> Random:
        return Random(self._seed(purpose, split, number))

    def _seed(self, purpose: str, split: str, number: int) -> int:
        key = f"rft-transformation|{VERSION}|{self.seed}|{split}|{number}|{purpose}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")


# A trainer prepares a split, checks it and reads its rows: each sample is made once for all three.
_remember = lru_cache(maxsize=8192)


@_remember
def _start(dataset: TransformationScenes, split: str, number: int) -> Start:
    rng = dataset._rng("start", split, number)
    low, high = dataset.objects_low, dataset.objects_high
    count = low + int(rng.random() * (high - low + 1))
    return draw_start(rng, count, dataset._seed("setting", split, number))


@_remember
def _story(dataset: TransformationScenes, split: str, index: int) -> tuple[Start, Change]:
    start = _start(dataset, split, index // _PER_START.get(split, 1))
    calls = dataset.calls_low + index % (dataset.calls_high - dataset.calls_low + 1)
    return start, draw_change(start, dataset._rng("change", split, index), calls)


@_remember
def _sample(dataset: TransformationScenes, split: str, index: int) -> Sample:
    start, change = dataset.story(split, index)
    plain = to_plain(start.state)
    return Sample(
        id=f"transformation-{split}-{index}",
        question=question(plain),
        gold=", ".join(map(repr, change.calls)),
        images=tuple(_images(dataset.scenes(split, index), dataset.settings)),
        cot=reasoning(plain, change.calls),
        meta={
            "calls": len(change.calls),
            "view": _VIEW.get(split, "centre"),
            "start": plain,
            "moves": change.moves,
            "end": to_plain(change.end),
        },
        origin=_origin(split, index),
    )


def _images(scenes: Sequence[Scene], settings: RenderSettings) -> Iterator[Image]:
    for scene in scenes:
        key = ImageCache().path(scene, settings).stem  # what it shows, not where it lies
        yield Image(key=key, read=partial(_read, scene, settings))


def _read(scene: Scene, settings: RenderSettings) -> bytes:
    return ImageCache().get(scene, settings).read_bytes()


def _origin(split: str, index: int) -> str:
    return f"transformation/{split} sample {index}"


def _option(split: str) -> str:
    return split.replace("-", "_")


def _check_integers(options: dict[str, int]) -> None:
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise RecipeError(f"{name}={value!r} ({type(value).__name__}): use a whole number")
