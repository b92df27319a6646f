"""What every evaluation offers, of a task's splits or of a suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from rftcore.plugins import Catalogue
from rftcore.runs import RunFolder, is_run

Within = Callable[[], AbstractContextManager[None]]  # what libraries run in, once they load


def run_at(catalogue: Catalogue, target: str) -> RunFolder | None:
    """The run in a folder; None if `target` is a model.

    Raises: ModelError for a folder that is neither, with the runs in it, as in a comparison.
    """
    if is_run(target):
        return RunFolder.open(target)
    if Path(target).is_dir() and not catalogue.offers_model(target):
        from rftcore.models.sources import check_source

        check_source(target)
    return None


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
