"""What is known of a phase before its first step, and what a check reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PAGE = "docs/why-no-reward.md"


@dataclass(frozen=True)
class Greedy:
    """The policy's evaluation before the phase: shares of `n` greedy completions of `split`."""

    split: str
    n: int
    accuracy: float
    unparsed: float
    clipped: float

    @property
    def malformed(self) -> float:
        """The share without an answer that were not cut off."""
        return max(0.0, self.unparsed - self.clipped)


MIN_P = (0.1, 0.3)  # values to suggest


@dataclass(frozen=True)
class Facts:
    """The shape and settings of a GRPO phase.

    prompts, group: prompts per batch of rollouts, and completions per prompt. rows: samples of
    split rl. steps: optimizer steps of the whole phase. reuse: optimizer steps per batch of
    rollouts. weights: of each reward term. settings: of section `grpo`, shown as "now ...".
    greedy: None if it was not measured with the prompt and parser of training.
    """

    prompts: int
    group: int
    rows: int
    steps: int
    reuse: int = 1
    weights: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    greedy: Greedy | None = None

    def now(self, name: str) -> str:
        """A setting of section `grpo` with its value: "grpo.min_p (now unset)"."""
        value = self.settings.get(name)
        return f"grpo.{name} (now {'unset' if value is None else value})"

    def cut_the_tail(self) -> str:
        """What to change where sampling slips: a `min_p` above the present one."""
        present = self.settings.get("min_p") or 0.0
        example = next((f", such as {p}" for p in MIN_P if p > present), "")
        return (
            f"Cut the tail with {self.now('min_p')}{example}, or {self.now('top_p')}, or lower "
            f"{self.now('temperature')}"
        )


@dataclass(frozen=True)
class Finding:
    """A reason why the reward does not rise.

    kind: a heading of docs/why-no-reward.md. text: one line with the numbers, their interval
    and what to change. settings: the names in it. step: the step after which it was found.
    """

    kind: str
    text: str
    settings: tuple[str, ...]
    step: int
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The text with the place that explains it."""
        return f"grpo: {self.text} ({PAGE}#{self.kind})"
