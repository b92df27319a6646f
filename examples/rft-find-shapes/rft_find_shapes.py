"""Where is the red circle? A grounding task in one module: boxes, their frame, and IoU."""

import io
from collections.abc import Callable
from functools import partial
from random import Random

import rftcore as rft
from rftcore.boxes import Box

SIZES = {"sft": 400, "rl": 800, "val": 100, "test": 200}
COLORS = {"red": "#c62828", "blue": "#1e50dc", "green": "#148c3c", "yellow": "#f0c814"}
SHAPES = ("square", "circle", "triangle")
PARSER = rft.parsers.Boxes(frame="norm1000")

Shape = tuple[str, str, Box]  # color, shape and box in pixels


def draw(size: tuple[int, int], shapes: tuple[Shape, ...]) -> bytes:
    """A PNG of `size` pixels. Pillow is imported when an image is opened."""
    from PIL import Image, ImageDraw

    image, png = Image.new("RGB", size, "#dcdcdc"), io.BytesIO()
    pen = ImageDraw.Draw(image)
    for color, shape, (left, top, right, bottom) in shapes:
        edges, ink = (left, top, right - 1, bottom - 1), COLORS[color]
        if shape == "square":
            pen.rectangle(edges, fill=ink)
        elif shape == "circle":
            pen.ellipse(edges, fill=ink)
        else:
            middle = (left + right - 1) / 2
            pen.polygon([(left, edges[3]), (edges[2], edges[3]), (middle, top)], fill=ink)
    image.save(png, "PNG")
    return png.getvalue()


class Shapes:
    """Three shapes of different colors in cells of a 2 x 2 grid, in images of several sizes."""

    splits = tuple(SIZES)
    size = staticmethod(SIZES.__getitem__)

    def sample(self, split: str, index: int) -> rft.Sample:
        """A pure function of the index. The gold is in thousandths of the image's sides."""
        if not 0 <= index < SIZES[split]:
            raise IndexError(index)
        random = Random(f"{split}/{index}")
        size = random.choice([(160, 128), (192, 192), (128, 224)])
        shapes: list[Shape] = []
        for cell, color in zip(
            random.sample(range(4), 3), random.sample([*COLORS], 3), strict=True
        ):
            side = random.randint(28, 56)
            left = cell % 2 * size[0] // 2 + random.randint(0, size[0] // 2 - side)
            top = cell // 2 * size[1] // 2 + random.randint(0, size[1] // 2 - side)
            box = Box(left, top, left + side, top + side)
            shapes.append((color, random.choice(SHAPES), box))
        color, shape, box = random.choice(shapes)
        gold = PARSER.show((box.scaled(size, (1000, 1000)),))
        cot = f"The {color} {shape} is {box.width} of {size[0]} pixels wide, from {box.left} on."
        image = rft.Image(key=repr((size, shapes)), read=partial(draw, size, tuple(shapes)))
        boxes = [{"box": [*each], "label": f"{ink} {form}"} for ink, form, each in shapes]
        question = f"Where is the {color} {shape}?"
        meta = {"shape": shape, "boxes": boxes}
        return rft.Sample(f"{split}-{index}", question, gold, (image,), cot, meta)


def find_shapes() -> rft.Task:
    """Where is the shape of this color?"""
    rewards = {
        "accuracy": rft.Term(rft.rewards.iou(threshold=0.5), 1.0),  # found or not
        "overlap": rft.Term(rft.rewards.iou(), 1.0),
        "format": rft.Term(rft.rewards.tags, 0.5),
    }
    prompt = rft.prompts.think_then_answer(PARSER.instruction)
    return rft.Task("find-shapes", Shapes(), prompt, PARSER, rewards)


@rft.hookimpl
def rft_tasks() -> dict[str, Callable[[], rft.Task]]:
    return {"find-shapes": find_shapes}
