"""Check settings, the model's files and the data before a model loads.

The data check reads every sample once and records fingerprints. A resumed run reads the data
again and requires the same fingerprints.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rftcore import distributed
from rftcore.config import ANSWERS
from rftcore.datasets import checks
from rftcore.datasets.overlays import Undrawn
from rftcore.datasets.reasoning import SftRows, note
from rftcore.errors import ModelError, RunError
from rftcore.models.class_check import require_trainable
from rftcore.models.encoding import opens_think
from rftcore.models.fingerprint import fingerprint
from rftcore.models.pixels import pixel_budget
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.sources import check_source
from rftcore.pipeline.job import Job
from rftcore.pipeline.rewards_check import check_rewards
from rftcore.pipeline.row_checks import check_rows, targets_of
from rftcore.runs import MANIFEST, task_file
from rftcore.splits import PHASE_SPLITS, RL
from rftcore.tracking import check_tracking
from rftcore.training.settings_check import check_model_fits, check_settings, check_steps
from rftcore.types import Sample

logger = logging.getLogger(__name__)


def preflight(job: Job) -> None:
    """Check all that can be checked before a model loads: settings, shapes, data.

    Every part ends on all ranks together: after an error, rank 0 removes a new run's folder,
    which no other rank may be reading then.
    """
    with distributed.together(), _origin_of_model(job):
        _check_plan(job)
    job.announce()
    with distributed.main_first(), _origin_of_model(job):
        _same_model(job)
    with distributed.together():
        job.scorer("data").close()  # raises for rewards that cannot be called
    with distributed.main_first(), _origin_of_model(job):
        if not job.run.done("data"):
            _check_data(job)
        elif distributed.is_main() and not _finished(job):
            _same_data(job)
            check_rewards(job.plan)


@contextmanager
def _origin_of_model(job: Job) -> Iterator[None]:
    """Name in every `ModelError` where the model was set, unless it is the default one."""
    try:
        yield
    except ModelError as error:
        origin = job.plan.recipe.origin("model")
        if origin == "default" or origin in str(error):
            raise
        raise type(error)(f"{origin}: {error}") from error


def _check_plan(job: Job) -> None:
    """Check settings, shapes and the model's files."""
    plan, run = job.plan, job.run
    check_tracking(plan.recipe)
    check_settings(plan.recipe, [phase for phase in PHASE_SPLITS if run.done(phase)])
    to_come = [phase for phase in PHASE_SPLITS if job.to_come(phase)]
    check_steps(plan.recipe, {phase: len(plan.part(phase)) for phase in to_come})
    check_source(plan.model)
    if to_come:
        require_trainable(plan.model, plan.recipe.policy)
    check_model_fits(plan.recipe, plan.model, to_come)
    for split in plan.recipe.evaluation.samples:
        if split not in plan.splits and distributed.is_main():
            logger.warning(
                "evaluation.samples.%s (%s) has no effect: evaluation.splits is %s",
                split,
                plan.recipe.origin("evaluation", "samples", split),
                ", ".join(plan.splits),
            )


def _same_model(job: Job) -> None:
    """Record the hash of the base model; a run continues only with the same model.

    Raises: `RunError` if its files have changed since the run began.
    """
    now = fingerprint(job.plan.model)
    before = job.run.manifest().get("model_sha256")
    if before is None and distributed.is_main():
        job.run.record(model_sha256=now)
    elif before != now and not _finished(job):
        raise RunError(
            f"the files of model {str(job.plan.model)!r} are not those that run {job.run.path} "
            f"began with (model_sha256 in its {MANIFEST}): restore them, or start a new run"
        )


