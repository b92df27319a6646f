"""What every evaluation offers, of a task's splits or of a suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Within = Callable[[], AbstractContextManager[None]]  # what libraries run in, once they load


class Answer(Protocol):
    """A completion that a file of answers has a line for."""

    def to_json(self) -> dict[str, Any]:
        """The values of the line."""


class Evaluation(Protocol):
    """What was measured, as plain data."""

    @property
    def scores(self) -> list[dict[str, Any]]:
        """One mapping per split or measure."""

    @property
    def answers(self) -> Sequence[Answer]:
        """The completion for each sample: a `ScoredCompletion`, or a suite's `SuiteAnswer`."""

    def notes(self, report: str = "", answers: str = "") -> list[str]:
        """Notes on the scores. report, answers: files that have the details."""

    def table(self) -> str:
        """The scores as text."""

    def report(self, *files: str) -> dict[str, Any]:
        """Every number, with where it comes from."""
