"""Callbacks that end a phase that cannot continue, and report one that learns nothing.

`Finite`: the first loss, gradient or weight that is not finite ends the phase.
`Stopping`: a request to stop, as batch systems send it, ends it after the step, saved.
`Signal`, `findings`: a phase whose steps teach nothing is reported early and in the summary.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from rftcore import distributed
from rftcore.errors import TrainerError
from rftcore.signals import StopRequest

logger = logging.getLogger(__name__)

EARLY_LINES = 10  # logged without anything learned, before a warning; the phase continues


class Finite(TrainerCallback):
    """Ends a phase at the first loss, gradient or weight that is NaN or infinite.

    Gradients are checked before they reach the weights. With `fp16` they may overflow:
    the loss scaler then skips the step, so only losses and weights are checked.
    last_good: names the newest complete checkpoint, or "" if there is none.
    """

    def __init__(self, phase: str, last_good: Callable[[], str]) -> None:
        self._phase, self._last_good = phase, last_good

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Check the gradients of the step that is about to be taken."""
        if not args.fp16:
            grads = (p.grad for p in model.parameters() if p.grad is not None)
            self._require(all_finite(grads), "a gradient", state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Check the weights, before a checkpoint of them can be written."""
        weights = (p.data for p in model.parameters() if p.requires_grad)
        self._require(all_finite(weights), "a weight", state.global_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Check the loss and the norm of the gradient; every rank logs the same two."""
        for name, text in (("loss", "the loss"), ("grad_norm", "a gradient")):
            value = (logs or {}).get(name)
            if isinstance(value, (int, float)) and not (math.isfinite(value) or args.fp16):
                raise self.error(text, state.global_step)

    def _require(self, finite: bool, what: str, step: int) -> None:
        if not all(distributed.all_gather(finite)):
            raise self.error(what, step)

    def error(self, what: str, step: int) -> TrainerError:
        """What to raise for `what` that is not finite at `step`."""
        good = self._last_good()
        kept = (
            f"The last good checkpoint is {good}. " if good else "No checkpoint was written yet. "
        )
        return TrainerError(
            f"{self._phase} step {step}: {what} is not finite (NaN or infinite), so the phase "
            f"ends here. {kept}Resuming would repeat this: start again with a lower "
            f"{self._phase}.learning_rate, more warmup_steps or a max_grad_norm such as 1.0"
        )


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no value is NaN or infinite; one small result per device is read back."""
    groups: dict[torch.device, list[Tensor]] = {}
    for tensor in tensors:
        local = tensor.to_local() if hasattr(tensor, "to_local") else tensor  # a shard's own part
        if local.numel():
            groups.setdefault(local.device, []).append(local)
    return all(
        bool(torch.isfinite(torch.stack([end.float() for t in group for end in t.aminmax()])).all())
        for group in groups.values()
    )


class Stopping(TrainerCallback):
    """Ends training after the current step if a stop was requested, with a checkpoint.

    every: a checkpoint can only be continued exactly after a multiple of this number of steps
    (GRPO's `num_iterations`: rollouts that are used again are not saved).
    """

    def __init__(self, request: StopRequest, every: int = 1) -> None:
        self._request, self._every = request, every
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Agree with the other ranks, then save and stop."""
        requested = any(distributed.all_gather(self._request.received))
        if requested and state.global_step % self._every == 0:
            self.stopped = state.global_step < state.max_steps
            control.should_save = control.should_training_stop = self.stopped


class Signal(TrainerCallback):
    """Warns once, early, if the first steps of a phase teach nothing."""

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self._lines: list[Mapping[str, Any]] = []

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Keep the first steps' numbers, and look at them once there are enough."""
        if not logs or "loss" not in logs or len(self._lines) == EARLY_LINES:
            return
        self._lines.append(dict(logs))
        if len(self._lines) == EARLY_LINES and state.is_world_process_zero:
            for finding in findings(self._phase, self._lines):
                logger.warning("%s (so far, after step %s)", finding, state.global_step)


def findings(phase: str, lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why a phase learned little or nothing, the most telling reason; [] if nothing shows.

    lines: the numbers that were logged for its steps, as in `metrics.jsonl`. If none was, the
    line that closes the phase has their means.
    """
    steps = [line for line in lines if "loss" in line] or [
        line for line in lines if "train_loss" in line and "reward" in line
    ]
    if phase == "grpo" and steps and all(_unknown(line.get("reward")) for line in steps):
        return [
            f"{phase}: no completion of any step could be scored, because its rewards failed, so "
            "nothing was learned; repair them"
        ]
    for metric, idle, text in _CAUSES:
        if steps and all(line.get(metric) == idle for line in steps):
            cause = text.format(phase=phase, advice=_advice(steps))
            return [f"{phase}: {cause}"]
    return []


def none_passed_over(phase: str, lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """That a phase with `grpo.skip` passed over no prompt, from its lines of `metrics.jsonl`."""
    passed = [line["prompts/passed_over"] for line in lines if "prompts/passed_over" in line]
    if not passed or any(passed):
        return []
    return [
        f"{phase}: grpo.skip passed over no prompt. One is passed over after grpo.skip_after such "
        "groups in a row: set it to 1, or take more steps or fewer grpo.samples"
    ]


# (metric, its value in a step that teaches nothing, what to report), the most telling first
_CAUSES: tuple[tuple[str, float, str], ...] = (
    (
        "completions/clipped_ratio",
        1.0,
        "every completion was cut off at the token limit, and what is cut off seldom has an "
        "answer; raise grpo.max_completion_length, or teach the end of turn by more SFT",
    ),
    (
        "frac_reward_zero_std",
        1.0,
        "all completions of every group earned the same reward, so nothing was learned; {advice}",
    ),
    (
        "learning_rate",
        0.0,
        "the learning rate was zero at every step, so no weight changed; "
        "set {phase}.learning_rate, or fewer {phase}.warmup_steps",
    ),
    (
        "grad_norm",
        0.0,
        "the gradient was zero at every step, so no weight changed; check {phase}.freeze, "
        "{phase}.max_length and what the loss is computed on",
    ),
)


def _unknown(number: float | None) -> bool:
    """Whether there is no number. TRL leaves a NaN out of its log; `metrics.jsonl` has null."""
    return number is None or math.isnan(number)


def _advice(steps: Sequence[Mapping[str, Any]]) -> str:
    rewards = {line["reward"] for line in steps if not _unknown(line.get("reward"))}
    if len(rewards) == 1 and max(rewards) <= 0:
        return (
            f"all earned {rewards.pop():g}: no completion earns a reward. Try more SFT, easier "
            "samples, or a reward for parts of an answer"
        )
    return (
        "the policy may always earn a term, or never. Try a larger grpo.group_size, a higher "
        "grpo.temperature, or other samples, so that the completions of a prompt differ"
    )


def checksums(model: nn.Module) -> list[Tensor]:
    """Two float64 sums over each trainable parameter, to detect whether training changed it."""
    found = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            value = parameter.detach()
            local = value.to_local() if hasattr(value, "to_local") else value
            wide = local.double().flatten()
            found.append(torch.stack([wide.sum(), wide.square().sum()]).cpu())
    return found


def unchanged(before: list[Tensor], after: list[Tensor]) -> bool:
    """Whether no parameter changed between two `checksums`."""
    return all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