def _check_data(job: Job) -> None:
    """Read every sample once; record the fingerprints of the run's data."""
    plan = job.plan
    own = plan.sft_task.prompt
    check = ProcessorCheck(plan.model, plan.taught.prompt, plan.recipe.policy, sft_prompt=own)
    rows = SftRows.of(plan.part("sft")) if plan.enabled("sft") else None
    targets = targets_of(plan, job.configs, check)
    boxes = Undrawn()

    def also(sample: Sample, split: str) -> None:
        tokens = check.see(sample, split)
        boxes.see(sample)
        if targets:
            targets.see(sample, split, tokens)
        if rows:
            rows.see(sample, split)

    checked = _checked(job, also)
    _as_forked(job, checked)
    check_rows(plan, job.configs, check, targets)
    if targets:
        job.run.record(sft_targets=targets.facts())
    if rows:
        job.run.record(sft_rows=asdict(rows))
        if line := note(asdict(rows), bare=plan.recipe.paradigm == ANSWERS):
            logger.info(line)
    check_rewards(plan)  # before the folder counts as begun
    for warning in (*map(str, checked.shared), *checked.remarks, *boxes.lines()):
        logger.warning(warning)
    first = plan.parts[0][0]
    job.run.record(
        data=dict(checked.fingerprints),
        shared_images=[asdict(shared) for shared in checked.shared],
        prompt_hash=checked.prompt_hash,
        task_file=task_file(plan.recipe.task),
        prompt_example=plan.taught.prompt(first).text,
        rows_with_images={split: shown.images for split, shown in check.splits.items()},
        opens_think=_opens_think(job, check, first),
        pixel_budget=pixel_budget(check.processor),
    )
    job.run.mark_done("data")


def _checked(job: Job, also: Callable[[Sample, str], None] | None = None) -> checks.Checked:
    plan = job.plan
    direct = plan.splits if plan.measures_base else ()
    return checks.check(
        plan.taught,
        plan.parts,
        progress=job.progress,
        direct=direct,
        taught=plan.sft_task,
        also=also,
    )


def _same_data(job: Job) -> None:
    """Read every sample again before a run continues.

    Raises: RunError if samples, images or prompts are not those that the run began with.
    """
    began = job.run.manifest()
    if task_file(job.plan.recipe.task) != began.get("task_file"):
        text = f"{job.plan.recipe.task} has changed since {job.run.path} began"
        logger.warning("%s: its rewards or parser may differ", text)
    now = _checked(job)
    before, after = began.get("data", {}), dict(now.fingerprints)
    changed = [split for split in after if after[split] != before.get(split)]
    if not changed and now.prompt_hash == began.get("prompt_hash"):
        return
    what = f"the data of split {', '.join(changed)}" if changed else "the task's prompt"
    raise RunError(
        f"{what} has changed since {job.run.path} began, so the run cannot continue as it "
        "began: restore the old one, or start a new run"
    )


def _as_forked(job: Job, now: checks.Checked) -> None:
    """Compare the data of a fork with that of the run it takes phases from.

    Raises: RunError if a split or a prompt of those phases has changed; split rl may.
    """
    parent = job.run.manifest().get("forked_from")
    if parent is None:
        return
    before, after = parent["data"], dict(now.fingerprints)
    changed = [s for s in after if s != RL and after[s] != before.get(s, after[s])]
    same_prompts = before == after and not any(
        c.startswith("evaluation") for c in parent["changed"]
    )
    if same_prompts and now.prompt_hash != parent["prompt_hash"]:
        changed.append("any (the task's prompt)")
    if changed:
        raise RunError(
            f"the data of split {', '.join(changed)} has changed since {parent['run']} began, and "
            "a fork takes its policy: restore the old data, or start a new run"
        )


def _finished(job: Job) -> bool:
    """Whether nothing is left to train or to evaluate."""
    return job.run.done(f"evaluate:{job.plan.last_stage}")


def _opens_think(job: Job, check: ProcessorCheck, sample: Sample) -> bool:
    """Whether completions begin inside the reasoning; a line if they do."""
    found = opens_think(check.processor, job.plan.taught.prompt(sample))
    if found:
        logger.info(
            "the chat template of %s ends a prompt in <think>: completions begin inside the "
            "reasoning, and are scored and kept with that tag in front",
            job.plan.model,
        )
    return found
