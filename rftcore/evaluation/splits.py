"""Measure a policy on a split: fixed decoding, the same prompt, parser and rewards as training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rftcore import distributed, tags
from rftcore.datasets.slices import Slice, take
from rftcore.errors import RecipeError
from rftcore.evaluation.intervals import wilson
from rftcore.models.completions import Completion, generate
from rftcore.models.encoding import opening
from rftcore.models.policy import Policy
from rftcore.progress import Bar
from rftcore.prompts import made
from rftcore.scoring import Score, Scorer
from rftcore.types import PromptMaker, Sample, SplitScore, Task


@dataclass(frozen=True)
class Answered:
    """One sample without its pictures, what the policy wrote and how it was scored."""

    sample: Sample
    completion: Completion
    score: Score

    def record(self) -> dict[str, Any]:
        """A JSON-ready line for the run folder."""
        return {
            "id": self.sample.id,
            "question": self.sample.question,
            "gold": self.sample.gold,
            "completion": self.completion.text,
            "tokens": self.completion.tokens,
            "answer": self.score.answer,
            "parse_error": self.score.parsed.error,
            "correct": self.score.correct,
            "rewards": {name: part.value for name, part in self.score.parts.items()},
            "failures": self.score.failures,
        }


def evaluate_split(
    policy: Policy,
    task: Task,
    split: str,
    *,
    scorer: Scorer,
    limit: int | None = None,
    prompt: str = "reason",
    batch_size: int = 64,
    max_new_tokens: int = 512,
    progress: bool = True,
) -> tuple[SplitScore, list[Answered]]:
    """Greedy completions for the first `limit` samples of `split`, scored.

    prompt: "reason" shows the task's prompt, "direct" its `direct_prompt`.
    Raises: `DataError` for an unknown split; `RewardError` from `scorer`.
    """
    part = take(task, split, limit)
    with distributed.main_first():
        part.prepare()
    maker = prompt_of(task, prompt)
    answered: list[Answered] = []
    label = f"evaluating {split}" + (f" ({prompt} prompt)" if prompt != "reason" else "")
    size = len(distributed.shard(len(part)))
    with scorer.collective(), Bar(size, label, "sample", show=progress) as bar:
        for samples in _batches(part, batch_size):
            answered += _answer(policy, maker, scorer, samples, max_new_tokens)
            bar.update(len(samples), accuracy=_so_far(answered))
    answered = distributed.gather(answered, len(part))
    score = split_score(split, prompt, answered, accuracy=task.accuracy, parser=scorer.reads)
    return score, answered


def prompt_of(task: Task, name: str) -> PromptMaker:
    """The task's prompt by name: "reason" or "direct"."""
    if name == "reason":
        return task.prompt
    if name == "direct" and task.direct_prompt is not None:
        return task.direct_prompt
    raise RecipeError(f"task {task.name!r} has no {name!r} prompt; use 'reason'")


def split_score(
    split: str,
    prompt: str,
    answered: Sequence[Answered],
    *,
    accuracy: str = "accuracy",
    parser: str = "strict",
) -> SplitScore:
    """Sum up one split, whose answers a "strict" or "forgiving" parser has read.

    accuracy: the name of the task's accuracy term. What a failed call did not decide is
    neither right nor wrong: it is counted beside.
    """
    known = [a.score.correct for a in answered if a.score.correct is not None]
    low, high = wilson(sum(known), len(known)) if known else (None, None)
    names = answered[0].score.parts if answered else {}
    failures = {name: sum(a.score.parts[name].failed for a in answered) for name in names}
    failed = failures.get(accuracy, 0)
    return SplitScore(
        split=split,
        prompt=prompt,
        n=len(known),
        accuracy=sum(known) / len(known) if known else None,
        low=low,
        high=high,
        unparsed=_share(answered, lambda a: not a.score.parsed.ok),
        clipped=_share(answered, lambda a: a.completion.clipped),
        tokens=_share(answered, lambda a: a.completion.tokens),
        rewards={name: _mean_reward(answered, name) for name in names},
        parser=parser,
        failed=failed,
        not_applicable=len(answered) - len(known) - failed,
        failures={name: count for name, count in failures.items() if count},
    )


def _answer(
    policy: Policy, maker: PromptMaker, scorer: Scorer, samples: list[Sample], max_new_tokens: int
) -> list[Answered]:
    asked = [made(maker, sample) for sample in samples]
    written = generate(policy, asked, max_new_tokens)
    opened = opening(policy, asked[0])
    completions = [replace(c, text=tags.after_prompt(opened, c.text)) for c in written]
    tokens = [c.tokens for c in completions]
    scores = scorer.score([c.text for c in completions], samples, tokens=tokens)
    plain = [replace(sample, images=()) for sample in samples]  # what is read need not travel
    return [Answered(*each) for each in zip(plain, completions, scores, strict=True)]


def _batches(part: Slice, size: int) -> Iterator[list[Sample]]:
    """This process's share of the samples."""
    mine = distributed.shard(len(part))
    for start in range(0, len(mine), size):
        yield [part[index] for index in mine[start : start + size]]


def _share(answered: Sequence[Answered], of: Callable[[Answered], float]) -> float:
    return sum(of(a) for a in answered) / len(answered) if answered else math.nan


def _mean_reward(answered: Sequence[Answered], name: str) -> float | None:
    values = [a.score.parts[name].value for a in answered]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _so_far(answered: Sequence[Answered]) -> str:
    known = [a.score.correct for a in answered if a.score.correct is not None]
    return f"{sum(known) / len(known):.1%}" if known else "-"
