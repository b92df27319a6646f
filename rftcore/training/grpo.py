"""Phase 2: group relative policy optimization (GRPO), with TRL's `GRPOTrainer`.

The policy samples G completions per prompt; the reward of completion i becomes an
advantage relative to its group, and one optimizer step follows:

    A_i = (R_i - mean(R)) / (std(R) + 1e-4)
    L   = - mean over tokens of  ratio * A_i  - beta * KL

With one update per batch of rollouts the ratio is 1 and nothing is clipped.
TRL receives a single reward function: the task's weighted total from
`rftcore.scoring`, or None if a required term failed. TRL leaves such a
completion out of its group's mean and standard deviation and gives it advantage 0
(tests/test_unscored.py). The model reads the prompt of a group once (`shared_prefix`).

Source: arXiv:2402.03300 (GRPO). How the paper's trainer differs: docs/papers.md.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rftcore import tags
from rftcore.completions import ScoredCompletion
from rftcore.config import Recipe
from rftcore.datasets.slices import Slice
from rftcore.images.shown import Seen
from rftcore.models.encoding import opening
from rftcore.models.placeholders import placeholder_ids
from rftcore.models.policy import Policy
from rftcore.models.rollout_prompts import rollout_template_kwargs
from rftcore.rewards import attacks
from rftcore.scoring import Outcome, Score, Scorer
from rftcore.splits import RL
from rftcore.training.adapt import adapt, without_unknown_experts
from rftcore.training.agreement import GradientAgreement
from rftcore.training.cpu import fast_cpu
from rftcore.training.engine import shard_on_cpu
from rftcore.training.groups import group_metrics
from rftcore.training.order import Order
from rftcore.training.rollout_check import RolloutCheck
from rftcore.training.rows import Rows, as_dataset
from rftcore.training.sampling_mask import SamplingMask
from rftcore.training.shared_prefix import SharedPrompts
from rftcore.training.stand_ins import StandIns
from rftcore.training.steps import per_rollouts
from rftcore.training.template_calls import with_named_conversation
from rftcore.training.tiles import with_tile_counts
from rftcore.training.trained import base_model, choose
from rftcore.training.visits import Visits
from rftcore.types import PromptMaker, Sample, Task

if TYPE_CHECKING:
    from transformers import TrainerCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

Observer = Callable[[int, list[ScoredCompletion]], None]


class RewardFunction(Protocol):
    """How TRL calls a reward function: lists with one entry per completion, by keyword."""

    def __call__(
        self,
        completions: Sequence[Any],
        row: Sequence[int],
        completion_ids: Sequence[Sequence[int]] | None = None,
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """The reward of each completion; None for a completion without one."""


def grpo_trainer(
    policy: Policy,
    task: Task,
    recipe: Recipe,
    part: Slice,
    config: GRPOConfig,
    *,
    scorer: Scorer,
    observe: Observer,
    callbacks: list[TrainerCallback],
    visits: Visits | None = None,
) -> GRPOTrainer:
    """A trainer over `part`, ready for `.train()`.

    observe: called once per step with the step and its scored rollouts. visits: chooses prompts
    by what their groups earned; by default each epoch draws every prompt.
    Raises: `ModelError` if grpo.freeze names a part that the model does not have, or if
    grpo.shared_prefix=on or grpo.sampling_mask=on and the model does not allow it.
    """
    from trl.trainer.grpo_trainer import GRPOTrainer

    shard_on_cpu(config)
    adapt(base_model(policy.model), bf16=bool(config.bf16))
    without_unknown_experts(policy.model, config)
    adapter = choose(policy, recipe, "grpo")
    shared, mask = SharedPrompts(recipe.grpo.shared_prefix), SamplingMask(recipe.grpo.sampling_mask)
    check = RolloutCheck(mask)
    opened = opening(policy, task.prompt(part[0]))
    order = Order(
        len(part),
        recipe.grpo.prompts_per_step,
        seed=config.seed,
        shuffle=bool(config.shuffle_dataset),
        curriculum=visits.curriculum if visits else None,
    )
    config.shuffle_dataset = False  # `order` shuffles
    config.chat_template_kwargs = rollout_template_kwargs(policy.processor) or None
    if not config.use_vllm:  # TRL itself suppresses `image_token_id` alone
        own: Any = config.generation_kwargs or {}
        config.generation_kwargs = {"suppress_tokens": placeholder_ids(policy), **own}
    group = config.num_generations
    reward = reward_function(
        part,
        scorer,
        observe,
        opened=opened,
        visits=visits,
        group=group,
        prompt=task.prompt,
        seen=policy.seen_size,
    )
    images = StandIns(policy.processor)
    processor = with_named_conversation(policy.processor)
    trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=[reward],
        args=config,
        train_dataset=as_dataset(Rows(part, task.prompt), order.sample),
        processing_class=images.processor(processor)
        if images.names
        else with_tile_counts(processor),
        callbacks=[
            *(order, mask, shared, check, GradientAgreement(per_rollouts(config))),
            *callbacks,
            *([visits] if visits else []),
        ],
        peft_config=adapter,
    )
    images.install(trainer)
    mask.install(trainer)
    shared.install(trainer)
    check.install(trainer)
    setattr(trainer, "train", fast_cpu()(trainer.train))  # noqa: B010 - a method, to mypy
    return trainer


def reward_function(
    part: Slice,
    scorer: Scorer,
    observe: Observer,
    *,
    opened: str = "",
    visits: Visits | None = None,
    group: int | None = None,
    prompt: PromptMaker | None = None,
    seen: Seen | None = None,
) -> RewardFunction:
    """The reward function of a run: the task's weighted total per completion, or None.

    Completions with the same `row` are a group. Rewards and observers receive the number of
    the step that the rollouts lead to. A length in tokens includes the end-of-turn token if the
    policy wrote one. `group` is the size of a group, for the metrics of groups.
    `opened` is the tag that the chat template leaves open: it is put in front
    of each completion before scoring and storing. `prompt` and `seen` are for the images of
    stored rollouts: what the task's prompt shows, by default the sample's own, and at which size.
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
        texts = [tags.after_prompt(opened, completion_text(c)) for c in completions]
        tokens = None if completion_ids is None else [len(ids) for ids in completion_ids]
        start = time.perf_counter()
        with scorer.collective():  # the other ranks wait in TRL's next collective
            samples = [part[index] for index in row]
            scores = scorer.score(texts, samples, step=step, groups=row, tokens=tokens)
        if log_metric is not None:
            log_metric("scoring_time_s", time.perf_counter() - start)
            found = batch_metrics(scores) | attack_metrics(texts, samples)
            found |= group_metrics(row, scores, group) if group else {}
            for name, value in found.items():
                log_metric(name, value)
            if visits is not None:
                log_metric("prompts/passed_over", visits.passed_over)
        if visits is not None:
            visits.scored(row, scores)
        lengths: Sequence[int | None] = tokens or [None] * len(row)
        rollouts = [
            score.record(
                sample,
                text,
                split=RL,
                index=index,
                step=step,
                tokens=length,
                images=(prompt(sample) if prompt else sample).images,
                seen=seen,
            )
            for index, sample, text, length, score in zip(
                row, samples, texts, lengths, scores, strict=True
            )
        ]
        observe(step, rollouts)
        return [score.total for score in scores]

    return total_reward


