"""The samples: four shapes, the same with one changed, and the reasoning."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import rftcore as rft

from rft_my_task.images import (
    COLORS,
    IMAGES,
    KINDS,
    NEW_COLORS,
    SIZE,
    Shape,
)
from rft_my_task.sampling import pick

SIZES = {"sft": 800, "rl": 400, "val": 100, "test": 200, "ood-colors": 200}
QUESTION = (
    "Which shape is another one in the second image: "
    "A (top left), B (top right), C (bottom left) or D (bottom right)?"
)
LETTERS = "ABCD"
CELL = SIZE // 2  # pixels

Pair = tuple[tuple[Shape, ...], tuple[Shape, ...]]  # what the two images show


@dataclass(frozen=True, kw_only=True)
class Changes(rft.GeneratedDataset):
    """Pairs of images; "ood-colors" has colors that training never shows."""

    name = "my-task"
    version = 1  # raise it when any sample changes

    def make(self, split: str, index: int) -> rft.Sample:
        """The sample: images, question, answer, and the reasoning that SFT teaches."""
        before, after = self.pair(split, index)
        return rft.Sample(
            id=self.id(split, index),
            question=QUESTION,
            gold=changed(before, after),
            images=(IMAGES.image(before), IMAGES.image(after)),  # in the order of the prompt
            cot=reasoning(before, after),
            origin=self.origin(split, index),
        )

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw these images now, on all cores, with a progress bar. Optional."""
        shown = [shapes for at in indices for shapes in self.pair(split, at)]
        IMAGES.draw_all(shown, f"drawing {split}")

    def pair(self, split: str, index: int) -> Pair:
        """What the images show: A, B, C and D. Each letter is changed equally often."""
        rng = self.rng("shapes", split, index)
        colors = [*COLORS, *NEW_COLORS] if split == "ood-colors" else list(COLORS)
        before = [place(rng, cell, colors) for cell in range(len(LETTERS))]
        after = list(before)
        at = pick(rng, range(len(LETTERS)))
        after[at] = other(rng, before[at], colors)
        return tuple(before), tuple(after)


def place(rng: Random, cell: int, colors: Sequence[str]) -> Shape:
    """Any shape, somewhere in its quarter of the image."""
    row, column = divmod(cell, 2)
    x, y = (CELL * at + CELL // 2 + pick(rng, range(-8, 9)) for at in (column, row))
    return Shape(pick(rng, KINDS), pick(rng, colors), x, y, radius=pick(rng, range(16, 23)))


def other(rng: Random, shape: Shape, colors: Sequence[str]) -> Shape:
    """A shape in the same place, of another kind or of another color."""
    if rng.random() < 0.5:
        return shape._replace(kind=pick(rng, [kind for kind in KINDS if kind != shape.kind]))
    return shape._replace(color=pick(rng, [color for color in colors if color != shape.color]))


def changed(before: Sequence[Shape], after: Sequence[Shape]) -> str:
    """The answer."""
    [letter] = [a for a, old, new in zip(LETTERS, before, after, strict=True) if old != new]
    return letter


def reasoning(before: Sequence[Shape], after: Sequence[Shape]) -> str:
    """Small steps, as a person would compare: each place, before and after."""
    places = zip(LETTERS, before, after, strict=True)
    steps = [f"{a} {old}, {'same' if old == new else f'now {new}'}." for a, old, new in places]
    return f"{' '.join(steps)} So {changed(before, after)}."
