"""A run's folder that reports what is measured to a watcher, such as the mirror to trackers."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rftcore.completions import ScoredCompletion, read_completions
from rftcore.runs.claim import Claimed

Line = Mapping[str, Any]


class Watcher(Protocol):
    """Receives what is measured when it is written."""

    def logged(self, line: Line) -> None:
        """A line of training."""

    def scored(self, stage: str, scores: Sequence[Line]) -> None:
        """The scores of a stage so far."""


class Watched(Claimed):
    """A folder whose lines of training and scores go to `watcher` as well."""

    watcher: Watcher | None = None

    def completions(self, name: str) -> list[ScoredCompletion]:
        """The completions in a file. Raises: RunError for a faulty line."""
        return read_completions(self.read_jsonl(name), str(self.path / name))
