"""Check that the targets of SFT fit the completion limits.

A completion that is cut off has no answer. If a target is longer than the policy's
limits, its sample has no reward and no score however well it was learned, and the
loss does not show it. The check needs a tokenizer, but no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rftcore import prompts
from rftcore.config import Recipe, fault
from rftcore.errors import Fault, RecipeError
from rftcore.models.processor_check import Length
from rftcore.splits import SFT
from rftcore.types import Sample, TargetMaker


@dataclass(frozen=True)
class Limit:
    """A setting that some targets may exceed; `rule` is what then happens to them."""

    setting: tuple[str, str]
    most: int | None
    lengths: Sequence[Length]
    rule: str

    @property
    def over(self) -> int:
        """How many of the lengths do not fit."""
        return 0 if self.most is None else sum(tokens > self.most for tokens, _ in self.lengths)

    @property
    def hopeless(self) -> bool:
        """Whether nothing fits."""
        return bool(self.lengths) and self.over == len(self.lengths)

    def fault(self, recipe: Recipe) -> Fault:
        """The setting, how many exceed it, the longest with its row, and what would fit."""
        name, (longest, origin) = ".".join(self.setting), max(self.lengths)
        share = f"{self.over} of {len(self.lengths)}" if not self.hopeless else "all"
        rule = (
            f"too short for {share} targets of split sft: {self.rule}. The longest, {origin}, "
            f"takes {longest} tokens: --set {name}={longest} fits them all"
        )
        if self.hopeless:
            rule += ", --set sft.check_lengths=false skips this check"
        return fault(self.setting, self.most, recipe.origin(*self.setting), rule)


class Targets:
    """Counts the tokens of SFT's targets, one sample at a time. reply: the tokens of a text."""

    def __init__(
        self, reply: Callable[[str], int], target: TargetMaker = prompts.sft_target
    ) -> None:
        self.replies: list[Length] = []
        self.whole: list[Length] = []  # with the prompt
        self.prompts: list[Length] = []
        self._reply, self._target = reply, target

    def see(self, sample: Sample, split: str, prompt: int) -> None:
        """Count one sample, if it is one of SFT's; its prompt takes `prompt` tokens."""
        if split != SFT:
            return
        tokens, origin = self._reply(self._target(sample)), sample.where
        self.replies.append(Length(tokens, origin))
        self.whole.append(Length(tokens + prompt, origin))
        self.prompts.append(Length(prompt, origin))

    def facts(self) -> dict[str, Any]:
        """For the manifest: how long the targets are, in tokens of the policy."""
        mean = sum(tokens for tokens, _ in self.replies) / len(self.replies)
        longest, origin = max(self.replies)
        return {"mean": mean, "longest": longest, "longest_row": origin}


def require_whole_prompts(targets: Targets, recipe: Recipe, most: int | None) -> None:
    """Raise `RecipeError` if sft.max_length leaves nothing to learn of some row.

    The cut then falls into the prompt, and into its images: no loss, or an error in mid-training.
    """
    cut = [] if most is None else [each for each in targets.prompts if each.tokens >= most]
    if cut:
        longest, origin = max(targets.whole)
        rule = (
            f"{len(cut)} of {len(targets.prompts)} rows of split sft have a prompt of that many "
            f"tokens or more, such as {cut[0].origin} with {cut[0].tokens}, so nothing of their "
            f"target is left. The longest row, {origin}, takes {longest} tokens with its target: "
            f"--set sft.max_length={longest} fits them all, null cuts none"
        )
        path = ("sft", "max_length")
        raise RecipeError(fault(path, most, recipe.origin(*path), rule))


def exceeded(
    targets: Targets, recipe: Recipe, sft: Any, grpo: Any, *, evaluated: bool
) -> Iterator[Limit]:
    """The limits that some target exceeds. sft, grpo: TRL's configurations.

    Only what the run does counts: GRPO if it is enabled, evaluation if anything is `evaluated`.
    """
    cut = "what the policy writes is cut off before it ends"
    limits = [Limit(("sft", "max_length"), sft.max_length, targets.whole, "SFT cuts off the end")]
    if recipe.grpo.enabled:
        setting = ("grpo", "max_completion_length")
        limits.append(Limit(setting, grpo.max_completion_length, targets.replies, cut))
    if evaluated:
        setting = ("evaluation", "max_new_tokens")
        most = recipe.evaluation.max_new_tokens
        limits.append(Limit(setting, most, targets.replies, cut))
    return (limit for limit in limits if limit.over)
