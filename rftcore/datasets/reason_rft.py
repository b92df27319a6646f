"""A folder in the layout of Reason-RFT-CoT, the paper's data, or your own data in that layout."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from rftcore.datasets.files import RowFile
from rftcore.datasets.grouping import Leaks, grouped
from rftcore.datasets.layout import ROLES, TRAIN, Layout, TaskFiles, find
from rftcore.errors import Fault, RecipeError
from rftcore.splits import RL, SFT, VAL, check_index, in_order, out_of_distribution, unknown
from rftcore.types import Sample

VAL_SHARE = 10  # val has at most a tenth of the rows that it is taken from
SOURCES = (TRAIN, SFT, RL)  # roles of files that are trained on


@dataclass(frozen=True)
class ReasonRftDataset:
    """A folder of JSON or JSON-lines files with images below `images/`.

    task: the task whose files to read; a recipe sets its own.
    names, words: words for the task in file names; `names` take precedence over `words`.
    roles: the roles that its data should have; those without a file are reported.
    train, sft, rl, val, test, ood: files whose role is not clear from their names; ood by
        the name of the split, e.g. {left: FILE}.
    sft_rows: `sft` has this many rows of the training file, the first with a cot.
    sft_needs_cot: false: the first rows, with or without a cot.
    rl_rows: "rest": `rl` has all other rows; "all": the whole file, for tasks with few rows.
    val_rows: `val` has at most this many rows, and at most a tenth of those outside `sft`;
        they are in no other split. It is made of whole groups of rows that share images,
        those with the lowest hash, those without rows of `sft` first. 0: no val.
    instructions: "strip" removes from a question what only requests think and answer tags,
        since the task's prompt requests them; "keep" leaves questions unchanged.
    drop_leaks: leave out training rows that are also in an evaluation file, or show an
        image of one.

    Raises: RecipeError for options out of range, DataError for a folder without data.
    """

    path: str | Path
    task: str = ""
    train: str | None = None
    sft: str | None = None
    rl: str | None = None
    val: str | None = None
    test: str | None = None
    ood: dict[str, str] | None = None
    sft_rows: int = 1600
    sft_needs_cot: bool = True
    rl_rows: Literal["rest", "all"] = "rest"
    val_rows: int = 300
    instructions: Literal["strip", "keep"] = "strip"
    drop_leaks: bool = False
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("sft_rows", "val_rows"):
            if getattr(self, name) < 0:
                raise RecipeError(Fault(name, "use 0 or more", getattr(self, name)))
        _ = self.layout  # raises for a folder without data

    @cached_property
    def layout(self) -> Layout:
        """The files found, by role."""
        ood = {out_of_distribution(name): file for name, file in (self.ood or {}).items()}
        given = {role: file for role in ROLES if (file := getattr(self, role)) is not None}
        own = TaskFiles(self.task, self.names, self.words, self.roles)
        return find(Path(self.path), own, {**given, **ood})

    @cached_property
    def files(self) -> dict[str, RowFile]:
        """The files by role."""
        folder, strip = Path(self.path), self.instructions == "strip"
        return {r: RowFile(path, folder, r, strip) for r, path in self.layout.files.items()}

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have rows: the standard ones first."""
        return in_order({*self._assigned, *(role for role in self.files if role not in SOURCES)})

    def size(self, split: str) -> int:
        """How many rows `split` has. Raises: DataError if there is no such split."""
        return len(self._positions(split))

    def sample(self, split: str, index: int) -> Sample:
        """The sample at `index`, in the order of its file; its images are not read yet.

        Raises: DataError for an unknown split, IndexError outside [0, size).
        """
        positions = self._positions(split)
        check_index(split, index, len(positions))
        return self.file_of(split).sample_at(positions[index])

    def file_of(self, split: str) -> RowFile:
        """The file that has a split's rows. Raises: StopIteration if there is none."""
        own = {SFT: (SFT, TRAIN), RL: (RL, TRAIN), VAL: (VAL, RL, TRAIN)}
        role = next(r for r in own.get(split, (split,)) if r in self.files)
        return self.files[role]

    def assign(
        self, groups: Mapping[str, Sequence[int | None]], reasoned: Sequence[bool]
    ) -> dict[str, Sequence[int]]:
        """The rows of `sft`, `rl` and `val`, as positions in their files, from 0.

        groups: by role, the group of each row (`grouping.groups`), None for a broken row.
        reasoned: whether each row of the file with `sft` has a cot.
        """
        pool = next((groups[r] for r in (RL, TRAIN) if r in groups), ())
        shared = SFT not in groups and RL not in groups
        taught = groups.get(SFT, groups.get(TRAIN, ()))
        first = self._sft_positions(taught, reasoned, whole=SFT in groups)
        used = set(first) if shared and len(first) < len(pool) else set()
        free = [at for at in range(len(pool)) if at not in used]
        seen = {taught[at] for at in first} if used or not shared else set()
        held = self._val_groups(pool, free, seen)
        rl = range(len(pool)) if self.rl_rows == "all" else free
        return {
            SFT: _without(first, taught, held),
            RL: _without(rl, pool, held),
            VAL: [at for at in range(len(pool)) if pool[at] in held],
        }

    def _sft_positions(
        self, rows: Sequence[int | None], reasoned: Sequence[bool], *, whole: bool
    ) -> Sequence[int]:
        """The rows of `sft`: its own file, or the first rows with a cot of another."""
        if whole:
            return range(len(rows))
        if not self.sft_needs_cot:
            return range(len(rows))[: self.sft_rows]
        return [at for at in range(len(rows)) if reasoned[at]][: self.sft_rows]

    def _val_groups(
        self, pool: Sequence[int | None], free: Sequence[int], seen: Collection[int | None]
    ) -> set[int]:
        """The groups of val, chosen by hash: the order of rows does not matter."""
        if VAL in self.files:
            return set()
        left = min(self.val_rows, len(free) // VAL_SHARE)
        sizes = Counter(group for group in pool if group is not None)
        held = set()
        for group in sorted(sizes, key=lambda group: (group in seen, group)):
            if sizes[group] <= left:
                held.add(group)
                left -= sizes[group]
        return held

    def _positions(self, split: str) -> Sequence[int]:
        if split in self._assigned:
            return self._assigned[split]
        if split not in self.files or split in SOURCES:
            raise unknown(self.path, split, self.splits)
        return range(len(self.files[split].index.numbers))

    @cached_property
    def _assigned(self) -> dict[str, Sequence[int]]:
        """The positions of sft, rl and val, unless they are empty."""
        sources = {r: self.files[r].index for r in SOURCES if r in self.files}
        if not sources:
            return {}
        source = sources.get(SFT) or sources.get(TRAIN)
        reasoned = source.reasoned if source else ()
        links = {role: (index.links, index.images) for role, index in sources.items()}
        assigned = self.assign(grouped(links), reasoned)
        if self.drop_leaks:
            leaks = self._leaks
            for split in [split for split, at in assigned.items() if at]:
                assigned[split] = leaks.without(assigned[split], self.file_of(split).index.links)
        return {split: at for split, at in assigned.items() if at}

    @property
    def _leaks(self) -> Leaks:
        every = {role: (f.index.links, f.index.images) for role, f in self.files.items()}
        return Leaks.of(every, [role for role in every if role not in SOURCES])


def _without(
    positions: Sequence[int], groups: Sequence[int | None], out: Collection[int]
) -> Sequence[int]:
    return [at for at in positions if groups[at] not in out]
