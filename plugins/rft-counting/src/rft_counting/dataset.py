"""Scenes, questions and pictures by split and index.

    (dataset seed, split, index) -> scene and question -> answer, reasoning, picture

Each arrow is a pure function, so nothing is stored but rendered pictures. A
scene's seed spells out dataset seed, split and the scene's number in it, so
two splits never share a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rft_scenes import RenderSettings, Scene, SceneError, sample_scene, scene_pictures

from rft_counting.language import describe
from rft_counting.programs import FAMILIES, Family, answer, draw, question
from rft_counting.reasoning import reasoning
from rftcore.datasets.generated import LARGEST_SPLIT, GeneratedDataset, remember
from rftcore.errors import DataError, RecipeError
from rftcore.types import Sample

VERSION = 4  # of the generator: bump it when any sample changes
MOST_OBJECTS = 10  # that a readable picture holds; with MOST_ADDED, answers end at 20
_STREAM = {"sft": 0, "rl": 1, "val": 2, "test": 3, "ood-vehicles": 4}
# Questions about one picture, as in CLEVR-Math, where rendering would otherwise take longer than
# training. Evaluation asks one, so that its samples are independent, as an interval assumes.
_PER_SCENE = {"sft": 2, "rl": 4}


@dataclass(frozen=True, kw_only=True)
class CountingScenes(GeneratedDataset):
    """Counting questions about generated scenes; "ood-vehicles" shows vehicles, the rest shapes.

    A share `sft_addition` of `sft` is addition; `rl_addition` of `rl`, and as much of it
    adversarial; their rest, and every other split, holds each family equally often. `rl` stops
    at `rl_objects_high` objects, or at `objects_low` if that is more.
    Raises: RecipeError for options out of range.
    """

    name = "counting"
    version = VERSION

    objects_low: int
    objects_high: int
    sft_addition: float
    rl_addition: float
    rl_objects_high: int
    settings: RenderSettings = field(default_factory=RenderSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.objects_low <= self.objects_high <= MOST_OBJECTS:
            raise RecipeError(
                f"objects_low={self.objects_low}, objects_high={self.objects_high}: a scene "
                f"needs 1 <= objects_low <= objects_high <= {MOST_OBJECTS}"
            )
        if self.rl_objects_high < 1:
            raise RecipeError(f"rl_objects_high={self.rl_objects_high}: use 1 or more")
        if not 0.0 <= self.sft_addition <= 1.0:
            raise RecipeError(f"sft_addition={self.sft_addition}: a share is 0 to 1")
        if not 0.0 <= self.rl_addition <= 0.5:
            raise RecipeError(
                f"rl_addition={self.rl_addition}: use 0 to 0.5; as many are adversarial"
            )

    def option(self, split: str) -> str:
        """The size of the vehicles' split is set by `ood`."""
        return split.partition("-")[0]

    def family(self, split: str, index: int) -> Family:
        """The kind of question of a sample; any prefix of a split is as balanced as the whole."""
        apart, share = self._apart(split)
        before, after = (int(at * share) for at in (index, index + 1))
        if before < after:
            return apart[before % len(apart)]
        rest = [family for family in FAMILIES if family not in apart]
        return rest[(index - before) % len(rest)]

    def _apart(self, split: str) -> tuple[Sequence[Family], float]:
        """Families with a share of their own, which they split evenly; the rest do so with theirs.

        Additions and trick questions differ in one comparison: a policy that is
        rewarded for more of either alone learns to guess it, not to compare.
        """
        if split == "sft":
            return ("addition",), self.sft_addition
        if split == "rl":
            return ("addition", "adversarial"), 2 * self.rl_addition
        return FAMILIES, 1.0

    def names_shape(self, split: str, index: int) -> bool | None:
        """Whether a question must ask for a shape, or must not; None: as it comes.

        Additions take turns, so that both forms are seen even where additions are
        few. A form that SFT never shows never occurs in rollouts, and what does not
        occur GRPO cannot find.
        """
        apart, share = self._apart(split)
        if self.family(split, index) != "addition":
            return None
        return int(index * share) // len(apart) % 2 == 1

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Render the pictures of these samples that are not in the cache yet."""
        scenes = [self.scene(split, index) for index in indices]
        scene_pictures(self.settings).draw_all(scenes, f"rendering counting/{split}")

    def scene(self, split: str, index: int) -> Scene:
        """The scene a sample asks about. Raises DataError if the floor has no room for it."""
        return _scene(self, split, index // _PER_SCENE.get(split, 1))

    def _scene_seed(self, split: str, number: int) -> int:
        """Injective: number < 2**32 and the stream below 2**8 keep to their own bits."""
        return ((self.seed * 256 + VERSION) * 256 + _STREAM[split]) * LARGEST_SPLIT + number

    def make(self, split: str, index: int) -> Sample:
        """Scene, program and picture."""
        scene, rng = self.scene(split, index), self.rng("question", split, index)
        things, names_shape = scene.objects, self.names_shape(split, index)
        program = draw(self.family(split, index), things, rng, names_shape=names_shape)
        return Sample(
            id=self.id(split, index),
            question=question(program, rng),
            gold=str(answer(program, things)),
            images=(scene_pictures(self.settings).image(scene),),
            cot=reasoning(program, things),
            meta={
                "family": program.family,
                "program": program.to_dict(),
                "objects": tuple(describe(thing) for thing in things),
            },
            origin=self.origin(split, index),
        )


@remember
def _scene(dataset: CountingScenes, split: str, number: int) -> Scene:
    low, high = dataset.objects_low, dataset.objects_high
    if split == "rl":
        high = max(low, min(high, dataset.rl_objects_high))
    share = dataset.rng("objects", split, number).random()
    try:
        return sample_scene(
            dataset._scene_seed(split, number),
            world="vehicles" if split == "ood-vehicles" else "shapes",
            objects=low + int(share * (high - low + 1)),
        )
    except SceneError as error:
        raise DataError(f"counting/{split} scene {number}: {error}") from error
