"""What a phase of training leaves in a run: its policy, the card of it, and how it ended."""

from pathlib import Path
from typing import Any

from rftcore.errors import RunError
from rftcore.runs.claim import Claimed
from rftcore.runs.names import ADAPTER, CARD, MODEL, PHASES, result_name
from rftcore.runs.watched import Line


class PhaseFiles(Claimed):
    """The folders and files of phases."""

    def phase_folder(self, phase: str) -> Path:
        """Where a phase keeps its checkpoints."""
        return self.path / phase

    def model_folder(self, phase: str) -> Path:
        """Where a phase saves its policy."""
        return self.path / phase / MODEL

    def adapter_folder(self, phase: str) -> Path:
        """Where a phase that trains an adapter saves it."""
        return self.path / phase / ADAPTER

    def base_folder(self) -> Path:
        """Where the base model is, if the run began with an adapter: both, merged."""
        return self.path / "base" / MODEL

    def policy(self, phase: str) -> Path:
        """The policy of a finished phase. Raises: RunError if it is missing."""
        folder = self.model_folder(phase)
        if not (folder / "config.json").is_file():
            raise RunError(
                f"run {self.path}: phase {phase} is finished, but its policy is not in {folder}: "
                "restore that folder, or start a new run"
            )
        return folder

    def newest_policy(self) -> Path | None:
        """The policy after GRPO, else after SFT; None if no phase is finished.

        Raises: RunError if it is missing.
        """
        return next((self.policy(p) for p in reversed(PHASES) if self.done(p)), None)

    def card(self, phase: str) -> Path:
        """Where the model card of a phase's policy is."""
        return self.model_folder(phase) / CARD

    def write_card(self, phase: str, text: str) -> None:
        """Write the model card of a phase's policy."""
        self.write_text(f"{phase}/{MODEL}/{CARD}", text)

    def write_phase(self, phase: str, facts: Line) -> None:
        """Write how a phase ended."""
        self.write_json(result_name(phase), facts)

    def phase(self, phase: str) -> dict[str, Any]:
        """How a finished phase ended. Raises: RunError if its file does not hold that."""
        facts = self.read_json(result_name(phase))
        if not isinstance(facts, dict):
            raise self.not_written_by(phase)
        return facts

    def not_written_by(self, phase: str) -> RunError:
        """The error for a file of a phase that lacks what the phase writes."""
        file = self.path / result_name(phase)
        return RunError(f"{file} is not what {phase} wrote: restore it from a copy")
