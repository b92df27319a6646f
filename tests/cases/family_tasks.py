"""Tasks with one image, two images or none per question, for models of random weights.

Images are noise of several sizes, so a model that sees anything sees a difference. The rewards
differ between completions, as in lively_task.py.
"""

import io
import random

from PIL import Image as pil

import rftcore as rft

SIZES = ((64, 64), (96, 48), (40, 72), (128, 128))


class Noise:
    """Sample i shows `count` images and asks for the number i % 10."""

    splits = ("sft", "rl", "val", "test")

    def __init__(self, count):
        self.count = count

    def size(self, split):
        return 32

    def sample(self, split, index):
        if not 0 <= index < self.size(split):
            raise IndexError(index)
        start = (self.splits.index(split) * 32 + index) * self.count
        return rft.Sample(
            id=f"{split}-{index}",
            question=f"Which number is {split} {index}?",
            gold=str(index % 10),
            images=tuple(noise(start + place) for place in range(self.count)),
            cot=f"It is number {index}.",
        )


def noise(seed):
    """An image of random pixels in one of four sizes."""
    width, height = SIZES[seed % len(SIZES)]
    pixels = random.Random(seed).randbytes(width * height * 3)
    file = io.BytesIO()
    pil.frombytes("RGB", (width, height), pixels).save(file, "PNG")
    return rft.Image.from_bytes(file.getvalue())


@rft.rewards.reward(uses=("completion",))
def lively(x):
    """The number of letters of the completion, modulo 7: in [0, 1]."""
    return sum(map(ord, x.completion)) % 7 / 6


def _task(count):
    return rft.Task(
        name="noise",
        dataset=Noise(count),
        prompt=rft.prompts.think_then_answer("Answer with one digit."),
        parser=rft.parsers.Integer(0, 9),
        rewards={"accuracy": rft.Term(rft.rewards.exact), "lively": rft.Term(lively)},
    )


def one():
    """Say the number; one image."""
    return _task(1)


def two():
    """Say the number; two images."""
    return _task(2)


def none():
    """Say the number; no image."""
    return _task(0)
