"""Callbacks that add numbers of their own to the line of a step."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from transformers import TrainerCallback


class StepNumbers(TrainerCallback):
    """Adds `numbers` to each line of a step, before `Progress` writes it."""

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: MutableMapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Add the numbers; the closing line of a phase, which has no loss, gets none."""
        if logs is not None and "loss" in logs:
            logs.update(self.numbers(args, logs))

    def numbers(self, args: Any, logs: Mapping[str, Any]) -> Mapping[str, float]:
        """What to add. args: TRL's configuration. logs: the line so far."""
        raise NotImplementedError
