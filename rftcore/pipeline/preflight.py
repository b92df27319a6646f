"""Check settings, the model's files and the data before a model loads.

The data check reads every sample once and records fingerprints. A resumed run reads the data
again and requires the same fingerprints.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rftcore import distributed
from rftcore.config import Recipe
from rftcore.datasets import checks
from rftcore.errors import RecipeError, RunError
from rftcore.models.encoding import opens_think, reply_tokens
from rftcore.models.loading import check_source, fingerprint
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.template_check import template_faults
from rftcore.pipeline.job import Job
from rftcore.runs import MANIFEST
from rftcore.splits import PHASE_SPLITS, RL
from rftcore.training.lengths import Limit, Targets, exceeded, require_whole_prompts
from rftcore.training.settings_check import check_model_fits, check_settings, check_steps
from rftcore.types import Sample

logger = logging.getLogger(__name__)


def preflight(job: Job) -> None:
    """Check all that can be checked before a model loads: settings, shapes, data."""
    plan, run = job.plan, job.run
    check_settings(plan.recipe, [phase for phase in PHASE_SPLITS if run.done(phase)])
    to_come = [phase for phase in PHASE_SPLITS if job.to_come(phase)]
    check_steps(plan.recipe, {phase: len(plan.part(phase)) for phase in to_come})
    check_source(plan.model)
    check_model_fits(plan.recipe, plan.model, to_come)
    with distributed.main_first():
        _same_model(job)
    job.scorer("data").close()  # raises for rewards that cannot be called
    with distributed.main_first():
        if not run.done("data"):
            _check_data(job)
        elif distributed.is_main() and not _finished(job):
            _same_data(job)


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
    check = ProcessorCheck(plan.model, plan.task.prompt)
    targets = _targets(job, check)

    def also(sample: Sample, split: str) -> None:
        tokens = check.see(sample, split)
        if targets:
            targets.see(sample, split, tokens)

    checked = _checked(job, also)
    _as_forked(job, checked)
    _check_rows(job, check, targets)
    for warning in (*map(str, checked.shared), *checked.remarks):
        logger.warning(warning)
    first = plan.parts[0][0]
    job.run.record(
        data=dict(checked.fingerprints),
        shared_images=[asdict(shared) for shared in checked.shared],
        prompt_hash=checked.prompt_hash,
        task_file=_task_file(plan.recipe),
        prompt_example=plan.task.prompt(first).text,
        rows_with_images={split: shown.images for split, shown in check.splits.items()},
        opens_think=_opens_think(job, check, first),
    )
    job.run.mark_done("data")


def _targets(job: Job, check: ProcessorCheck) -> Targets | None:
    """A counter of SFT's targets, if the run has a limit for them."""
    sft = job.configs.get("sft")
    if sft is None or not (job.plan.recipe.sft.check_lengths or sft.max_length):
        return None
    return Targets(lambda text: reply_tokens(check.processor, text))


def _check_rows(job: Job, check: ProcessorCheck, targets: Targets | None) -> None:
    """Check the rows as the policy reads and writes them, after all have been read.

    Raises: DataError for rows that a phase cannot take; RecipeError for limits too short.
    """
    plan = job.plan
    sft, grpo = job.configs.get("sft"), job.configs.get("grpo")
    if grpo is not None:
        check.require_one_kind(RL)
    check.require_prompts_fit()
    for warning in (*template_faults(plan.model, check.processor), *_crowded(job, check)):
        logger.warning(warning)
    if targets is None or sft is None:
        return
    require_whole_prompts(targets, plan.recipe, sft.max_length)
    if plan.recipe.sft.check_lengths:
        found = exceeded(targets, plan.recipe, sft, grpo, evaluated=bool(plan.splits))
        _raise_or_warn(list(found), plan.recipe)
        job.run.record(sft_targets=targets.facts())


def _checked(job: Job, also: Callable[[Sample, str], None] | None = None) -> checks.Checked:
    plan = job.plan
    direct = plan.splits if plan.recipe.evaluation.zero_shot else ()
    return checks.check(plan.task, plan.parts, progress=job.progress, direct=direct, also=also)


def _same_data(job: Job) -> None:
    """Read every sample again before a run continues.

    Raises: RunError if samples, images or prompts are not those that the run began with.
    """
    began = job.run.manifest()
    if _task_file(job.plan.recipe) != began.get("task_file"):
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


def _task_file(recipe: Recipe) -> str | None:
    """The SHA-256 of the file of a task ./file.py:factory, which has no version; else None."""
    path = Path(recipe.task.rpartition(":")[0])
    if path.suffix != ".py" or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    recipe = job.plan.recipe
    last = "grpo" if recipe.grpo.enabled else "sft" if recipe.sft.enabled else "start"
    return job.run.done(f"evaluate:{last}")


def _crowded(job: Job, check: ProcessorCheck) -> Iterator[str]:
    """Warnings for prompts that leave no room in the context for what the policy may write."""
    if "grpo" in job.configs:
        most = job.configs["grpo"].max_completion_length
        yield from check.crowded(RL, "grpo.max_completion_length", most)
    for split in job.plan.splits:
        most = job.plan.recipe.evaluation.max_new_tokens
        yield from check.crowded(split, "evaluation.max_new_tokens", most)


def _opens_think(job: Job, check: ProcessorCheck, sample: Sample) -> bool:
    """Whether completions begin inside the reasoning; a line if they do."""
    found = opens_think(check.processor, job.plan.task.prompt(sample))
    if found:
        logger.info(
            "the chat template of %s ends a prompt in <think>: completions begin inside the "
            "reasoning, and are scored and kept with that tag in front",
            job.plan.model,
        )
    return found


def _raise_or_warn(exceeded: Sequence[Limit], recipe: Recipe) -> None:
    """Warn of limits that are too short. Raises: `RecipeError` for a limit that no target fits."""
    hopeless = [limit.fault(recipe) for limit in exceeded if limit.hopeless]
    if hopeless:
        raise RecipeError(*hopeless)
    for limit in exceeded:
        logger.warning("%s", limit.fault(recipe))
