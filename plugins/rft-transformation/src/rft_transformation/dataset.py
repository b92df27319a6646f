"""Two images, a list of objects, and the calls between them, by split and index.

    (dataset seed, split, index) -> start -> change -> question, gold, reasoning, images

Each arrow is a pure function, so only rendered images are stored. The splits
differ only in their seeds and, for `ood-left` and `ood-right`, in the camera
of the second image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rft_scenes import RenderSettings, Scene, SceneError, scene_images
from rft_scenes.sampling import View

from rft_transformation.generator import Change, Start, draw_change, draw_start
from rft_transformation.language import MOST_CALLS, MOST_OBJECTS, question
from rft_transformation.reasoning import reasoning
from rft_transformation.state import to_plain
from rftcore.datasets.generated import GeneratedDataset, remember
from rftcore.errors import DataError, Fault, RecipeError
from rftcore.types import Sample

# Of the second image; "centre" in the other splits.
_VIEW: dict[str, View] = {"ood-left": "left", "ood-right": "right"}
# Second images per first image, which saves rendering, in the training splits. In the others one,
# so that samples are independent, as intervals assume.
_PER_START = {"sft": 2, "rl": 4}


@dataclass(frozen=True, kw_only=True)
class TransformationScenes(GeneratedDataset):
    """Samples that ask what changed between two images of a scene.

    Every number of calls from `calls_low` to `calls_high` is equally frequent in every split.
    Raises: RecipeError for options out of range.
    """

    name = "transformation"
    version = 1  # increase it when any sample changes

    objects_low: int
    objects_high: int
    calls_low: int
    calls_high: int
    settings: RenderSettings = field(default_factory=RenderSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low, high, most in (
            ("objects", self.objects_low, self.objects_high, MOST_OBJECTS),
            ("calls", self.calls_low, self.calls_high, MOST_CALLS),
        ):
            if not 1 <= low <= high <= most:
                rule = (
                    f"a sample needs 1 <= {name}_low <= {name}_high <= {most}, and {name}_high "
                    f"is {high}"
                )
                raise RecipeError(Fault(f"{name}_low", rule, low))

    def option(self, split: str) -> str:
        """The option that sets the size of a split: `ood` for "ood-left" and "ood-right"."""
        return split.partition("-")[0]

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Render the images of these samples that are not in the cache yet."""
        scenes = [scene for index in indices for scene in self.scenes(split, index)]
        scene_images(self.settings).draw_all(scenes, f"rendering transformation/{split}")

    def scenes(self, split: str, index: int) -> tuple[Scene, Scene]:
        """The scenes of the two images of a sample."""
        start, change = self.story(split, index)
        return (
            start.scene(start.state, "centre"),
            start.scene(change.end, _VIEW.get(split, "centre")),
        )

    def story(self, split: str, index: int) -> tuple[Start, Change]:
        """The start and the change of a sample.

        Raises: DataError if none is found for the options.
        """
        try:
            return _story(self, split, index)
        except SceneError as error:
            raise DataError(f"{self.origin(split, index)}: {error}") from error

    def make(self, split: str, index: int) -> Sample:
        """The sample: start, change, both images."""
        start, change = self.story(split, index)
        plain, images = to_plain(start.state), scene_images(self.settings)
        return Sample(
            id=self.id(split, index),
            question=question(plain),
            gold=", ".join(map(repr, change.calls)),
            images=tuple(images.image(scene) for scene in self.scenes(split, index)),
            cot=reasoning(plain, change.calls),
            meta={
                "calls": len(change.calls),
                "view": _VIEW.get(split, "centre"),
                "start": plain,
                "moves": change.moves,
                "end": to_plain(change.end),
            },
            origin=self.origin(split, index),
        )


@remember
def _start(dataset: TransformationScenes, split: str, number: int) -> Start:
    rng = dataset.rng("start", split, number)
    low, high = dataset.objects_low, dataset.objects_high
    count = low + int(rng.random() * (high - low + 1))
    return draw_start(rng, count, dataset.seed_for("setting", split, number))


@remember
def _story(dataset: TransformationScenes, split: str, index: int) -> tuple[Start, Change]:
    start = _start(dataset, split, index // _PER_START.get(split, 1))
    calls = dataset.calls_low + index % (dataset.calls_high - dataset.calls_low + 1)
    return start, draw_change(start, dataset.rng("change", split, index), calls)
