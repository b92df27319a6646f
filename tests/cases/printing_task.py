"""A task of which every part prints, to Python's standard output and past it."""

import os
import sys

import rftcore as rft


def noise():
    print("noise")
    sys.stdout.flush()
    os.write(1, b"noise\n")


class Numbers:
    splits = ("sft", "rl", "val", "test")

    def size(self, split):
        return 20

    def sample(self, split, index):
        noise()
        if not 0 <= index < 20:
            raise IndexError(index)
        return rft.Sample(f"{split}-{index}", f"Say {index} once.", str(index % 5), cot="Once.")


class Integer(rft.parsers.Integer):
    def gold(self, text):
        noise()
        return super().gold(text)

    def parse(self, text):
        noise()
        return super().parse(text)


@rft.rewards.reward(slow=True)
def exact(x):
    """1 if the answer is right; runs in a worker process."""
    noise()
    return float(x.answer == x.gold)


def prompt(sample):
    noise()
    return rft.prompts.direct("One number.")(sample)


def numbers():
    """Say the number."""
    noise()
    return rft.Task("numbers", Numbers(), prompt, Integer(), {"accuracy": rft.Term(exact)})
