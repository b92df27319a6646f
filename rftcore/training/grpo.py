"""Phase 2: group relative policy optimisation, with TRL's `GRPOTrainer`.

For each prompt the policy writes G completions; the reward of completion i
becomes an advantage relative to its group, and one step follows:

    A_i = (R_i - mean(R)) / (std(R) + 1e-4)
    L   = - mean over tokens of  ratio * A_i  - beta * KL

One update per batch of rollouts, so the ratio is 1 and nothing is clipped.
TRL receives a single reward function: the task's weighted total from
`rftcore.scoring`, None where a required term failed, which TRL turns into no
advantage. The model reads the prompt of a group once (`shared_prefix`).

Source: arXiv:2402.03300 (GRPO); departures of the paper's trainer: docs/papers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rftcore.config import Recipe
from rftcore.data import Rows, Slice, take
from rftcore.models import Policy, freeze
from rftcore.scoring import Score, Scorer
from rftcore.training.fields import grpo_config
from rftcore.training.rows import as_dataset
from rftcore.training.shared_prefix import SharedPrompts
from rftcore.types import Task

Observer = Callable[[int, list[dict[str, Any]]], None]


def grpo_trainer(
    policy: Policy,
    task: Task,
    recipe: Recipe,
    out: Path,
    *,
    scorer: Scorer,
    observe: Observer,
    callbacks: list[Any],
) -> Any:
    """A trainer over the `rl` split, ready for `.train()`.

    observe: called once per step with the step and its scored rollouts.
    """
    from trl.trainer.grpo_trainer import GRPOTrainer

    freeze(policy, recipe.grpo.freeze)
    shared = SharedPrompts(recipe.grpo.shared_prefix)
    part = take(task, "rl", recipe.grpo.samples)
    trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=[reward_function(part, scorer, observe)],
        args=grpo_config(recipe, out),
        train_dataset=as_dataset(Rows(part, task.prompt)),
        processing_class=policy.processor,
        callbacks=[shared, *callbacks],
    )
    shared.install(trainer)
    return trainer


def reward_function(part: Slice, scorer: Scorer, observe: Observer) -> Callable[..., list[Any]]:
    """The one function TRL calls: completions in, total or None out, per completion.

    Rows of one prompt carry the same `row`, which makes them a group. Rewards
    and observers see the number of the step that the rollouts lead to. A length
    in tokens counts the end of turn, where the policy wrote one.
    """

    def total_reward(
        completions: Sequence[Any],
        row: Sequence[int],
        completion_ids: Sequence[Sequence[int]] | None = None,
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        step = trainer_state.global_step + 1 if trainer_state is not None else 1
        texts = [completion_text(c) for c in completions]
        tokens = None if completion_ids is None else [len(ids) for ids in completion_ids]
        samples = [part[index] for index in row]
        scores = scorer.score(texts, samples, step=step, groups=row, tokens=tokens)
        if log_metric is not None:
            for name, value in batch_metrics(scores).items():
                log_metric(name, value)
        observe(step, [_rollout(*each) for each in zip(row, texts, scores, strict=True)])
        return [score.total for score in scores]

    return total_reward


def completion_text(completion: Any) -> str:
    """The text of one completion as TRL hands it over: a list of messages, or a string."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def batch_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Means over a batch: accuracy, each term's value and the share of refused answers."""
    n = len(scores)
    metrics = {
        "accuracy": sum(score.correct for score in scores) / n,
        "refused": sum(not score.parsed.ok for score in scores) / n,
    }
    for name in scores[0].parts:
        values = [score.parts[name].value for score in scores]
        known = [value for value in values if value is not None]
        if known:
            metrics[f"reward/{name}"] = sum(known) / len(known)
    return metrics


def _rollout(row: int, text: str, score: Score) -> dict[str, Any]:
    return {
        "row": row,
        "completion": text,
        "answer": None if score.parsed.value is None else str(score.parsed.value),
        "total": score.total,
        "parts": {
            name: {"kind": p.kind, "value": p.value, "note": p.note}
            for name, p in score.parts.items()
        },
    }
