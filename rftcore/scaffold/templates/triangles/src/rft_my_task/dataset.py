"""The samples: an image of shapes, how many are triangles, and the reasoning."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import rftcore as rft

from rft_my_task.images import COLORS, IMAGES, KINDS, SIZE, Shape
from rft_my_task.sampling import pick, shuffled

SIZES = {"sft": 800, "rl": 400, "val": 100, "test": 200, "ood-crowded": 200}
QUESTION = "How many triangles are there?"
GRID = 4  # cells in a row, and rows
CELL = SIZE // GRID  # pixels
OTHERS = {"ood-crowded": range(5, 9)}  # shapes that do not count: 1 to 4, here more


@dataclass(frozen=True, kw_only=True)
class Triangles(rft.GeneratedDataset):
    """Images with 0 to `most` triangles, each number equally often."""

    name = "my-task"
    version = 1  # raise it when any sample changes

    most: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.most <= 8:
            raise rft.RftError(f"most={self.most}: an image has room for 1 to 8 triangles")

    def make(self, split: str, index: int) -> rft.Sample:
        """The sample: image, question, answer, and the reasoning that SFT teaches."""
        shapes = self.shapes(split, index)
        return rft.Sample(
            id=self.id(split, index),
            question=QUESTION,
            gold=str(count(shapes)),
            images=(IMAGES.image(shapes),),
            cot=reasoning(shapes),
            origin=self.origin(split, index),
        )

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw these images now, on all cores, with a progress bar. Optional."""
        IMAGES.draw_all([self.shapes(split, at) for at in indices], f"drawing {split}")

    def shapes(self, split: str, index: int) -> tuple[Shape, ...]:
        """What an image shows, row by row."""
        rng = self.rng("shapes", split, index)
        triangles = pick(rng, range(self.most + 1))
        others = pick(rng, OTHERS.get(split, range(1, 5)))
        kinds = ["triangle"] * triangles + [pick(rng, KINDS[1:]) for _ in range(others)]
        cells = shuffled(rng, range(GRID * GRID))[: len(kinds)]
        return tuple(
            place(rng, kind, cell) for cell, kind in sorted(zip(cells, kinds, strict=True))
        )


def place(rng: Random, kind: str, cell: int) -> Shape:
    """A shape of any color, somewhere in its cell."""
    row, column = divmod(cell, GRID)
    x, y = (CELL * at + CELL // 2 + pick(rng, range(-4, 5)) for at in (column, row))
    return Shape(kind, pick(rng, list(COLORS)), x, y, radius=pick(rng, range(8, 12)))


def count(shapes: Sequence[Shape]) -> int:
    """The answer."""
    return sum(shape.kind == "triangle" for shape in shapes)


def reasoning(shapes: Sequence[Shape]) -> str:
    """Small steps, as a person would count: name each shape with a running count."""
    marks = []
    for at, shape in enumerate(shapes):
        counted = count(shapes[: at + 1])
        marks.append(f"{shape} {counted if shape.kind == 'triangle' else 'no'}")
    return f"Row by row: {', '.join(marks)}. That makes {count(shapes)}."