def completion_text(completion: Any) -> str:
    """The text of one completion as TRL passes it: a list of messages, or a string."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def batch_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Means over a batch: accuracy, share of unparsed answers, and each term's own numbers.

    Accuracy is the mean over completions that have one; it is left out if none has.
    """
    known = [score.correct for score in scores if score.correct is not None]
    metrics = {"accuracy": sum(known) / len(known)} if known else {}
    metrics["unparsed"] = sum(not score.parsed.ok for score in scores) / len(scores)
    for name in scores[0].parts:
        metrics.update(_term_metrics(name, [score.parts[name] for score in scores]))
    return metrics


def attack_metrics(completions: Sequence[str], samples: Sequence[Sample]) -> dict[str, float]:
    """Shares of completions that look like an attempt to win without solving, by kind.

    "attacks" is the share with any sign; kinds that do not occur are left out. A sign that the
    gold answer shows too, such as a list, does not count.
    """
    found = [
        set(attacks.signs(text)) - set(attacks.signs(f"<answer>{sample.gold}</answer>"))
        for text, sample in zip(completions, samples, strict=True)
    ]
    counts = Counter(kind for signs in found for kind in signs)
    shares = {f"attack/{kind}": count / len(found) for kind, count in sorted(counts.items())}
    return {"attacks": sum(map(bool, found)) / len(found), **shares}


def _term_metrics(name: str, parts: Sequence[Outcome]) -> Iterator[tuple[str, float]]:
    """A term's mean value, mean seconds per call, and share of each kind of failure."""
    known = [part.value for part in parts if part.value is not None]
    if known:
        yield f"reward/{name}", sum(known) / len(known)
    yield f"reward_time_s/{name}", sum(part.seconds for part in parts) / len(parts)
    for kind in ("error", "timeout"):
        yield f"reward_{kind}/{name}", sum(part.kind == kind for part in parts) / len(parts)
