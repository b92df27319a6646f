"""Phase 1: supervised fine-tuning on chains of thought, with TRL's `SFTTrainer`.

The loss is on the completion alone: think block, answer block, end of turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rftcore import prompts
from rftcore.config import Recipe
from rftcore.datasets.slices import take
from rftcore.models.policy import Policy, freeze
from rftcore.splits import SFT
from rftcore.training.adapt import adapt
from rftcore.training.fields import sft_config
from rftcore.training.rows import Rows, as_dataset
from rftcore.types import Task


def sft_trainer(policy: Policy, task: Task, recipe: Recipe, out: Path, callbacks: list[Any]) -> Any:
    """A trainer over the `sft` split, ready for `.train()`."""
    from trl.trainer.sft_trainer import SFTTrainer

    adapt(policy.model)
    freeze(policy, recipe.sft.freeze)
    rows = Rows(take(task, SFT, recipe.sft.samples), task.prompt, prompts.sft_target)
    return SFTTrainer(
        model=policy.model,
        args=sft_config(recipe, out),
        train_dataset=as_dataset(rows),
        processing_class=policy.processor,
        callbacks=callbacks,
    )
