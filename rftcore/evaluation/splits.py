"""Measure a policy on a split: fixed decoding, the same prompt, parser and rewards as training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from rftcore import distributed, tags
from rftcore.completions import ScoredCompletion
from rftcore.datasets.slices import Slice, take
from rftcore.errors import RecipeError
from rftcore.evaluation.intervals import wilson
from rftcore.evaluation.scores import SplitScore
from rftcore.models.completions import generate
from rftcore.models.encoding import opening
from rftcore.models.policy import Policy
from rftcore.progress import Bar
from rftcore.prompts import made
from rftcore.scoring import Scorer
from rftcore.types import PromptMaker, Task


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
) -> tuple[SplitScore, list[ScoredCompletion]]:
    """Greedy completions for the first `limit` samples of `split`, scored.

    prompt: "reason" shows the task's prompt, "direct" its `direct_prompt`.
    Raises: `DataError` for an unknown split; `RewardError` from `scorer`.
    """
    part = take(task, split, limit)
    with distributed.main_first():
        part.prepare()
    maker = prompt_of(task, prompt)
    answered: list[ScoredCompletion] = []
    label = f"evaluating {split}" + (f" ({prompt} prompt)" if prompt != "reason" else "")
    size = len(distributed.shard(len(part)))
    with scorer.collective(), Bar(size, label, "sample", show=progress) as bar:
        for indices in _batches(len(part), batch_size):
            answered += _answer(policy, maker, scorer, part, indices, max_new_tokens)
            bar.update(len(indices), accuracy=_so_far(answered))
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
    answered: Sequence[ScoredCompletion],
    *,
    accuracy: str = "accuracy",
    parser: str = "strict",
) -> SplitScore:
    """Sum up one split, whose answers a "strict" or "forgiving" parser has read.

    accuracy: the name of the task's accuracy term. What a failed call did not decide is
    neither right nor wrong: it is counted separately.
    """
    known = [a.correct for a in answered if a.correct is not None]
    low, high = wilson(sum(known), len(known)) if known else (None, None)
    names = answered[0].rewards if answered else {}
    failures = {name: sum(name in a.failures for a in answered) for name in names}
    failed = failures.get(accuracy, 0)
    return SplitScore(
        split=split,
        prompt=prompt,
        n=len(known),
        accuracy=sum(known) / len(known) if known else None,
        low=low,
        high=high,
        unparsed=_share(answered, lambda a: a.parse_error is not None),
        clipped=_share(answered, lambda a: bool(a.clipped)),
        tokens=_share(answered, lambda a: a.tokens or 0),
        rewards={name: _mean_reward(answered, name) for name in names},
        parser=parser,
        failed=failed,
        not_applicable=len(answered) - len(known) - failed,
        failures={name: count for name, count in failures.items() if count},
    )


def _answer(
    policy: Policy,
    maker: PromptMaker,
    scorer: Scorer,
    part: Slice,
    indices: Sequence[int],
    max_new_tokens: int,
) -> list[ScoredCompletion]:
    samples = [part[index] for index in indices]
    shown = [made(maker, sample) for sample in samples]
    written = generate(policy, shown, max_new_tokens)
    opened = opening(policy, shown[0])
    texts = [tags.after_prompt(opened, each.text) for each in written]
    scores = scorer.score(texts, samples, tokens=[each.tokens for each in written])
    return [
        score.record(
            sample,
            text,
            split=part.split,
            index=index,
            tokens=each.tokens,
            clipped=each.clipped,
        )
        for index, sample, text, each, score in zip(
            indices, samples, texts, written, scores, strict=True
        )
    ]


def _batches(count: int, size: int) -> Iterator[Sequence[int]]:
    """The indices of this rank's shard of `count` samples, at most `size` at a time."""
    mine = distributed.shard(count)
    for start in range(0, len(mine), size):
        yield mine[start : start + size]


def _share(answered: Sequence[ScoredCompletion], of: Callable[[ScoredCompletion], float]) -> float:
    return sum(of(a) for a in answered) / len(answered) if answered else math.nan


def _mean_reward(answered: Sequence[ScoredCompletion], name: str) -> float | None:
    values = [a.rewards[name] for a in answered]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _so_far(answered: Sequence[ScoredCompletion]) -> str:
    known = [a.correct for a in answered if a.correct is not None]
    return f"{sum(known) / len(known):.1%}" if known else "-"
