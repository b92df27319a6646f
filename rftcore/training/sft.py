"""Phase 1: supervised fine-tuning on chains of thought, with TRL's `SFTTrainer`.

The loss is on the completion alone: think block, answer block, end of turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rftcore import prompts
from rftcore.config import Recipe
from rftcore.datasets.slices import Slice
from rftcore.models.policy import Policy, freeze
from rftcore.training.adapt import adapt
from rftcore.training.rows import Rows, as_dataset
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

    adapt(policy.model)
    freeze(policy, recipe.sft.freeze)
    rows = Rows(part, task.prompt, prompts.sft_target)
    return SFTTrainer(
        model=policy.model,
        args=config,
        train_dataset=as_dataset(rows),
        processing_class=policy.processor,
        callbacks=callbacks,
    )
