"""A dataset from one file: one JSON object per line, or one array of them, with images beside it.

    {"id": "a1", "question": "How many cubes?", "answer": 3, "image": "a1.png", "split": "rl"}

Files are read when samples are, and every fault names the file and the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rftcore.datasets.files import RowFile
from rftcore.datasets.grouping import assign, copies, groups
from rftcore.datasets.rows.fields import FILE
from rftcore.errors import DataError, SampleError
from rftcore.splits import TEST, VAL, check_index, in_order, may_overlap, unknown
from rftcore.types import Sample


@dataclass(frozen=True)
class JsonlDataset:
    """Samples from a JSON-lines file (UTF-8; empty lines are skipped), or from a JSON array.

    A row has `question`, `answer` (text or a number) and `image`, or a list
    `images`: paths relative to the file, inside its folder; without them the question is text
    only. It may have `id`, `cot` (the reasoning, for SFT) and `split`. A null counts as absent,
    and all other keys go into `meta`. Names of other trainers work as well: `problem` or
    `query`, `solution`, `messages`.

    Rows without a split that share an image, by name or by the bytes of its file, go to one
    split: a tenth of such groups to val, a tenth to test, the rest to rl, of which half of the
    rows with a cot go to sft, or half of all with sft_needs_cot=False. Rows that share an image
    with a row that names its split go to that split.

    Raises: DataError if the file cannot be read or has no rows, SampleError for a broken row.
    """

    path: str | Path
    sft_needs_cot: bool = field(default=True, kw_only=True)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have rows: the standard ones first."""
        return in_order(self._positions)

    def size(self, split: str) -> int:
        """How many rows `split` has. Raises: DataError if there is no such split."""
        return len(self._of(split))

    def sample(self, split: str, index: int) -> Sample:
        """The sample at `index`, in the order of the file; its images are not read yet.

        Raises: DataError for an unknown split, IndexError outside [0, size).
        """
        positions = self._of(split)
        check_index(split, index, len(positions))
        return self.file.sample_at(positions[index])

    @cached_property
    def file(self) -> RowFile:
        """The file, row by row."""
        return RowFile(Path(self.path), Path(self.path).parent, form=FILE)

    @property
    def held_out(self) -> tuple[str, ...]:
        """The evaluation splits to which rows without a split may go."""
        return (VAL, TEST)

    def teachable(self, reasoned: Sequence[bool]) -> Sequence[bool]:
        """Which rows without a split may go to sft. reasoned: whether each row has a cot."""
        return reasoned if self.sft_needs_cot else [True] * len(reasoned)

    def _of(self, split: str) -> list[int]:
        if split not in self._positions:
            raise unknown(self.path, split, self.splits)
        return self._positions[split]

    @cached_property
    def _positions(self) -> dict[str, list[int]]:
        """The rows of each split, as positions in the file."""
        index = self.file.index
        same = copies(index.images) if "" in index.splits else ()
        grouped = groups(index.links, same)
        teachable = self.teachable(index.reasoned)
        splits = assign(Path(self.path), index.splits, grouped, teachable, self.held_out)
        if not splits:
            raise DataError(f"{self.path} has no rows")
        self._check_overlap(splits)
        return {name: [at for at, s in enumerate(splits) if s == name] for name in {*splits}}

    def _check_overlap(self, splits: list[str]) -> None:
        """Raise SampleError if a row is in two splits, other than sft and rl."""
        index = self.file.index
        first: dict[int, int] = {}
        for at, (split, content) in enumerate(zip(splits, index.contents, strict=True)):
            other = first.setdefault(content, at)
            if not may_overlap(splits[other], split):
                row, twin = (self.file.origin(index.numbers[n]) for n in (at, other))
                raise SampleError(
                    f"in split {split}: the same question, answer and images as {twin} "
                    f"({splits[other]}): splits must not overlap",
                    origin=row,
                )
