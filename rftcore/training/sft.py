"""Phase 1: supervised fine-tuning on chains of thought or answers, with TRL's `SFTTrainer`.

The loss is on the completion alone: think block, answer block, end of turn (`rows.written`), or
the bare answer and the end of turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rftcore.config import Recipe
from rftcore.datasets.slices import Slice
from rftcore.models.loading import without_router_logits
from rftcore.models.policy import Policy
from rftcore.prompts import target_of
from rftcore.training.adapt import adapt, without_unknown_experts
from rftcore.training.engine import shard_on_cpu
from rftcore.training.rows import Rows, as_dataset, written
from rftcore.training.starts import without_starts
from rftcore.training.trained import choose
from rftcore.types import Task

if TYPE_CHECKING:
    from transformers import TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer


def sft_trainer(
    policy: Policy,
    task: Task,
    recipe: Recipe,
    part: Slice,
    config: SFTConfig,
    *,
    callbacks: list[TrainerCallback],
) -> SFTTrainer:
    """A trainer over `part`, ready for `.train()`.

    Raises: `ModelError` for a part to freeze that the model does not have.
    """
    from trl.trainer.sft_trainer import SFTTrainer

    shard_on_cpu(config)
    adapt(policy.model)
    without_unknown_experts(policy.model, config)
    adapter = choose(policy, recipe, "sft")
    rows = Rows(part, task.prompt, written(policy, target_of(task)))
    trainer = SFTTrainer(
        model=policy.model,
        args=config,
        train_dataset=as_dataset(rows),
        processing_class=without_starts(policy.processor),
        callbacks=callbacks,
        peft_config=adapter,
    )
    without_router_logits(policy.model)  # which TRL switches on in the configuration
    return trainer
