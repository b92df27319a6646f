"""Scenes, questions and pictures by split and index.

    (dataset seed, split, index) -> scene and question -> answer, reasoning, picture

Each arrow is a pure function, so nothing is stored but rendered pictures. A
scene's seed spells out dataset seed, split and the scene's number in it, so
two splits never share a scene.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from random import Random

from rft_scenes import ImageCache, RenderError, RenderSettings, Scene, SceneError, sample_scene

from rft_counting.language import describe
from rft_counting.programs import FAMILIES, Family, answer, draw, question
from rft_counting.reasoning import reasoning
from rftcore.errors import DataError, RecipeError, closest
from rftcore.types import Image, Sample

VERSION = 5  # of the generator: bump it when any sample changes
MOST_OBJECTS = 10  # that a readable picture holds; with MOST_ADDED, answers end at 20
LARGEST_SPLIT = 2**32
_STREAM = {"sft": 0, "rl": 1, "val": 2, "test": 3, "ood-vehicles": 4}
# Questions about one picture, as in CLEVR-Math, where rendering would otherwise take longer than
# training. Evaluation asks one, so that its samples are independent, as an interval assumes.
_PER_SCENE = {"sft": 2, "rl": 4}


@dataclass(frozen=True)
class CountingScenes:
    """Counting questions about generated scenes; "ood-vehicles" shows vehicles, the rest shapes.

    `sizes` holds (split, number of samples) pairs. Every split asks each family equally
    often. Scenes of `sft` stop at `sft_objects_high` objects, or at `objects_low` if that is
    more; a share `sft_fuller` of them, evenly spread, goes on to `objects_high`.
    Raises: RecipeError for options out of range.
    """

    objects_low: int
    objects_high: int
    seed: int
    sizes: tuple[tuple[str, int], ...]
    sft_objects_high: int
    sft_fuller: float
    settings: RenderSettings = field(default_factory=RenderSettings)

    def __post_init__(self) -> None:
        _check_integers(
            {
                "objects_low": self.objects_low,
                "objects_high": self.objects_high,
                "sft_objects_high": self.sft_objects_high,
                "seed": self.seed,
                **{_option(split): size for split, size in self.sizes},
            }
        )
        if not 1 <= self.objects_low <= self.objects_high <= MOST_OBJECTS:
            raise RecipeError(
                f"objects_low={self.objects_low}, objects_high={self.objects_high}: a scene "
                f"needs 1 <= objects_low <= objects_high <= {MOST_OBJECTS}"
            )
        if self.seed < 0:
            raise RecipeError(f"seed={self.seed}: use 0 or more")
        for split, size in self.sizes:
            if not 1 <= size <= LARGEST_SPLIT:
                raise RecipeError(f"{_option(split)}={size}: a split has 1 to {LARGEST_SPLIT}")
        if self.sft_objects_high < 1:
            raise RecipeError(f"sft_objects_high={self.sft_objects_high}: use 1 or more")
        if not 0.0 <= self.sft_fuller <= 1.0:
            raise RecipeError(f"sft_fuller={self.sft_fuller}: a share is 0 to 1")

    @property
    def splits(self) -> tuple[str, ...]:
        """The standard splits, and the vehicles."""
        return tuple(split for split, _ in self.sizes)

    def size(self, split: str) -> int:
        """How many samples `split` has. Raises DataError for an unknown split."""
        sizes = dict(self.sizes)
        if split not in sizes:
            raise DataError(
                f"counting has no split {split!r}.{closest(split, sizes)} "
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
        scenes = [self.scene(split, index) for index in indices]
        try:
            ImageCache().render_all(scenes, self.settings, label=f"rendering counting/{split}")
        except RenderError as error:
            raise DataError(str(error)) from error

    def scene(self, split: str, index: int) -> Scene:
        """The scene a sample asks about. Raises DataError if the floor has no room for it."""
        return _scene(self, split, index // _PER_SCENE.get(split, 1))

    def objects_between(self, split: str, number: int) -> tuple[int, int]:
        """Fewest and most objects of a split's scene `number`."""
        low, high = self.objects_low, self.objects_high
        few = max(low, self.sft_objects_high)
        if split != "sft" or few >= high:
            return low, high
        before, after = (int(at * self.sft_fuller) for at in (number, number + 1))
        if before == after:
            return low, few
        objects = few + 1 + before % (high - few)  # in turn: so few leave nothing to chance
        return objects, objects

    def _scene_seed(self, split: str, number: int) -> int:
        """Injective: number < 2**32 and the stream below 2**8 keep to their own bits."""
        return ((self.seed * 256 + VERSION) * 256 + _STREAM[split]) * LARGEST_SPLIT + number

    def _rng(self, purpose: str, split: str, index: int) -> Random:
        key = f"rft-counting|{VERSION}|{self.seed}|{split}|{index}|{purpose}"
        return Random(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"))


# A trainer prepares a split, checks it and reads its rows: each sample is made once for all three.
_remember = lru_cache(maxsize=8192)


@_remember
def _scene(dataset: CountingScenes, split: str, number: int) -> Scene:
    low, high = dataset.objects_between(split, number)
    share = dataset._rng("objects", split, number).random()
    try:
        return sample_scene(
            dataset._scene_seed(split, number),
            world="vehicles" if split == "ood-vehicles" else "shapes",
            objects=low + int(share * (high - low + 1)),
        )
    except SceneError as error:
        raise DataError(f"counting/{split} scene {number}: {error}") from error


@_remember
def _sample(dataset: CountingScenes, split: str, index: int) -> Sample:
    scene = dataset.scene(split, index)
    rng = dataset._rng("question", split, index)
    things = scene.objects
    program = draw(_family(index), things, rng)
    return Sample(
        id=f"counting-{split}-{index}",
        question=question(program, rng),
        gold=str(answer(program, things)),
        images=(_image(scene, dataset.settings),),
        cot=reasoning(program, things),
        meta={
            "family": program.family,
            "program": program.to_dict(),
            "objects": tuple(describe(thing) for thing in things),
        },
        origin=_origin(split, index),
    )


def _family(index: int) -> Family:
    """Each family once in four, turned by one each time: a scene's parity fixes nothing."""
    block, place = divmod(index, len(FAMILIES))
    return FAMILIES[(block + place) % len(FAMILIES)]


def _image(scene: Scene, settings: RenderSettings) -> Image:
    key = ImageCache().path(scene, settings).stem  # what it shows, not where it lies
    return Image(key=key, read=partial(_read, scene, settings))


def _read(scene: Scene, settings: RenderSettings) -> bytes:
    return ImageCache().get(scene, settings).read_bytes()


def _origin(split: str, index: int) -> str:
    return f"counting/{split} sample {index}"


def _option(split: str) -> str:
    return "ood" if split == "ood-vehicles" else split


def _check_integers(options: dict[str, int]) -> None:
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise RecipeError(f"{name}={value!r} ({type(value).__name__}): use a whole number")
