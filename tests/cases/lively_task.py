"""A task whose rewards differ between the completions of any model, however random.

What a model of random weights writes has no right answer, so accuracy alone would give
GRPO nothing to learn from, and a test of training nothing to compare.
"""

import io

from PIL import Image as pil

import rftcore as rft


class Squares:
    """Colored rectangles of several sizes; sample i asks for the number i % 10."""

    splits = ("sft", "rl", "val", "test")

    def size(self, split):
        return 32

    def sample(self, split, index):
        if not 0 <= index < self.size(split):
            raise IndexError(index)
        shade = (self.splits.index(split) * 60, index * 8 % 256, 255 - index * 5)
        file = io.BytesIO()
        pil.new("RGB", (28 + 28 * (index % 3), 28 + 28 * (index % 2)), shade).save(file, "PNG")
        return rft.Sample(
            id=f"{split}-{index}",
            question=f"Which number is square {index}?",
            gold=str(index % 10),
            images=(rft.Image.from_bytes(file.getvalue()),),
            cot=f"It is number {index}.",
        )


@rft.rewards.reward(uses=("completion",))
def lively(x):
    """The number of letters of the completion, modulo 7: in [0, 1]."""
    return sum(map(ord, x.completion)) % 7 / 6


def squares():
    """Say the number."""
    return rft.Task(
        name="squares",
        dataset=Squares(),
        prompt=rft.prompts.think_then_answer("Answer with one digit."),
        parser=rft.parsers.Integer(0, 9),
        rewards={
            "accuracy": rft.Term(rft.rewards.exact),
            "lively": rft.Term(lively),
        },
    )
