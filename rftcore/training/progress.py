"""What a user watches: one live bar per phase, and the metrics file behind it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from transformers import PrinterCallback, TrainerCallback

from rftcore.bars import Bar

# TRL's metric -> the short name on the bar
SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "accuracy": "accuracy",
    "completions/mean_length": "tokens",
}

Sink = Callable[[dict[str, Any]], None]


class Progress(TrainerCallback):
    """Draws the bar and hands every log line to `sink`."""

    def __init__(self, phase: str, sink: Sink, *, show: bool = True) -> None:
        self.phase = phase
        self.last: dict[str, float] = {}
        self._sink = sink
        self._show = show
        self._bar: Bar | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar where a resumed run left off."""
        show = self._show and state.is_world_process_zero
        self._bar = Bar(state.max_steps, self.phase, "step", initial=state.global_step, show=show)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance by one optimiser step."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Show the few numbers that matter; keep all of them."""
        numbers = {k: v for k, v in (logs or {}).items() if isinstance(v, (int, float))}
        if not numbers or not state.is_world_process_zero:
            return
        self.last.update(numbers)
        self._sink({"phase": self.phase, "step": state.global_step, **numbers})
        if self._bar is not None:
            shown = {short: f"{numbers[k]:.3g}" for k, short in SHOWN.items() if k in numbers}
            self._bar.note(**shown)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def quiet(trainer: Any) -> Any:
    """Take TRL's own line printer away: the bar and the metrics file replace it."""
    trainer.remove_callback(PrinterCallback)
    return trainer


def hush() -> None:
    """Silence what the libraries below us tell one another, not the user.

    Bars over a hundred tensors of a few kilobytes, and deprecations of names
    that TRL itself passes to transformers.
    """
    from transformers.utils import logging

    log: Any = logging  # untyped in transformers
    log.disable_progress_bar()
    for module in ("transformers", "trl", "torch"):
        warnings.filterwarnings("ignore", category=FutureWarning, module=module)
