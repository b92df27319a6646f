"""Scenes, questions and images by split and index.

    (dataset seed, split, index) -> scene and question -> answer, reasoning, image

Each arrow is a pure function, so only rendered images are stored. A scene's
seed contains the dataset's seed, the split and the scene's number in it, so
two splits never share a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rft_scenes import RenderSettings, Scene, SceneError, sample_scene, scene_images

from rft_counting.language import describe
from rft_counting.programs import FAMILIES, Family, answer, draw, question
from rft_counting.reasoning import reasoning, steps
from rftcore.datasets.generated import LARGEST_SPLIT, GeneratedDataset, remember
from rftcore.errors import DataError, Fault, RecipeError
from rftcore.types import Sample

VERSION = 6  # of the generator: increase it when any sample changes
MOST_OBJECTS = 10  # of a readable image; with MOST_ADDED, answers are at most 20
_STREAM = {"sft": 0, "rl": 1, "val": 2, "test": 3, "ood-vehicles": 4}
# Questions about one image, as in CLEVR-Math, in training splits, where rendering would take
# longer than training. In the others one, so that samples are independent, as intervals assume.
_PER_SCENE = {"sft": 2, "rl": 4}


@dataclass(frozen=True, kw_only=True)
class CountingScenes(GeneratedDataset):
    """Counting questions about generated scenes; "ood-vehicles" shows vehicles, the others shapes.

    Families of questions are equally frequent in every split. Scenes of `sft` have at most
    `sft_objects_high` objects, or `objects_low` if that is more; a share `sft_fuller` of them,
    evenly spread, has more, up to `objects_high`.
    Raises: RecipeError for options out of range.
    """

    name = "counting"
    version = VERSION

    objects_low: int
    objects_high: int
    sft_objects_high: int
    sft_fuller: float
    settings: RenderSettings = field(default_factory=RenderSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.objects_low <= self.objects_high <= MOST_OBJECTS:
            rule = (
                f"a scene needs 1 <= objects_low <= objects_high <= {MOST_OBJECTS}, and "
                f"objects_high is {self.objects_high}"
            )
            raise RecipeError(Fault("objects_low", rule, self.objects_low))
        if self.sft_objects_high < 1:
            raise RecipeError(Fault("sft_objects_high", "use 1 or more", self.sft_objects_high))
        if not 0.0 <= self.sft_fuller <= 1.0:
            raise RecipeError(Fault("sft_fuller", "use a share from 0 to 1", self.sft_fuller))

    def option(self, split: str) -> str:
        """The option that sets the size of a split: `ood` for "ood-vehicles"."""
        return split.partition("-")[0]

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Render the images of these samples that are not in the cache yet."""
        scenes = [self.scene(split, index) for index in indices]
        scene_images(self.settings).draw_all(scenes, f"rendering counting/{split}")

    def scene(self, split: str, index: int) -> Scene:
        """The scene of a sample.

        Raises: DataError if no arrangement of its objects is found.
        """
        return _scene(self, split, index // _PER_SCENE.get(split, 1))

    def objects_between(self, split: str, number: int) -> tuple[int, int]:
        """The least and the largest number of objects in scene `number` of a split."""
        low, high = self.objects_low, self.objects_high
        few = max(low, self.sft_objects_high)
        if split != "sft" or few >= high:
            return low, high
        before, after = (int(at * self.sft_fuller) for at in (number, number + 1))
        if before == after:
            return low, few
        objects = (
            few + 1 + before % (high - few)
        )  # in turn, not drawn: there are too few to be balanced by chance
        return objects, objects

    def _family(self, split: str, index: int) -> Family:
        """Each family once in four samples, in random order: no stride selects one family."""
        block, place = divmod(index, len(FAMILIES))
        rng = self.rng("families", split, block)
        return sorted(FAMILIES, key=lambda family: (rng.random(), family))[place]

    def _scene_seed(self, split: str, number: int) -> int:
        """A unique seed: number < 2**32 and stream < 2**8 have bits of their own."""
        return ((self.seed * 256 + VERSION) * 256 + _STREAM[split]) * LARGEST_SPLIT + number

    def make(self, split: str, index: int) -> Sample:
        """The sample: scene, program, image."""
        scene, rng = self.scene(split, index), self.rng("question", split, index)
        things = scene.objects
        program = draw(self._family(split, index), things, rng)
        return Sample(
            id=self.id(split, index),
            question=question(program, rng),
            gold=str(answer(program, things)),
            images=(scene_images(self.settings).image(scene),),
            cot=reasoning(program, things),
            meta={
                "family": program.family,
                "program": program.to_dict(),
                "objects": tuple(describe(thing) for thing in things),
                "steps": steps(program, things),
            },
            origin=self.origin(split, index),
        )


@remember
def _scene(dataset: CountingScenes, split: str, number: int) -> Scene:
    low, high = dataset.objects_between(split, number)
    share = dataset.rng("objects", split, number).random()
    try:
        return sample_scene(
            dataset._scene_seed(split, number),
            world="vehicles" if split == "ood-vehicles" else "shapes",
            objects=low + int(share * (high - low + 1)),
        )
    except SceneError as error:
        raise DataError(f"counting/{split} scene {number}: {error}") from error
