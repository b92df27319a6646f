"""The loop: data, vision check, SFT, evaluation, GRPO, evaluation, summary.

Each phase starts from what the phase before wrote into the run folder and
marks itself done there, so a run that was killed continues where it stopped:
a finished phase is read back, a half-finished one continues from its last
complete checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from rftcore import distributed, prompts
from rftcore.completions import ScoredCompletion
from rftcore.evaluation.tables import Summary
from rftcore.models import vision
from rftcore.models.adapters import is_adapter, with_adapter
from rftcore.models.fingerprint import fingerprint
from rftcore.models.policy import Policy
from rftcore.pipeline.first_steps import check_first_steps
from rftcore.pipeline.fit import Fitted, fit
from rftcore.pipeline.job import Job
from rftcore.pipeline.preflight import preflight
from rftcore.pipeline.stages import evaluate_stage, evaluate_start
from rftcore.pipeline.summary import finish
from rftcore.splits import RL

logger = logging.getLogger(__name__)

ROLLOUTS_KEPT = 16  # of each step's rollouts, if groups fit


def train(job: Job) -> Summary:
    """Run every phase that is not done yet; return the table of all of them.

    Raises: `RftError` for whatever a user can fix: settings and data before a
    model loads, a blind model before the first step.
    """
    preflight(job)
    job.plan.catalogue.hooks.rft_run_start(
        run_dir=str(job.run.path), recipe=job.plan.recipe.model_dump(mode="json")
    )
    job.tracking.open()
    check_vision(job)
    check_first_steps(job)
    if job.plan.measures_base:
        evaluate_start(job)
    if job.plan.recipe.sft.enabled:
        run_phase(job, "sft", train_sft)
        if job.plan.recipe.evaluation.after_each_phase or not job.plan.recipe.grpo.enabled:
            evaluate_stage(job, "sft")
    if job.plan.recipe.grpo.enabled:
        run_phase(job, "grpo", train_grpo)
        evaluate_stage(job, "grpo")
    return finish(job)


def check_vision(job: Job) -> None:
    """Check, once per run, that the base model uses its images."""
    settings = job.plan.recipe.vision_check
    if not settings.enabled or job.run.done("vision_check"):
        return
    distributed.barrier()  # rank 0 marks it as done only after every rank has checked
    samples = vision.choose(job.plan.parts, settings.samples)
    if not samples:
        if distributed.is_main():
            logger.info("no sample has an image: the vision check is left out")
        return
    base, task = job.base(), job.plan.taught
    target = prompts.target_of(task)
    with distributed.together():
        policy = job.policies.read(base)
        shift = vision.check_vision(
            policy,
            [task.prompt(s) for s in samples],
            [target(s) if s.cot else s.gold for s in samples],
            settings.min_shift,
        )
    facts = {"mean_shift_nats": shift, "samples": len(samples)}
    job.run.record(vision_check=facts)
    job.run.mark_done("vision_check")
    distributed.barrier()


def run_phase(job: Job, phase: str, work: Callable[[Job], Fitted]) -> None:
    """Train one phase unless it is done, and notify the plugins."""
    if job.run.done(phase):
        return
    distributed.barrier()  # rank 0 marks it as done only after every rank has checked
    job.plan.catalogue.hooks.rft_phase_start(phase=phase)
    fitted = work(job)
    if distributed.is_main():  # the model is complete here; other ranks may be ahead
        written = {"model_sha256": fingerprint(job.run.model_folder(phase))}
        if is_adapter(job.run.adapter_folder(phase)):
            written["adapter_sha256"] = fingerprint(job.run.adapter_folder(phase))
        job.run.write_phase(phase, asdict(fitted) | written)
    job.run.mark_done(phase)
    distributed.barrier()
    job.plan.catalogue.hooks.rft_phase_end(phase=phase, metrics=fitted.metrics)
    job.stop.check()


def train_sft(job: Job) -> Fitted:
    """Phase 1."""
    from rftcore.training.sft import sft_trainer

    plan, phase = job.plan, "sft"
    policy = job.policies.take(job.base())

    def trainer(callbacks: list[Any]) -> Any:
        part, config = plan.part(phase), job.new_config(phase)
        return sft_trainer(policy, plan.sft_task, plan.recipe, part, config, callbacks=callbacks)

    return fit(job, phase, policy, trainer)


def train_grpo(job: Job) -> Fitted:
    """Phase 2."""
    from rftcore.training.grpo import grpo_trainer
    from rftcore.training.visits import visits_of

    plan, phase = job.plan, "grpo"
    policy = _before_grpo(job)

    def observe(step: int, rollouts: list[ScoredCompletion]) -> None:
        for rollout in kept(rollouts):
            job.run.add_rollout(rollout)
        plan.catalogue.hooks.rft_rollouts_scored(step=step, rollouts=rollouts)

    with job.scorer(phase, {"split": RL}) as scorer:

        def trainer(callbacks: list[Any]) -> Any:
            earlier = distributed.all_gather(job.run.prompts())[0]
            return grpo_trainer(
                policy,
                plan.task,
                plan.recipe,
                plan.part(phase),
                job.new_config(phase),
                scorer=scorer,
                observe=observe,
                callbacks=callbacks,
                visits=visits_of(plan.recipe, plan.part(phase), earlier, job.run.add_prompts),
            )

        return fit(job, phase, policy, trainer)


def _before_grpo(job: Job) -> Policy:
    """The policy that GRPO starts from: SFT's or the base model, or the base with SFT's adapter."""
    lora = job.plan.recipe.policy.lora
    if lora is None or lora.between == "merge" or not job.run.done("sft"):
        return job.policies.take(job.newest_policy())
    adapter = job.policies.adapter("sft")
    policy = job.policies.take(job.base())
    return replace(policy, model=with_adapter(policy.model, adapter, trainable=True))


def kept(rollouts: Sequence[ScoredCompletion]) -> list[ScoredCompletion]:
    """Whole groups, at least one, and no more than `ROLLOUTS_KEPT` if one is not larger.

    Whole, because a reward may read the others of the group when it is scored again.
    """
    groups: dict[int | None, list[ScoredCompletion]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.index, []).append(rollout)
    chosen: list[ScoredCompletion] = []
    for group in groups.values():
        if chosen and len(chosen) + len(group) > ROLLOUTS_KEPT:
            break
        chosen += group
    return chosen
