"""Check rows as the policy reads and writes them, with its processor and no weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rftcore import prompts
from rftcore.config import Recipe
from rftcore.errors import RecipeError
from rftcore.models.encoding import reply_tokens
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.rollout_prompts import require_equal_prompts
from rftcore.models.template_check import (
    replaced_end,
    require_plain_targets,
    unpassed,
)
from rftcore.pipeline.plan import Plan
from rftcore.splits import RL
from rftcore.training.lengths import Limit, Targets, exceeded, require_whole_prompts

logger = logging.getLogger(__name__)

Configs = Mapping[str, Any]  # TRL's configuration of each phase that is switched on


def targets_of(plan: Plan, configs: Configs, check: ProcessorCheck) -> Targets | None:
    """A counter of SFT's targets, if there is SFT."""
    if configs.get("sft") is None:
        return None
    target = prompts.target_of(plan.sft_task)
    return Targets(lambda text: reply_tokens(check.processor, text), target)


def check_rows(
    plan: Plan, configs: Configs, check: ProcessorCheck, targets: Targets | None
) -> None:
    """Check the rows that `check` and `targets` have seen; log what is only a warning.

    Raises: DataError for rows that a phase cannot take; ModelError for other tokens in rollouts;
    RecipeError for limits too short.
    """
    sft, grpo = configs.get("sft"), configs.get("grpo")
    if grpo is not None:
        check.require_one_kind(RL)
        require_equal_prompts(plan.model, check.processor)
        if line := unpassed(plan.model, check.lost):
            logger.warning(line)
    check.require_prompts_fit()
    if sft is not None:
        require_plain_targets(plan.model, check.processor)
    if sft is not None and (line := replaced_end(plan.model, check.processor, plan.recipe.policy)):
        logger.info(line)
    for warning in _crowded(plan, grpo, check):
        logger.warning(warning)
    if targets is None or sft is None:
        return
    require_whole_prompts(targets, plan.recipe, sft.max_length)
    if plan.recipe.sft.check_lengths:
        found = exceeded(targets, plan.recipe, sft, grpo, evaluated=bool(plan.splits))
        _raise_or_warn(list(found), plan.recipe)


def _crowded(plan: Plan, grpo: Any, check: ProcessorCheck) -> Iterator[str]:
    """Warnings for prompts that leave no room in the context for what the policy may write."""
    if grpo is not None:
        yield from check.crowded(RL, "grpo.max_completion_length", grpo.max_completion_length)
    for split in plan.splits:
        most = plan.recipe.evaluation.max_new_tokens
        yield from check.crowded(split, "evaluation.max_new_tokens", most)


def _raise_or_warn(exceeded: Sequence[Limit], recipe: Recipe) -> None:
    """Warn of limits that are too short. Raises: `RecipeError` for a limit that no target fits."""
    hopeless = [limit.fault(recipe) for limit in exceeded if limit.hopeless]
    if hopeless:
        raise RecipeError(*hopeless)
    for limit in exceeded:
        logger.warning("%s", limit.fault(recipe))
