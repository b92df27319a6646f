"""Take the first step of both phases before training, and explain what fails in it.

After it, a prompt is read alone and beside another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from rftcore import distributed
from rftcore.config import Recipe
from rftcore.errors import ModelError, RftError
from rftcore.models.encoding import sentence
from rftcore.models.policy import Policy
from rftcore.pipeline.job import Job
from rftcore.splits import PHASE_SPLITS

logger = logging.getLogger(__name__)

UNTRIED = ("use_vllm", "torch_compile")  # a server of weights, minutes of compilation


def check_first_steps(job: Job) -> None:
    """Take one step, without its update, of each phase that is to come.

    Raises: `ModelError` naming model, family, phase and what to change, if one fails.
    """
    phases = [phase for phase in PHASE_SPLITS if job.to_come(phase)]
    if phases and (reason := _sharded(job, phases)):
        if distributed.is_main():
            logger.info("the first steps are not tried before training: %s", reason)
        return
    for phase in phases:
        untried = [name for name in UNTRIED if getattr(job.configs[phase], name, False)]
        if untried and distributed.is_main():
            names = " and ".join(f"{phase}.{name}" for name in untried)
            logger.info("the first step of %s is tried without %s", phase, names)
        _check(job, phase)
    if phases:
        _check_rows(job, phases[0])


def _check_rows(job: Job, phase: str) -> None:
    """Check that a prompt of a phase is read alike alone and beside another.

    After the steps, whose errors have advice.
    """
    from rftcore.training import real_step

    policy = job.policies.lend(_start(job, phase)[0], job.plan.recipe.policy.dtype)
    task = job.plan.sft_task if phase == "sft" else job.plan.task
    sample = real_step.choose(job.plan.part(phase), task)[-1]  # one of few pixels
    try:
        real_step.read_beside_another(policy, task.prompt(sample))
    except RftError:
        raise
    except Exception as error:  # whatever the family's processor and model raise
        raise ModelError(
            f"{policy.source}: {type(policy.model).__name__} cannot read two prompts of different "
            f"length in one batch, as rollouts and evaluation do: {sentence(error)}"
        ) from error


def _check(job: Job, phase: str) -> None:
    from rftcore.training import real_step

    plan = job.plan
    source, adapter = _start(job, phase)
    policy = job.policies.lend(source, plan.recipe.policy.dtype)
    task = plan.sft_task if phase == "sft" else plan.task
    samples = real_step.choose(plan.part(phase), task)

    def attempt(recipe: Recipe) -> None:
        real_step.take_step(phase, policy, task, recipe, samples, adapter=adapter)

    try:
        attempt(plan.recipe)
    except RftError:
        raise
    except Exception as error:  # whatever TRL and the family's model raise
        raise _explained(phase, policy, plan.recipe, error, attempt) from error


def _start(job: Job, phase: str) -> tuple[str | Path, Path | None]:
    """The policy that a phase starts from, or would if SFT had been done, and SFT's adapter."""
    lora = job.plan.recipe.policy.lora
    if phase == "grpo" and lora and lora.between == "continue" and job.run.done("sft"):
        return job.base(), job.policies.adapter("sft")
    return job.newest_policy(), None


def _sharded(job: Job, phases: list[str]) -> str:
    """Why a model cannot be restored after a step, or ""."""
    from rftcore.training.engine import sharded_by

    by = next(filter(None, (sharded_by(job.configs[phase]) for phase in phases)), "")
    return f"{by} divides the weights over processes" if by else ""


class Change(NamedTuple):
    """A change of settings that may let a phase train."""

    setting: str
    values: dict[str, Any]


def _changes(phase: str, recipe: Recipe) -> Iterator[Change]:
    section = getattr(recipe, phase)
    extra = section.model_extra or {}
    if phase == "grpo" and recipe.grpo.shared_prefix != "off":
        yield Change("grpo.shared_prefix=off", {"shared_prefix": "off"})
    if phase == "grpo" and recipe.grpo.sampling_mask != "off":
        yield Change("grpo.sampling_mask=off", {"sampling_mask": "off"})
    if phase == "grpo" and extra.get("beta"):
        yield Change("grpo.beta=0.0", {"beta": 0.0})
    if extra.get("activation_checkpointing", True):
        change = {"activation_checkpointing": False}
        yield Change(f"{phase}.activation_checkpointing=false", change)


def _explained(
    phase: str,
    policy: Policy,
    recipe: Recipe,
    error: Exception,
    attempt: Callable[[Recipe], None],
) -> ModelError:
    """The error to raise for an exception in the first step of a phase."""
    kind = getattr(policy.model.config, "model_type", "?")
    what = (
        f"{policy.source} ({type(policy.model).__name__}, family {kind!r}) cannot take a step of "
        f"{phase} with TRL {metadata.version('trl')}: {type(error).__name__}: {sentence(error)}"
    )
    if "out of memory" in str(error).lower():
        return ModelError(
            f"{what}. Memory is too small for one step of two rows: use a smaller model, smaller "
            f"images, {phase}.micro_batch=1 or {phase}.activation_checkpointing=true"
        )
    for change in _changes(phase, recipe) if distributed.world_size() == 1 else ():
        section = getattr(recipe, phase).model_copy(update=change.values)
        try:
            attempt(recipe.model_copy(update={phase: section}))
        except Exception:
            continue
        return ModelError(f"{what}. It can with `--set {change.setting}`")
    other = "grpo" if phase == "sft" else "sft"
    return ModelError(
        f"{what}. TRL does not train this family with these rows: pass another model to --model, "
        f"or leave the phase out (--set {phase}.enabled=false) and train with {other} alone. "
        "RFT_DEBUG=1 shows the traceback"
    )
