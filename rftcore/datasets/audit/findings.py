"""The report of `rft data check`: its findings, and the size of each split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rftcore.errors import limited


@dataclass(frozen=True)
class Finding:
    """One fault: its kind, file and row, and a text."""

    kind: str
    file: str
    row: int
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", limited(self.text))

    def __str__(self) -> str:
        kind = "" if self.text.startswith(self.kind) else f"{self.kind}: "
        return f"{self.file} row {self.row}: {kind}{self.text}"


@dataclass(frozen=True)
class SplitReport:
    """A split, its file, and its rows: all, those with a `cot`, those with a fault."""

    split: str
    file: str
    rows: int
    reasoned: int
    faulty: int


@dataclass(frozen=True)
class Report:
    """The splits of a folder or file, and all its faults."""

    splits: Sequence[SplitReport]
    findings: Sequence[Finding]
    images: int
    unused: Sequence[str] = ()
    missing: Sequence[str] = ()

    @property
    def kinds(self) -> dict[str, int]:
        """The number of faults of each kind, the most frequent first."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())
