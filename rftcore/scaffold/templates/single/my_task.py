"""The task my-task in one file: how many triangles are there?

    rft tasks preview ./my_task.py:task --out grid.png
    rft train --task ./my_task.py:task --smoke

If it grows, `rft new task` makes a package to move it into.
"""

import io
from dataclasses import dataclass

import rftcore as rft

SIZES = {"sft": 800, "rl": 400, "val": 100, "test": 200, "ood-crowded": 200}
COLORS = ("red", "blue", "green")


def draw(shapes: tuple[tuple[int, int, str, int], ...]) -> bytes:
    """A PNG of 128 x 128 pixels, from (x, y, color, corners) of each shape."""
    from PIL import Image, ImageDraw

    image, png = Image.new("RGB", (128, 128), "white"), io.BytesIO()
    for x, y, color, corners in shapes:
        ImageDraw.Draw(image).regular_polygon((x, y, 11), corners, fill=color)
    image.save(png, "PNG")
    return png.getvalue()


IMAGES = rft.ImageCache("my-task", str, draw, by_code=True)


@dataclass(frozen=True, kw_only=True)
class Triangles(rft.GeneratedDataset):
    """0 to 5 triangles among 1 to 4 squares; among 5 to 8 in "ood-crowded"."""

    name = "my-task"
    version = 1  # raise it when any sample changes

    def make(self, split: str, index: int) -> rft.Sample:
        """The sample, random but the same for the same seed, split and index."""
        chance = self.rng("shapes", split, index).random
        triangles = int(6 * chance())
        squares = int(4 * chance()) + (5 if split == "ood-crowded" else 1)
        corners = [3] * triangles + [4] * squares
        cells = sorted(range(16), key=lambda _: chance())[: len(corners)]

        shapes, marks, count = [], [], 0
        for cell, sides in sorted(zip(cells, corners, strict=True)):  # row by row
            x, y = (32 * at + 12 + int(9 * chance()) for at in (cell % 4, cell // 4))
            color = COLORS[int(3 * chance())]
            shapes.append((x, y, color, sides))
            count += sides == 3
            marks.append(f"{color} " + (f"triangle {count}" if sides == 3 else "square no"))
        return rft.Sample(
            id=self.id(split, index),
            question="How many triangles are there?",
            gold=str(count),
            images=(IMAGES.image(tuple(shapes)),),
            cot=f"Row by row: {', '.join(marks)}. That makes {count}.",
            origin=self.origin(split, index),
        )


def task(seed: int = 0) -> rft.Task:
    """How many triangles are there? The arguments are options: `--set task_options.seed=1`."""
    return rft.Task(
        name="my-task",
        summary="How many triangles are there?",
        dataset=Triangles(seed=seed, sizes=SIZES),
        prompt=rft.prompts.think_then_answer("Answer with one number."),
        parser=rft.parsers.Integer(low=0, high=99),
        rewards={
            "accuracy": rft.Term(rft.rewards.exact, weight=1.0),
            "format": rft.Term(rft.rewards.tags, weight=0.5),
        },
    )
