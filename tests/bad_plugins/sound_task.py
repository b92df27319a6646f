"""A small task that keeps every law; what breaks one is made from it."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import rftcore as rft

SPLITS = ("sft", "rl", "val", "test")


def picture(shade: int) -> bytes:
    """A PNG of 16 x 16 pixels."""
    from PIL import Image

    png = io.BytesIO()
    Image.new("L", (16, 16), shade).save(png, "PNG")
    return png.getvalue()


@dataclass(frozen=True)
class Dots:
    """Sample i has (7 i + a number of its split) modulo 10 dots."""

    splits: tuple[str, ...] = SPLITS
    length: int = 24

    def size(self, split: str) -> int:
        return self.length

    def sample(self, split: str, index: int) -> rft.Sample:
        if not 0 <= index < self.length:
            raise IndexError(index)
        return self.made(split, index)

    def made(self, split: str, index: int) -> rft.Sample:
        count = (7 * index + len(split)) % 10
        image = rft.Image(f"{split}/{index}", partial(picture, 20 * count))
        cot = f"I point at each of them: {count}."
        meta = {"dots": [count]}
        return rft.Sample(
            f"{split}-{index}",
            "How many dots?",
            str(count),
            (image,),
            cot,
            meta,
            f"{split} {index}",
        )


@dataclass(frozen=True)
class Changed(Dots):
    """The dots with every sample changed: `change` gets sample, split and index."""

    change: Callable[[rft.Sample, str, int], rft.Sample] = lambda sample, split, index: sample

    def made(self, split: str, index: int) -> rft.Sample:
        return self.change(super().made(split, index), split, index)


def task(**changes: Any) -> rft.Task:
    """The sound task, with some of its fields changed."""
    sound = rft.Task(
        name="dots",
        dataset=Dots(),
        prompt=rft.prompts.think_then_answer("Answer with one number."),
        parser=rft.parsers.Integer(0, 99),
        rewards={
            "accuracy": rft.Term(rft.rewards.exact),
            "format": rft.Term(rft.rewards.tags, 0.5),
        },
    )
    return replace(sound, **changes)


def rewarded(reward: Callable[..., Any], weight: float = 0.1) -> rft.Task:
    """The sound task with one more reward."""
    return task(rewards={**task().rewards, "more": rft.Term(reward, weight)})


def accurate(reward: Callable[..., Any]) -> rft.Task:
    """The sound task with another accuracy."""
    return task(rewards={**task().rewards, "accuracy": rft.Term(reward)})


def sampled(change: Callable[[rft.Sample, str, int], rft.Sample], **fields: Any) -> rft.Task:
    """The sound task with changed samples."""
    return task(dataset=Changed(change=change, **fields))


def sound() -> rft.Task:
    """How many dots are there?"""
    return task()
