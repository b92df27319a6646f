"""Tasks whose prompt is at fault."""

from dataclasses import replace
from itertools import count

from sound_task import sampled, task

import rftcore as rft

ASKED = count()


def prompt_deterministic():
    return task(prompt=lambda sample: rft.Prompt(f"{next(ASKED)}. How many?", sample.images))


def prompt_shows_images_once():
    return task(prompt=lambda sample: rft.Prompt(sample.question))


def prompt_blind_to_gold():
    def ask(sample):
        hint = "an even" if int(sample.gold) % 2 == 0 else "an odd"
        return rft.Prompt(f"{sample.question} Answer with {hint} number.", sample.images)

    return task(prompt=ask)


def question_hides_answer():
    return sampled(
        lambda sample, split, index: replace(
            sample, question=f"How many dots? They are {sample.gold} in all."
        )
    )


def targets_fit_limits():
    return sampled(lambda sample, split, index: replace(sample, cot="I look again. " * 200))
