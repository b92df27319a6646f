"""Feeds the lines of a GRPO phase to the diagnosis and logs what it finds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from transformers import TrainerCallback

from rftcore.training.signal import Diagnosis, Facts, Finding

logger = logging.getLogger(__name__)


class Watch(TrainerCallback):
    """Warns once per kind of finding, as soon as a look shows it.

    before: the lines up to the checkpoint that the phase continues from; what they show has
    been reported by the session that wrote them.
    """

    def __init__(self, facts: Facts, before: Iterable[Mapping[str, Any]] = ()) -> None:
        self._diagnosis = Diagnosis(facts)
        for line in before:
            self._diagnosis.add(line)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Take the numbers of a step; every rank logs the same rollouts' means."""
        if logs and state.is_world_process_zero:
            self._report(self._diagnosis.add({**logs, "step": state.global_step}))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at a phase that ended before its first look, unless it was only stopped."""
        if state.is_world_process_zero and state.global_step >= state.max_steps:
            self._report(self._diagnosis.finish())

    def _report(self, found: Iterable[Finding]) -> None:
        for finding in found:
            logger.warning("%s", finding.line)
