"""Batch shapes and steps of a phase for any number of processes, by the code of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from rftcore.config import Recipe
from rftcore.errors import RecipeError
from rftcore.training import steps
from rftcore.training.configs import batch_shapes

PROCESSES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Schedule:
    """A phase in so many processes. micro: rows of a forward, in one process.

    fault: why the batch does not divide; the numbers are then 0. divisors: what micro_batch may be.
    """

    processes: int
    micro: int
    accumulation: int
    per_epoch: int
    steps: int
    divisors: tuple[int, ...]
    fault: str = ""


def schedule(recipe: Recipe, phase: str, config: Any, rows: int, processes: int) -> Schedule:
    """The shapes and steps of a phase over `rows` rows. config: TRL's configuration."""
    choices = tuple(divisors(recipe, phase, processes))
    try:
        shape = batch_shapes(recipe, phase, processes)
    except RecipeError as error:
        return Schedule(processes, 0, 0, 0, 0, choices, str(error))
    made = SimpleNamespace(**{**vars(config), **shape})
    micro, accumulation = shape.values()
    per_epoch = steps.per_epoch(phase, made, rows, processes)
    total = steps.total(phase, made, rows, processes)
    return Schedule(processes, micro, accumulation, per_epoch, total, choices)


def divisors(recipe: Recipe, phase: str, processes: int) -> Iterator[int]:
    """The values of micro_batch that divide a step in so many processes."""
    sft, grpo = recipe.sft, recipe.grpo
    whole = sft.batch_size if phase == "sft" else grpo.prompts_per_step * grpo.group_size
    each, rest = divmod(whole, processes)
    group = grpo.group_size if phase == "grpo" else 1
    for size in range(1, 0 if rest else each + 1):
        if each % size == 0 and (size % group == 0 or group % size == 0):
            yield size
