"""Progress of training: one live bar per phase, and the lines of the metrics file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from transformers import PrinterCallback, TrainerCallback

from rftcore.progress import Bar
from rftcore.training.library_logs import without_bars

# TRL's metric -> the short name on the bar
SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "accuracy": "accuracy",
    "completions/mean_length": "tokens",
}

Sink = Callable[[dict[str, Any]], None]


class Progress(TrainerCallback):
    """Draws the bar and passes every log line to `sink`.

    before: the lines of the phase up to the checkpoint that it continues from. TRL's count of
    tokens and transformers' mean loss do not include them, so they are added here.
    """

    def __init__(
        self,
        phase: str,
        sink: Sink,
        *,
        before: Sequence[Mapping[str, Any]] = (),
        show: bool = True,
    ) -> None:
        self.phase = phase
        self.last: dict[str, float] = {}
        for line in before:
            self.last.update({k: v for k, v in line.items() if k not in ("phase", "step")})
        # TRL keeps GRPO's count in the state of the trainer, and SFT's nowhere
        self._tokens = _Total(before if phase == "sft" else (), "num_tokens")
        self._loss = _MeanLoss(before)
        self._sink = sink
        self._show = show
        self._bar: Bar | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar where a resumed run left off."""
        self._loss.begin(state.global_step)
        show = self._show and state.is_world_process_zero
        self._bar = Bar(state.max_steps, self.phase, "step", initial=state.global_step, show=show)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance by one optimizer step."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Show the few numbers that matter; keep all of them."""
        numbers = {k: v for k, v in (logs or {}).items() if isinstance(v, (int, float))}
        if not numbers or not state.is_world_process_zero:
            return
        if "train_loss" in numbers and state.global_step < state.max_steps:
            return  # the line that closes a phase, but this one was stopped and will continue
        numbers = self._loss.whole(self._tokens.whole(numbers), state.global_step)
        self.last.update(numbers)
        self._sink({"phase": self.phase, "step": state.global_step, **numbers})
        if self._bar is not None:
            shown = {short: f"{numbers[k]:.3g}" for k, short in SHOWN.items() if k in numbers}
            self._bar.note(**shown)

    def finish(self, state: Any, seconds: float) -> None:
        """Write the line that closes a phase, for one that was interrupted just before it."""
        if "train_loss" in self.last:
            return
        closing = {"train_runtime": seconds, "total_flos": state.total_flos, "train_loss": 0.0}
        self.on_log(None, state, None, logs={**closing, "epoch": state.epoch})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


class _Total:
    """A count that starts from zero in each session, as the count of the whole phase."""

    def __init__(self, before: Sequence[Mapping[str, Any]], name: str) -> None:
        counts = [line[name] for line in before if name in line]
        self._name, self._before = name, counts[-1] if counts else 0

    def whole(self, numbers: dict[str, float]) -> dict[str, float]:
        """The numbers with the count of the whole phase."""
        if self._name not in numbers:
            return numbers
        return {**numbers, self._name: numbers[self._name] + self._before}


class _MeanLoss:
    """The mean loss over the steps of a phase: transformers divides this session's sum by all.

    Left out are steps whose loss an earlier session has not logged (`logging_steps` above 1).
    """

    def __init__(self, before: Sequence[Mapping[str, Any]]) -> None:
        self._sum, self._step, self._unknown = 0.0, 0, 0
        for line in before:
            self._add(line, line["step"])
        self._before = self._sum

    def begin(self, step: int) -> None:
        """Begin a session after `step`."""
        self._unknown += step - self._step
        self._step = step

    def whole(self, numbers: dict[str, float], step: int) -> dict[str, float]:
        """The numbers with `train_loss`, if it is there, over the whole phase."""
        self._add(numbers, step)
        if "train_loss" not in numbers:
            return numbers
        # transformers' own sum has the last steps, too, if no line was logged after them
        own = self._before + numbers["train_loss"] * step
        total, known = self._sum if self._step == step else own, step - self._unknown
        rest = {name: number for name, number in numbers.items() if name != "train_loss"}
        return {**rest, "train_loss": total / known} if known else rest

    def _add(self, numbers: Mapping[str, Any], step: int) -> None:
        if "loss" in numbers:  # the mean since the last line
            self._sum += numbers["loss"] * (step - self._step)
            self._step = step


def quiet(trainer: Any) -> Any:
    """Take TRL's own line printer away: the bar and the metrics file replace it."""
    trainer.remove_callback(PrinterCallback)
    return trainer


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Leave out what the libraries below rft show within the block; restore it afterwards.

    Bars over a hundred tensors of a few kilobytes, and deprecations of names that TRL itself
    passes to transformers. The command line uses this; `rft.train` leaves the warnings alone, and
    with `progress=False` has no bars either.
    """
    with without_bars(), warnings.catch_warnings():
        for module in ("transformers", "trl", "torch"):
            warnings.filterwarnings("ignore", category=FutureWarning, module=module)
        yield
