"""Samples as the rows that TRL's trainers read, made on access."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rftcore.datasets.slices import Slice
from rftcore.types import Prompt, PromptMaker, Sample

if TYPE_CHECKING:
    from datasets import Dataset


class Rows:
    """Rows for a trainer: a map-style dataset over a slice, images opened on access.

    Each row has the prompt as chat messages, its images in order, and the index of the sample
    in the slice (`row`), which identifies the sample for rewards.
    """

    def __init__(
        self, part: Slice, prompt: PromptMaker, target: Callable[[Sample], str] | None = None
    ) -> None:
        self.part = part
        self._prompt = prompt
        self._target = target
        # GRPO reads each row G times: decode once
        self._cached = lru_cache(maxsize=64)(self._make)

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(self._cached(index))

    def _make(self, index: int) -> Mapping[str, Any]:
        sample = self.part[index]
        prompt: Prompt = self._prompt(sample)
        row: dict[str, Any] = {
            "prompt": [{"role": "user", "content": prompt.text}],
            "images": [image.open() for image in prompt.images],
            "row": index,
        }
        if self._target is not None:
            row["completion"] = [{"role": "assistant", "content": self._target(sample)}]
        return row


def as_dataset(rows: Rows) -> Dataset:
    """A `datasets.Dataset` of row numbers, which makes rows on access.

    Nothing is copied to Arrow, so images are in memory only for their batch.
    """
    from datasets import Dataset

    def make(batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        made = [rows[index] for index in batch["row"]]
        return {key: [row[key] for row in made] for key in made[0]}

    return Dataset.from_dict({"row": list(range(len(rows)))}).with_transform(make)
