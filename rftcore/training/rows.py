"""Our lazy rows as the dataset class that TRL insists on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rftcore.data import Rows


def as_dataset(rows: Rows) -> Any:
    """A `datasets.Dataset` that holds row numbers and makes rows when they are read.

    Nothing is copied to Arrow, so images stay out of memory until their batch.
    """
    from datasets import Dataset

    def make(batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        made = [rows[index] for index in batch["row"]]
        return {key: [row[key] for row in made] for key in made[0]}

    return Dataset.from_dict({"row": list(range(len(rows)))}).with_transform(make)
