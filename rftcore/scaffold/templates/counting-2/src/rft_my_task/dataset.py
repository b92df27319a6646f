"""The samples: shapes, the same with more of them, and how many triangles are new."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import rftcore as rft

from rft_my_task.images import COLORS, IMAGES, KINDS, SIZE, Shape
from rft_my_task.sampling import pick, shuffled

SIZES = {"sft": 800, "rl": 400, "val": 100, "test": 200, "ood-crowded": 200}
QUESTION = "The second image shows more than the first. How many of its triangles are new?"
GRID = 4  # cells in a row, and rows
CELL = SIZE // GRID  # pixels
BEFORE = {"ood-crowded": range(6, 9)}  # shapes of the first image: 2 to 5, here more

Pair = tuple[tuple[Shape, ...], tuple[Shape, ...]]  # what the two images show


@dataclass(frozen=True, kw_only=True)
class NewTriangles(rft.GeneratedDataset):
    """Pairs of images with 0 to `most` new triangles, each number equally often."""

    name = "my-task"
    version = 1  # raise it when any sample changes

    most: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.most <= 6:
            raise rft.RftError(f"most={self.most}: an image has room for 1 to 6 new triangles")

    def make(self, split: str, index: int) -> rft.Sample:
        """The sample: images, question, answer, and the reasoning that SFT teaches."""
        before, after = self.pair(split, index)
        return rft.Sample(
            id=self.id(split, index),
            question=QUESTION,
            gold=str(count(before, after)),
            images=(IMAGES.image(before), IMAGES.image(after)),  # in the order of the prompt
            cot=reasoning(before, after),
            origin=self.origin(split, index),
        )

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw these images now, on all cores, with a progress bar. Optional."""
        shown = [shapes for at in indices for shapes in self.pair(split, at)]
        IMAGES.draw_all(shown, f"drawing {split}")

    def pair(self, split: str, index: int) -> Pair:
        """What the images show, each row by row."""
        rng = self.rng("shapes", split, index)
        old = [pick(rng, KINDS) for _ in range(pick(rng, BEFORE.get(split, range(2, 6))))]
        new = ["triangle"] * pick(rng, range(self.most + 1))
        new += [pick(rng, KINDS[1:]) for _ in range(pick(rng, range(1, 3)))]
        cells = shuffled(rng, range(GRID * GRID))
        shapes = [place(rng, kind, cell) for kind, cell in zip(old + new, cells, strict=False)]
        return row_by_row(shapes[: len(old)]), row_by_row(shapes)


def place(rng: Random, kind: str, cell: int) -> Shape:
    """A shape of any color, somewhere in its cell."""
    row, column = divmod(cell, GRID)
    x, y = (CELL * at + CELL // 2 + pick(rng, range(-4, 5)) for at in (column, row))
    return Shape(kind, pick(rng, list(COLORS)), x, y, radius=pick(rng, range(8, 12)))


def row_by_row(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """The shapes in reading order."""
    return tuple(sorted(shapes, key=lambda shape: (shape.y // CELL, shape.x)))


def count(before: Sequence[Shape], after: Sequence[Shape]) -> int:
    """The answer."""
    return sum(shape.kind == "triangle" and shape not in before for shape in after)


def reasoning(before: Sequence[Shape], after: Sequence[Shape]) -> str:
    """Small steps, as a person would count: name each shape with a running count."""
    marks = []
    for at, shape in enumerate(after):
        mark = "old" if shape in before else "no"
        if mark == "no" and shape.kind == "triangle":
            mark = str(count(before, after[: at + 1]))
        marks.append(f"{shape} {mark}")
    return f"Row by row: {', '.join(marks)}. That makes {count(before, after)}."
