"""Tasks whose factory is at fault."""

from dataclasses import replace
from itertools import count

from sound_task import sampled, task

MADE = count()


def options_typed(size=24):
    return task()


def factory_pure():
    number = next(MADE) % 10
    return sampled(lambda sample, split, index: replace(sample, gold=str((index + number) % 10)))
