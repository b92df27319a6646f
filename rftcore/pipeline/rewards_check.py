"""Call every reward on a few samples before a model loads: one that always fails is found now.

A sample of each kind that the run scores (rollouts, evaluations) gets two completions, its
reference answer as SFT writes it and an empty text. They are scored as the run will score, by
the same parser, deadlines and workers, but nothing counts against `scoring.error_budget`.
"""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rftcore import prompts, tags
from rftcore.errors import RewardError, SampleError
from rftcore.pipeline.plan import Plan
from rftcore.scoring import Outcome, Score, Scorer
from rftcore.splits import PHASE_SPLITS
from rftcore.types import Sample

logger = logging.getLogger(__name__)

REFERENCE, EMPTY = "the reference answer", "an empty completion"


@dataclass(frozen=True)
class Trial:
    """One call of a reward. completion: `REFERENCE` or `EMPTY`. where: the sample."""

    completion: str
    where: str
    outcome: Outcome

    def __str__(self) -> str:
        return f"on {self.completion} of {self.where}: {self.outcome.note}"


def check_rewards(plan: Plan) -> None:
    """Warn of rewards that fail on a trial completion.

    Raises: RewardError for rewards that fail on every one; SampleError as scoring does.
    """
    trials: defaultdict[str, list[Trial]] = defaultdict(list)
    with Scorer.of(plan.task, plan.recipe, error_budget=sys.maxsize) as scorer:
        for sample, known in _samples(plan):
            scores = scorer.score([_reference(sample), ""], [sample] * 2, **known)
            _warn_below_one(plan, sample, scores[0])
            for completion, score in zip((REFERENCE, EMPTY), scores, strict=True):
                for name, outcome in score.parts.items():
                    trials[name].append(Trial(completion, sample.where, outcome))
    broken = []
    for name, tried in trials.items():
        failed = [trial for trial in tried if trial.outcome.failed]
        if failed and all(trial.outcome.kind == "error" for trial in tried):
            broken.append(f"reward {_named(plan, name)} failed on every trial, {failed[0]}")
        elif failed:
            _warn(plan, name, tried)
    if broken:
        raise RewardError(
            "\n".join(broken) + "\nNo completion could be scored: repair the reward before you "
            "train. `rft score` calls it on completions of a file, without a model"
        )


def _samples(plan: Plan) -> Iterator[tuple[Sample, Mapping[str, Any]]]:
    """A sample of split rl, if GRPO is enabled, and one to evaluate; what scoring knows of each.

    The two completions of a rollout are one group, and have numbers of tokens.
    """
    lengths = [1, 1]
    if plan.enabled("grpo"):
        yield plan.part("grpo")[0], {"step": 0, "groups": [0, 0], "tokens": lengths}
    evaluated = [part for part in plan.parts if part.split not in PHASE_SPLITS.values()]
    if evaluated:
        yield evaluated[0][0], {"tokens": lengths}


def _reference(sample: Sample) -> str:
    """The sample's answer as SFT writes it, with what reasoning it has."""
    try:
        return prompts.sft_target(sample)
    except SampleError:  # only SFT needs a chain of thought
        return tags.write("", sample.gold)


def _named(plan: Plan, name: str) -> str:
    """A term's name, with the plugin that offers its reward or its task."""
    override = plan.recipe.rewards.get(name)
    if override is not None and override.use:
        return f"{name!r} ({plan.catalogue.find('reward', override.use)})"
    return f"{name!r} ({plan.catalogue.find('task', plan.recipe.task)})"


def _warn(plan: Plan, name: str, tried: list[Trial]) -> None:
    """Warn of a reward that failed on some trials, or ran out of time."""
    failed = [trial for trial in tried if trial.outcome.failed]
    logger.warning(
        "reward %s failed in %d of %d trials before training, %s. In the run each failure counts "
        "against scoring.error_budget=%d: return a score for any completion, or None where the "
        "reward does not apply",
        _named(plan, name),
        len(failed),
        len(tried),
        failed[0],
        plan.recipe.scoring.error_budget,
    )


def _warn_below_one(plan: Plan, sample: Sample, score: Score) -> None:
    """Warn if a reference answer earns some accuracy but not 1: then no completion is correct."""
    name = plan.task.accuracy
    value = score.parts[name].value
    if value is not None and 0 < value < 1:
        logger.warning(
            "reward %s, the task's accuracy term, returned %g on the reference answer of %s. A "
            "completion is correct only if that term is exactly 1: return 1.0 for a right answer",
            _named(plan, name),
            value,
            sample.where,
        )
