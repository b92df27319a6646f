"""What GRPO would learn from: completions of the policy, sampled and scored as in training.

A group teaches if its rewards differ. The completions of a prompt resemble one another, so a
share of completions is worth fewer observations than there are (`clustered`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import fmean, variance
from typing import Any

from rftcore import tags
from rftcore.models.completions import Completion, Draw, generate
from rftcore.models.encoding import opening
from rftcore.models.placeholders import placeholder_ids
from rftcore.models.policy import Policy
from rftcore.pipeline.plan import Plan
from rftcore.planning.tokens import spread
from rftcore.scoring import Score, Scorer
from rftcore.training.groups import group_metrics
from rftcore.training.signal.steps import Share, Step, accuracy

SAMPLING = ("top_p", "top_k", "min_p", "repetition_penalty")
LITTLE = 0.5  # share of groups that teach, below which a line warns


@dataclass(frozen=True)
class Forecast:
    """Shares, each worth a number of independent observations. passed: None if none is known.

    teaching, right, wrong: of groups; rewards differ, or all completions are right, or wrong.
    """

    prompts: int
    group: int
    parsed: Share
    truncated: Share
    passed: Share | None
    teaching: Share
    right: Share
    wrong: Share

    def lines(self) -> Iterator[str]:
        """For a terminal: percent with 95 % intervals."""
        yield f"  {self.prompts} prompts of split rl, {self.group} completions each"
        for name, share in (
            ("completions with an answer", self.parsed),
            ("completions cut off", self.truncated),
            ("completions that are right", self.passed),
            ("groups with something to learn", self.teaching),
            ("groups that are all right", self.right),
            ("groups that are all wrong", self.wrong),
        ):
            yield f"  {name:<32} {'unknown' if share is None else share}"
        if self.teaching.interval()[1] < LITTLE:
            easier = self.right.value > self.wrong.value
            change = "harder samples" if easier else "easier samples, or more SFT first"
            yield f"  most groups would teach nothing: take {change}"

    def as_data(self) -> dict[str, Any]:
        """For JSON: each share with its interval."""
        data: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            data[each.name] = value
            if isinstance(value, Share):
                low, high = value.interval()
                data[each.name] = {"share": value.value, "low": low, "high": high}
        return data


def forecast(policy: Policy, plan: Plan, config: Any, completions: int) -> Forecast:
    """Sample at least so many completions, in whole groups, of prompts spread over split rl.

    config: TRL's configuration of GRPO, whose sampling settings are used.
    Raises: `RewardError` for rewards that fail too often.
    """
    part, group = plan.part("grpo"), plan.recipe.grpo.group_size
    rows = list(spread(len(part), -(-completions // group)))
    per_batch = max(1, plan.recipe.evaluation.batch_size // group)
    written: list[Completion] = []
    scores: list[Score] = []
    with Scorer.of(plan.task, plan.recipe) as scorer:
        for start in range(0, len(rows), per_batch):
            chosen = rows[start : start + per_batch]
            made = _sampled(policy, plan, config, chosen)
            texts = [text for text, _ in made]
            samples = [part[row] for row in chosen for _ in range(group)]
            groups = [row for row in chosen for _ in range(group)]
            lengths = [each.tokens for _, each in made]
            scores += scorer.score(texts, samples, groups=groups, tokens=lengths)
            written += [each for _, each in made]
    return summed_up(written, scores, group)


def summed_up(written: Sequence[Completion], scores: Sequence[Score], group: int) -> Forecast:
    """The shares of completions whose groups are next to one another."""
    numbers = [at // group for at in range(len(scores))]
    found, count = group_metrics(numbers, scores, group), len(scores) // group

    def of_groups(name: str, value: float) -> Share:
        return Share(value, count)

    known = [score.correct for score in scores]
    return Forecast(
        prompts=count,
        group=group,
        parsed=clustered([score.parsed.ok for score in scores], group),
        truncated=clustered([each.clipped for each in written], group),
        passed=None if None in known else clustered([bool(each) for each in known], group),
        teaching=of_groups("teaching", 1 - found["groups/no_signal"]),
        right=of_groups("right", found["groups/all_right"]),
        wrong=of_groups("wrong", found["groups/all_wrong"]),
    )


def clustered(values: Sequence[bool], group: int) -> Share:
    """A share of completions, worth as many observations as the variance between groups allows."""
    means = [fmean(values[at : at + group]) for at in range(0, len(values), group)]
    line = {"accuracy": fmean(values)}
    if len(means) > 1:
        line["groups/accuracy_variance"] = variance(means)
    share = accuracy([Step(1, len(means), line)], group)
    return share or Share(fmean(values), len(means))


def _sampled(
    policy: Policy, plan: Plan, config: Any, rows: Sequence[int]
) -> list[tuple[str, Completion]]:
    """A group of completions for each row, with the text as it is scored."""
    part = plan.part("grpo")
    shown = [plan.task.prompt(part[row]) for row in rows]
    repeated = [prompt for prompt in shown for _ in range(plan.recipe.grpo.group_size)]
    settings = {name: getattr(config, name) for name in SAMPLING}
    settings |= {"suppress_tokens": placeholder_ids(policy)}  # as in GRPO
    settings |= config.generation_kwargs or {}
    draw = Draw(config.temperature, plan.recipe.seed + rows[0], settings)
    made = generate(policy, repeated, config.max_completion_length, draw)
    opened = opening(policy, shown[0])
    return [(tags.after_prompt(opened, each.text), each) for each in made]
