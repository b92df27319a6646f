"""The checks of rows against one another: what training and evaluation share, split by split."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rftcore.config.recipe import WithoutCot
from rftcore.datasets.audit.findings import Finding
from rftcore.datasets.audit.rows import CheckedFile
from rftcore.datasets.grouping import Leaks, assign, copies, grouped, groups
from rftcore.datasets.jsonl import JsonlDataset
from rftcore.datasets.layout import TRAIN
from rftcore.datasets.reason_rft import SOURCES, ReasonRftDataset
from rftcore.datasets.reasoning import CHOICES
from rftcore.errors import DataError
from rftcore.splits import RL, SFT, in_order, is_training, may_overlap

_NO_COT = f"no 'cot', but split sft needs one: add it, {CHOICES}"


class Part(NamedTuple):
    """A split: its name, its file, and the positions of its rows in that file."""

    split: str
    file: CheckedFile
    positions: Sequence[int]


def parts_of_file(dataset: JsonlDataset, kept: CheckedFile) -> tuple[list[Part], list[Finding]]:
    """The splits of a single file, which rows name or are assigned to; a finding if that fails."""
    together = groups(kept.links, copies(kept.images) if "" in kept.splits else ())
    splits = kept.splits
    faults: list[Finding] = []
    teachable = dataset.teachable(kept.reasoned)
    try:
        splits = assign(Path(dataset.path), splits, together, teachable, dataset.held_out)
    except DataError as error:
        faults = [Finding("splits", kept.name, kept.rows[0], error.reason)]
    names = in_order(set(splits) - {""})
    at = {name: [at for at, split in enumerate(splits) if split == name] for name in names}
    return [Part(name, kept, at[name]) for name in names], faults


def parts_of_folder(dataset: ReasonRftDataset, files: Mapping[str, CheckedFile]) -> list[Part]:
    """The splits of a folder: files of their own, or parts of the training file."""
    sources = {role: file for role, file in files.items() if role in SOURCES}
    assigned: dict[str, Sequence[int]] = {}
    if sources:
        taught = sources.get(SFT) or sources.get(TRAIN)
        together = grouped({r: (f.links, f.images) for r, f in sources.items()})
        assigned = dataset.assign(together, taught.reasoned if taught else ())
    if dataset.drop_leaks:
        every = {r: (f.links, f.images) for r, f in files.items()}
        leaks = Leaks.of(every, [r for r in every if r not in sources])
        of = {split: files[dataset.file_of(split).role] for split, at in assigned.items() if at}
        assigned = {split: leaks.without(assigned[split], of[split].links) for split in of}
    for role, kept in files.items():
        if role not in sources:
            assigned[role] = range(len(kept.rows))
    return [
        Part(split, files[dataset.file_of(split).role], positions)
        for split, positions in assigned.items()
        if positions
    ]


class _Place(NamedTuple):
    """A row of a split, as a text shows it."""

    split: str
    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file} row {self.row} ({self.split})"


@dataclass
class SplitChecks:
    """Checks splits, one after another, training first.

    without_cot: the setting of SFT; only "error" makes a fault of a row without a cot.
    """

    without_cot: WithoutCot
    _seen: dict[object, _Place] = field(default_factory=dict)  # by texts and pixels
    _trained: dict[str, _Place] = field(default_factory=dict)  # by the pixels of an image

    def split(self, part: Part) -> Iterator[Finding]:
        """The findings of a split."""
        file = part.file
        for at in part.positions:
            row = file.rows[at]
            if lacking := self._no_cot(part.split, file, at):
                yield Finding("missing field", file.name, row, lacking)
            if (pixels := file.pixels[at]) is not None:
                place = _Place(part.split, file.name, row)
                for kind, text in self._leaks(place, file.texts[at], pixels):
                    yield Finding(kind, file.name, row, f"in split {part.split}: {text}")
        if part.split == RL:
            yield from _mixture(part)

    def _leaks(
        self, place: _Place, texts: bytes, pixels: tuple[str, ...]
    ) -> Iterable[tuple[str, str]]:
        other = self._seen.setdefault((texts, pixels), place)
        if other is not place and other.split == place.split and not is_training(place.split):
            yield "repeated", f"the same question, answer and images as {other}, so it counts twice"
        if not may_overlap(other.split, place.split):
            yield "leak", f"the same question, answer and images as {other}"
        elif is_training(place.split):
            for image in pixels:
                self._trained.setdefault(image, place)
        elif shown := next((self._trained[one] for one in pixels if one in self._trained), None):
            yield "image leak", f"shows an image that training also shows: {shown}"

    def _no_cot(self, split: str, file: CheckedFile, at: int) -> str:
        """What is wrong with a training row without `cot`, or ""."""
        hint = file.hints.get(file.rows[at], "")
        if split == SFT and file.pixels[at] is not None and not file.reasoned[at]:
            if self.without_cot == "error":
                return f"{_NO_COT}{f'. {hint}' if hint else ''}"
            return f"no 'cot': {hint}" if hint else ""
        if hint and is_training(split) and not file.splits[at]:
            return f"no 'cot': {hint}, so that the row can go to split sft"
        return ""


def _mixture(part: Part) -> Iterator[Finding]:
    """GRPO cannot train on rows with images together with rows without."""
    kinds: dict[bool, int] = {}
    for at in part.positions:
        if (pixels := part.file.pixels[at]) is not None:
            kinds.setdefault(bool(pixels), part.file.rows[at])
    if len(kinds) == 2:
        text = (
            f"in split {RL}: rows with and without images, which GRPO cannot train together: "
            f"row {kinds[True]} has images, row {kinds[False]} has none"
        )
        yield Finding("mixed rows", part.file.name, max(kinds.values()), text)
