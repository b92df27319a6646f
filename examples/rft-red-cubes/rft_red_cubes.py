"""How many red cubes are there? A whole task in one module: images, questions, rewards."""

import io
from collections.abc import Callable
from functools import partial
from random import Random

import rftcore as rft

SIZES = {"sft": 400, "rl": 800, "val": 100, "test": 200}
COLORS = {"red": "#c62828", "blue": "#1e50dc", "green": "#148c3c", "yellow": "#f0c814"}
TOP = [(-20, -10), (0, -20), (20, -10), (0, 0)]  # a cube's faces around its nearest corner
LEFT, RIGHT = [(-20, -10), (0, 0), (0, 22), (-20, 12)], [(20, -10), (0, 0), (0, 22), (20, 12)]


def draw(cubes: tuple[tuple[int, int, str], ...]) -> bytes:
    """A PNG of 192 x 192 pixels. Pillow is imported when an image is opened."""
    from PIL import Image, ImageDraw

    image, png = Image.new("RGB", (192, 192), "#dcdcdc"), io.BytesIO()
    for x, y, color in cubes:
        for face in (TOP, LEFT, RIGHT):
            corners = [(x + dx, y + dy) for dx, dy in face]
            ImageDraw.Draw(image).polygon(corners, fill=COLORS[color], outline="black")
    image.save(png, "PNG")
    return png.getvalue()


class RedCubes:
    """Two to eight cubes on a jittered 3 x 3 grid; a sample is a pure function of its index."""

    splits = tuple(SIZES)
    size = staticmethod(SIZES.__getitem__)

    def sample(self, split: str, index: int) -> rft.Sample:
        """The cubes, row by row, with a running count of the red ones as the reasoning."""
        if not 0 <= index < SIZES[split]:
            raise IndexError(index)
        random, cubes, marks, count = Random(f"{split}/{index}"), [], [], 0
        for cell in sorted(random.sample(range(9), random.randint(2, 8))):
            x, y = (32 + 64 * at + random.randint(-9, 9) for at in (cell % 3, cell // 3))
            cubes.append((x, y, random.choice(["red", *COLORS])))  # red twice as often
            count += cubes[-1][2] == "red"
            marks.append(f"{cubes[-1][2]} {count if cubes[-1][2] == 'red' else 'no'}")
        cot = f"Row by row: {', '.join(marks)}. That makes {count}."
        image = rft.Image(key=repr(cubes), read=partial(draw, tuple(cubes)))
        question = "How many red cubes are there?"
        return rft.Sample(f"{split}-{index}", question, str(count), (image,), cot)


def count_red_cubes() -> rft.Task:
    """How many red cubes are there?"""
    prompt = rft.prompts.think_then_answer("Answer with one number.")
    rewards = {"accuracy": rft.Term(rft.rewards.exact), "format": rft.Term(rft.rewards.tags)}
    return rft.Task("count-red-cubes", RedCubes(), prompt, rft.parsers.Integer(0, 99), rewards)


@rft.hookimpl
def rft_tasks() -> dict[str, Callable[[], rft.Task]]:
    return {"count-red-cubes": count_red_cubes}
