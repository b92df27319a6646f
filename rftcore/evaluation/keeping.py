"""Answers while an evaluation makes them: kept batch by batch, so that a killed one goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rftcore.completions import ScoredCompletion
from rftcore.usage import Usage

# greedy: with the sample's own images. blind: greedy, with those of another sample. sampled:
# several drawn completions per question.
Kind = Literal["greedy", "blind", "sampled"]


class Answered(NamedTuple):
    """A scored completion, the tokens of its prompt, and its part of the seconds of its batch."""

    row: ScoredCompletion
    read: int = 0
    seconds: float = 0.0


class Keeper:
    """Where the answers of a split go. This one keeps them in memory.

    finished: the rows of each kind that is complete. usage: what was computed for them, in this
    session and before.
    """

    def __init__(self) -> None:
        self.finished: dict[Kind, list[ScoredCompletion]] = {}
        self.usage = Usage()

    def read(self, kind: Kind) -> list[Answered]:
        """What an earlier session has kept, in order."""
        return []

    def begin(self, kind: Kind, rows: int, batches: int) -> None:
        """Go on after the first `rows` of what was kept, in `batches` batches; drop the rest."""

    def at(self, kind: Kind, batch: int) -> None:
        """The batch with this number is scored next."""

    def add(self, kind: Kind, answers: Sequence[Answered]) -> None:
        """Keep a finished batch."""

    def finish(self, kind: Kind, rows: list[ScoredCompletion], usage: Usage) -> None:
        """Keep all rows of a kind."""
        self.finished[kind] = rows
        self.usage += usage
