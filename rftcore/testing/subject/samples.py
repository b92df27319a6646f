"""A task as a recipe makes it, and those of its samples that the laws read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from rftcore.config import Layer, Recipe, load_recipe
from rftcore.datasets.slices import dataset_of, parser_of
from rftcore.plugins import Catalogue, Offer
from rftcore.splits import is_training
from rftcore.testing.digests import canonical
from rftcore.types import Dataset, Parser, Sample, Task

FEW = 12  # samples that are scored with many completions


@dataclass(frozen=True)
class Settings:
    """How thorough the laws are.

    seed: of all random choices. examples: per property, tried by hypothesis. samples: read per
    split at most. seconds: spent on reading samples, all splits together.
    """

    seed: int = 0
    examples: int = 40
    samples: int = 300
    seconds: float = 8.0


class SampleUnmadeError(Exception):
    """The dataset raised instead of making a sample; `__cause__` is what it raised."""


class TaskSamples:
    """A task, by its name and a recipe's settings, and its samples.

    Raises: RftError if there is no such task, or none can be made.
    """

    def __init__(
        self, name: str, layer: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> None:
        path, py, factory = name.rpartition(".py:")
        self.name = f"{Path(path).resolve()}.py:{factory}" if py else name
        self.settings = settings or Settings()
        self.layer: Layer = ("the settings", {**(layer or {}), "task": self.name})
        self.catalogue = Catalogue.load()
        self.recipe: Recipe = load_recipe(self.layer)
        self.offer: Offer = self.catalogue.find("task", self.name)
        self.task: Task = self.remade_task()
        self.dataset: Dataset = dataset_of(self.task)
        self.parser: Parser = parser_of(self.task)

    def remade_task(self) -> Task:
        """The same task, made again."""
        return self.catalogue.task_of(self.recipe)

    def rng(self, purpose: str) -> Random:
        """A random generator for one purpose."""
        return Random(f"{self.settings.seed}/{purpose}")

    @cached_property
    def samples(self) -> Mapping[str, Mapping[int, Sample]]:
        """By split and index: the first ones, the last one and some between."""
        found = {}
        share = self.settings.seconds / max(1, len(self.dataset.splits))
        for split in self.dataset.splits:
            found[split] = dict(self._read(split, share))
        return found

    def _read(self, split: str, seconds: float) -> Iterator[tuple[int, Sample]]:
        start = time.thread_time()  # excludes other processes
        for count, index in enumerate(self._indices(split)):
            try:
                sample = self.dataset.sample(split, index)
            except (Exception, SystemExit) as error:
                raise SampleUnmadeError(f"{split}[{index}]") from error
            yield index, sample
            if count >= FEW and time.thread_time() - start > seconds:
                return

    def _indices(self, split: str) -> list[int]:
        size, most = self.dataset.size(split), self.settings.samples
        first = range(min(size, most * 2 // 3))
        rng = self.rng(f"indices {split}")
        between = [rng.randrange(size) for _ in range(most - len(first))] if size > most else []
        rest = [] if size > most else range(len(first), size)
        return list(dict.fromkeys([*first[:FEW], size - 1, *first, *between, *rest]))

    @property
    def all_samples(self) -> list[Sample]:
        """All samples that were read."""
        return [sample for some in self.samples.values() for sample in some.values()]

    def evaluation(self) -> dict[str, list[Sample]]:
        """The samples of every evaluation split."""
        named = self.samples.items()
        return {s: list(some.values()) for s, some in named if not is_training(s)}

    @cached_property
    def sample_subset(self) -> list[Sample]:
        """Some samples of all splits, with different golds where possible."""
        rows = [list(some.values()) for some in self.samples.values()]
        ranked: dict[str, list[Sample]] = {}
        for place in range(FEW):
            for row in rows:
                if place < len(row):
                    ranked.setdefault(row[place].gold, []).append(row[place])
        firsts = [some[0] for some in ranked.values()]
        rest = [sample for some in ranked.values() for sample in some[1:]]
        return [*firsts, *rest][:FEW]

    @cached_property
    def originals(self) -> list[str]:
        """`sample_subset` as text, before the first reward is called."""
        return list(map(canonical, self.sample_subset))
