"""How many tokens the prompts and targets of a run have, counted with the policy's processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rftcore import prompts
from rftcore.datasets.slices import Slice
from rftcore.models.encoding import render, text_tokens, with_reply
from rftcore.models.processor_check import ProcessorCheck
from rftcore.pipeline.plan import Plan
from rftcore.splits import SFT
from rftcore.training.lengths import Targets
from rftcore.types import Prompt

BINS, BAR = 8, 30  # of a histogram: lines, and characters of the longest
LONGEST = 3  # rows named


@dataclass(frozen=True)
class Row:
    """Tokens of a row: of its images, of the text around them, and of SFT's target."""

    index: int
    origin: str
    image: int
    text: int
    target: int = 0

    @property
    def whole(self) -> int:
        """All of it."""
        return self.image + self.text + self.target


@dataclass(frozen=True)
class Lengths:
    """The rows of a split that were read, of `size`."""

    split: str
    size: int
    rows: tuple[Row, ...]

    @property
    def longest(self) -> Row:
        """The row with most tokens."""
        return max(self.rows, key=lambda row: row.whole)

    @property
    def mean(self) -> float:
        """Tokens of a row."""
        return sum(row.whole for row in self.rows) / len(self.rows)

    def most(self) -> Sequence[Row]:
        """The longest rows, the longest first."""
        return sorted(self.rows, key=lambda row: -row.whole)[:LONGEST]


class Counter:
    """Counts the tokens of rows as the policy reads them. end: what ends a turn.

    targets: sees the targets of SFT, to check them; None if there is nothing to check.
    """

    def __init__(
        self, check: ProcessorCheck, plan: Plan, end: str, targets: Targets | None = None
    ) -> None:
        self._check, self._plan, self._end, self._targets = check, plan, end, targets

    def count(self, part: Slice, most: int | None) -> Lengths:
        """At most `most` rows of a split, evenly spread; None counts all.

        Raises: `SampleError` for a row that the policy cannot read, as in training.
        """
        rows = tuple(self._row(part, index) for index in spread(len(part), most))
        return Lengths(part.split, len(part), rows)

    def _row(self, part: Slice, index: int) -> Row:
        sample = part[index]
        whole, processor = self._check.see(sample, part.split), self._check.processor
        if self._targets:
            self._targets.see(sample, part.split, whole)
        task = self._plan.sft_task if part.split == SFT else self._plan.taught
        shown, target = task.prompt(sample), 0
        text = text_tokens(processor, render(processor, Prompt(shown.text)))
        if part.split == SFT:
            reply = prompts.target_of(task)(sample)
            replied = with_reply(processor, shown, reply, self._end)
            alone = text_tokens(processor, render(processor, shown))
            target = text_tokens(processor, replied) - alone
        if not shown.images:
            text = whole
        return Row(index, sample.where, whole - text, text, target)


def spread(size: int, most: int | None) -> Sequence[int]:
    """At most `most` indices of `size` rows, evenly spread; None: all."""
    if most is None or most >= size:
        return range(size)
    return [index * size // most for index in range(most)]


def histogram(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """Bins of equal width: the least and the most tokens in each, and how many rows it has."""
    low, high = min(numbers), max(numbers)
    width = max(1, -(-(high - low + 1) // BINS))
    bins = [(start, start + width - 1) for start in range(low, high + 1, width)]
    return [(a, b, sum(a <= n <= b for n in numbers)) for a, b in bins]
