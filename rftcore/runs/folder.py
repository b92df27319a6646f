"""Every file of a run by name, with a method to read and to write each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rftcore.errors import RunError
from rftcore.runs.evaluations import Evaluations
from rftcore.runs.names import MANIFEST, RECIPE, REPORT, SUMMARY, TABLE, TRACKING
from rftcore.runs.phases import PhaseFiles
from rftcore.runs.training import TrainingLines
from rftcore.runs.watched import Line


class RunFolder(PhaseFiles, TrainingLines, Evaluations):
    """One run's files. Use it as a context manager to hold its lock."""

    # --- where a run comes from ---

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe, as YAML."""
        return self.path / RECIPE

    def manifest(self) -> dict[str, Any]:
        """What the run's numbers can be traced to. Raises: RunError if it is damaged."""
        facts = self.read_json(MANIFEST)
        if not isinstance(facts, dict):
            raise RunError(f"{self.path / MANIFEST} does not hold facts by name: restore it")
        return facts

    def record(self, **facts: object) -> None:
        """Add facts to the manifest; one that is there is replaced."""
        self.update_json(MANIFEST, facts)

    # --- trackers ---

    def tracking(self) -> dict[str, Any]:
        """The names of this run in its trackers, and what those that cannot be read have."""
        return dict(self.read_json(TRACKING)) if (self.path / TRACKING).exists() else {}

    def note_tracking(self, **facts: object) -> None:
        """Add facts about trackers; one that is there is replaced."""
        self.write_json(TRACKING, {**self.tracking(), **facts})

    def sent(self, tracker: str) -> dict[str, int]:
        """The last step of each name that a tracker has received."""
        return dict(self.tracking().get("sent", {}).get(tracker, {}))

    def note_sent(self, tracker: str, last: Mapping[str, int]) -> None:
        """Keep the last step of each name that a tracker has received."""
        self.note_tracking(sent={**self.tracking().get("sent", {}), tracker: last})

    # --- the end ---

    def write_summary(self, facts: Line, table: str) -> None:
        """Write the numbers and the table of the whole run."""
        self.write_json(SUMMARY, facts)
        self.write_text(TABLE, table + "\n")

    def ended(self) -> bool:
        """Whether the whole run has ended: its table is written last."""
        return (self.path / TABLE).is_file()

    def summary(self) -> dict[str, Any]:
        """The numbers of the whole run. Raises: RunError if it has not ended."""
        found: dict[str, Any] = self.read_json(SUMMARY)
        return found

    def table(self) -> str:
        """The table of the whole run. Raises: RunError if it has not ended."""
        return self.read_text(TABLE).rstrip("\n")

    @property
    def report_file(self) -> Path:
        """The page that shows the run, if it was written."""
        return self.path / REPORT
