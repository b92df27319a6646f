"""Samples as the rows that TRL's trainers read, made on access."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rftcore import prompts
from rftcore.datasets.slices import Slice
from rftcore.models.encoding import completion, end_of_turn, render, stop_ids
from rftcore.models.policy import Policy
from rftcore.types import Prompt, PromptMaker, Sample, TargetMaker

if TYPE_CHECKING:
    from datasets import Dataset

Texts = Callable[[Sample, Prompt], tuple[str, str]]


class Rows:
    """Rows for a trainer: a map-style dataset over a slice, images opened on access.

    Each row has the prompt as chat messages, its images in order, and the index of the sample
    in the slice (`row`), which identifies the sample for rewards. texts: of a sample's prompt
    and target as `written` does it; the row then has rendered texts, `prompt` and `completion`.
    """

    def __init__(self, part: Slice, prompt: PromptMaker, texts: Texts | None = None) -> None:
        self.part = part
        self._prompt = prompt
        self._texts = texts
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
        if self._texts is not None:
            row["prompt"], row["completion"] = self._texts(sample, prompt)
        return row


def written(policy: Policy, target: TargetMaker = prompts.sft_target) -> Texts:
    """The texts of SFT: a rendered prompt, and its completion up to the end of turn.

    target: what is taught for a sample.

    TRL tokenizes them as they are. From chat messages it would make what the chat template makes
    of an assistant's turn, which may have no end of turn, or another beginning than a rollout.
    """
    end = end_of_turn(policy.processor, stop_ids(policy))

    def texts(sample: Sample, prompt: Prompt) -> tuple[str, str]:
        rendered = render(policy.processor, prompt)
        return rendered, completion(rendered, target(sample), end)

    return texts


def as_dataset(rows: Rows, sample: Callable[[int], int] | None = None) -> Dataset:
    """A `datasets.Dataset` of row numbers, which makes rows on access.

    Nothing is copied to Arrow, so images are in memory only for their batch.
    sample: the row of a number at the time of the access; by default the row itself.
    """
    from datasets import Dataset

    def make(batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        found = [rows[sample(index) if sample else index] for index in batch["row"]]
        return {key: [row[key] for row in found] for key in found[0]}

    made = Dataset.from_dict({"row": list(range(len(rows)))})
    # as `with_transform`, which would also hash all that `make` refers to: images and the model
    Dataset.set_format.__wrapped__(made, "custom", transform=make)
    return made
