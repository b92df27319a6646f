"""A task that uses the reward by its name. Its samples need no images."""

from dataclasses import dataclass

import rftcore as rft

SIZES = {"sft": 60, "rl": 60, "val": 30, "test": 30}


@dataclass(frozen=True, kw_only=True)
class Products(rft.GeneratedDataset):
    """Products of two numbers; each pair is in one split at most."""

    name = "products"
    version = 1

    def make(self, split: str, index: int) -> rft.Sample:
        """Two splits share no pair: each begins where the one before it ends."""
        before = [self.sizes[name] for name in self.splits[: self.splits.index(split)]]
        tens, ones = divmod((sum(before) + index) * 7 % 180, 12)
        left, right = 11 + tens, 11 + ones
        return rft.Sample(
            id=self.id(split, index),
            question=f"What is {left} times {right}?",
            gold=str(left * right),
            cot=f"{left} times {right} is {left * right}.",
        )


def task() -> rft.Task:
    """A task whose answer is a product."""
    return rft.Task(
        name="example",
        dataset=Products(sizes=SIZES),
        prompt=rft.prompts.think_then_answer("Answer with one number."),
        parser=rft.parsers.Integer(low=0, high=999),
        rewards={
            "accuracy": rft.Term(rft.rewards.exact),
            "near": rft.Term("my-task", weight=0.5),
            "format": rft.Term(rft.rewards.tags, weight=0.5),
        },
    )
