"""The loop: data, vision check, SFT, evaluation, GRPO, evaluation, summary.

Each phase starts from what the phase before wrote into the run folder and
marks itself done there, so a run that was killed goes on where it stopped:
a finished phase is read back, a half-finished one continues from its last
complete checkpoint.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rftcore import distributed, prompts
from rftcore.config import Recipe, evaluated_splits
from rftcore.datasets import checks
from rftcore.datasets.slices import Slice, dataset_of, take
from rftcore.errors import RecipeError, RftError, RunError, TrainerError
from rftcore.evaluation.notes import Measured, failure_note, score_notes
from rftcore.evaluation.splits import Answered, evaluate_split
from rftcore.evaluation.tables import Summary, gain, row_name
from rftcore.models import vision
from rftcore.models.encoding import opens_think, reply_tokens
from rftcore.models.loading import check_source, fingerprint, load_model
from rftcore.models.policy import Policy, pixel_budget
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.template_check import template_faults
from rftcore.plugins import Catalogue
from rftcore.rescore.stored import write_rows
from rftcore.runs import (
    MANIFEST,
    PHASES,
    STATE,
    RunFolder,
    answers_name,
    scores_name,
    storage_fault,
)
from rftcore.scoring import Failure, Scorer
from rftcore.signals import StopRequest, Terminated
from rftcore.splits import PHASE_SPLITS, RL, VAL
from rftcore.training.checkpoints import (
    Checkpoint,
    Checkpoints,
    Clock,
    NoStepLeft,
    Weights,
    newest_complete,
    pass_on_defaults,
    sealed,
)
from rftcore.training.fields import (
    check_fields,
    check_model_fits,
    check_steps,
    grpo_config,
    sft_config,
)
from rftcore.training.lengths import Limit, Targets, exceeded, refuse_cut_prompts
from rftcore.training.library_logs import without_replaced_messages
from rftcore.types import Gain, Sample, SplitScore, Task

logger = logging.getLogger(__name__)

ROLLOUTS_KEPT = 16  # of each step's rollouts, if groups fit
NOT_A_PROBABILITY = "probability tensor contains"  # torch.multinomial, of logits that overflow


@dataclass
class Job:
    """All that a run needs, resolved and checked."""

    task: Task
    recipe: Recipe
    model: str | Path
    run: RunFolder
    catalogue: Catalogue
    progress: bool = True
    stop: StopRequest = field(default_factory=StopRequest)
    scores: dict[str, list[SplitScore]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """A finished phase: seconds of training, its last logged numbers, why it learned nothing."""

    metrics: dict[str, float]
    seconds: float
    findings: list[str]


def train(job: Job) -> Summary:
    """Run every phase that is not done yet; return the table of all of them.

    Raises: `RftError` for whatever a user can fix: settings and data before a
    model loads, a blind model before the first step.
    """
    from rftcore.training.callbacks import hush

    hush()
    preflight(job)
    job.catalogue.hooks.rft_run_start(
        run_dir=str(job.run.path), recipe=job.recipe.model_dump(mode="json")
    )
    check_vision(job)
    if job.recipe.evaluation.zero_shot:
        evaluate_start(job)
    if job.recipe.sft.enabled:
        run_phase(job, "sft", train_sft)
        if job.recipe.evaluation.after_each_phase or not job.recipe.grpo.enabled:
            evaluate_stage(job, "sft")
    if job.recipe.grpo.enabled:
        run_phase(job, "grpo", train_grpo)
        evaluate_stage(job, "grpo")
    return finish(job)


def preflight(job: Job) -> None:
    """Everything that can be refused before a model loads: settings, shapes, data."""
    recipe = job.recipe
    check_fields(recipe, [phase for phase in PHASE_SPLITS if job.run.done(phase)])
    to_come = [phase for phase in PHASE_SPLITS if _to_come(job, phase)]
    check_steps(recipe, {phase: len(_part(job, phase)) for phase in to_come})
    sft = sft_config(recipe, job.run.phase_folder("sft")) if recipe.sft.enabled else None
    grpo = grpo_config(recipe, job.run.phase_folder("grpo")) if recipe.grpo.enabled else None
    check_source(job.model)
    check_model_fits(recipe, job.model, to_come)
    with distributed.main_first():
        _same_model(job)
    new_scorer(job, "data").close()  # refuses rewards that cannot be called
    with distributed.main_first():
        if not job.run.done("data"):
            _check_data(job, sft, grpo)
        elif distributed.is_main() and not _finished(job):
            _same_data(job)


def _same_model(job: Job) -> None:
    """Record what the base model is; a run continues with the same one only.

    Raises: `RunError` if its files have changed since the run began.
    """
    now = fingerprint(job.model)
    before = job.run.manifest().get("model_sha256")
    if before is None and distributed.is_main():
        job.run.record(model_sha256=now)
    elif before != now and not _finished(job):
        raise RunError(
            f"the files of model {str(job.model)!r} are not those that run {job.run.path} began "
            f"with (model_sha256 in its {MANIFEST}): restore them, or start a new run"
        )


def _check_data(job: Job, sft: Any, grpo: Any) -> None:
    """Read every sample once; record what the run's data is.

    sft, grpo: TRL's configurations; None for a phase that is switched off.
    """
    parts, recipe = slices(job), job.recipe
    check = ProcessorCheck(job.model, job.task.prompt)
    targets = None
    if recipe.sft.enabled and (recipe.sft.check_lengths or sft.max_length):
        targets = Targets(lambda text: reply_tokens(check.processor, text))

    def also(sample: Sample, split: str) -> None:
        tokens = check.see(sample, split)
        if targets:
            targets.see(sample, split, tokens)

    checked = _checked(job, parts, also)
    _as_forked(job, checked)
    if recipe.grpo.enabled:
        check.refuse_mixture(RL)
    check.refuse_long()
    faults = template_faults(job.model, check.processor)
    for warning in (*faults, *_crowded(job, check, grpo)):
        logger.warning(warning)
    if targets:
        refuse_cut_prompts(targets, recipe, sft.max_length)
    if targets and recipe.sft.check_lengths:
        found = exceeded(targets, recipe, sft, grpo, evaluated=bool(_splits(job)))
        _refuse_or_warn(list(found), recipe)
        job.run.record(sft_targets=targets.facts())
    for warning in (*map(str, checked.shared), *checked.remarks):
        logger.warning(warning)
    job.run.record(
        data=dict(checked.fingerprints),
        shared_images=[asdict(shared) for shared in checked.shared],
        prompt_hash=checked.prompt_hash,
        task_file=_task_file(job),
        prompt_example=job.task.prompt(parts[0][0]).text,
        rows_with_images={split: shown.images for split, shown in check.splits.items()},
        opens_think=_opens_think(job, check, parts[0][0]),
    )
    job.run.mark_done("data")


def _checked(
    job: Job, parts: Sequence[Slice], also: Callable[[Sample, str], None] | None = None
) -> checks.Checked:
    direct = _splits(job) if job.recipe.evaluation.zero_shot else ()
    return checks.check(job.task, parts, progress=job.progress, direct=direct, also=also)


def _same_data(job: Job) -> None:
    """Read every sample again before a run goes on.

    Raises: RunError if samples, images or prompts are not those that the run began with.
    """
    began = job.run.manifest()
    if _task_file(job) != began.get("task_file"):
        text = f"{job.recipe.task} has changed since {job.run.path} began"
        logger.warning("%s: its rewards or parser may differ", text)
    now = _checked(job, slices(job))
    before, after = began.get("data", {}), dict(now.fingerprints)
    changed = [split for split in after if after[split] != before.get(split)]
    if not changed and now.prompt_hash == began.get("prompt_hash"):
        return
    what = f"the data of split {', '.join(changed)}" if changed else "the task's prompt"
    raise RunError(
        f"{what} has changed since {job.run.path} began, so the run cannot go on as it would "
        "have: restore what it was, or start a new run"
    )


def _task_file(job: Job) -> str | None:
    """The SHA-256 of the file of a task ./file.py:factory, which has no version; else None."""
    path = Path(job.recipe.task.rpartition(":")[0])
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
            "a fork takes its policy: restore what it was, or start a new run"
        )


def _finished(job: Job) -> bool:
    """Whether nothing is left to train or to evaluate."""
    recipe = job.recipe
    last = "grpo" if recipe.grpo.enabled else "sft" if recipe.sft.enabled else "start"
    return job.run.done(f"evaluate:{last}")


def _crowded(job: Job, check: ProcessorCheck, grpo: Any) -> Iterator[str]:
    """Warnings for prompts that leave no room in the context for what the policy may write."""
    if job.recipe.grpo.enabled:
        most = grpo.max_completion_length
        yield from check.crowded(RL, "grpo.max_completion_length", most)
    for split in _splits(job):
        most = job.recipe.evaluation.max_new_tokens
        yield from check.crowded(split, "evaluation.max_new_tokens", most)


def _opens_think(job: Job, check: ProcessorCheck, sample: Sample) -> bool:
    """Whether completions begin inside the reasoning; a line if they do."""
    found = opens_think(check.processor, job.task.prompt(sample))
    if found:
        logger.info(
            "the chat template of %s ends a prompt in <think>: completions begin inside the "
            "reasoning, and are scored and kept with that tag in front",
            job.model,
        )
    return found


def _refuse_or_warn(exceeded: Sequence[Limit], recipe: Recipe) -> None:
    """Say which limits are too short. Raises `RecipeError` for one that nothing fits into."""
    hopeless = [limit.fault(recipe) for limit in exceeded if limit.hopeless]
    if hopeless:
        off = "--set sft.check_lengths=false goes on all the same"
        raise RecipeError("\n".join((*hopeless, off)))
    for limit in exceeded:
        logger.warning(limit.fault(recipe))


def slices(job: Job) -> list[Slice]:
    """The parts of the task's splits that this run reads."""
    recipe, task = job.recipe, job.task
    chosen = [_part(job, phase) for phase in PHASE_SPLITS if getattr(recipe, phase).enabled]
    for split in _splits(job):
        chosen.append(take(task, split, recipe.evaluation.samples.get(split)))
    if not chosen:
        raise RecipeError("nothing to do: SFT, GRPO and every evaluation are switched off")
    return chosen


def _part(job: Job, phase: str) -> Slice:
    """What a phase trains on."""
    return take(job.task, PHASE_SPLITS[phase], getattr(job.recipe, phase).samples)


def _to_come(job: Job, phase: str) -> bool:
    return getattr(job.recipe, phase).enabled and not job.run.done(phase)


def load_policy(job: Job, source: str | Path, *, dtype: str = "auto") -> Policy:
    """The policy in `source`, with randomness seeded as the recipe says."""
    from transformers import set_seed

    set_seed(job.recipe.seed)
    _require_as_written(job, Path(source))
    return load_model(source, dtype=dtype)


def _require_as_written(job: Job, source: Path) -> None:
    """Raise `RunError` if a finished phase's policy is gone, or not what the phase has written."""
    phase = next((p for p in PHASES if source == job.run.model_folder(p)), None)
    if phase is None or not job.run.done(phase):
        return
    job.run.policy(phase)  # it is there
    if job.run.phase(phase).get("model_sha256") != fingerprint(source):
        raise RunError(
            f"{source} is not what {phase} wrote (model_sha256 in {phase}.json): restore it from "
            f"a copy, or train again in a new run"
        )


def latest(job: Job) -> str | Path:
    """Where the newest finished policy is: after GRPO, after SFT, or the base model."""
    return job.run.newest_policy() or job.model


def check_vision(job: Job) -> None:
    """Prove that the base model sees, once per run."""
    settings = job.recipe.vision_check
    if not settings.enabled or job.run.done("vision_check"):
        return
    distributed.barrier()  # nobody may see it done before everybody has asked
    samples = vision.choose(slices(job), settings.samples)
    if not samples:
        if distributed.is_main():
            logger.info("no sample has an image: the vision check is left out")
        return
    policy = load_policy(job, job.model)
    shift = vision.check_vision(
        policy,
        [job.task.prompt(s) for s in samples],
        [prompts.sft_target(s) if s.cot else s.gold for s in samples],
        settings.min_shift,
    )
    facts = {"mean_shift_nats": shift, "samples": len(samples)}
    job.run.record(vision_check=facts, pixel_budget=pixel_budget(policy))
    job.run.mark_done("vision_check")
    distributed.barrier()


def run_phase(job: Job, phase: str, work: Callable[[Job, Path], Fitted]) -> None:
    """Train one phase unless it is done, and notify the plugins."""
    if job.run.done(phase):
        return
    distributed.barrier()  # nobody may see it done before everybody has asked
    job.catalogue.hooks.rft_phase_start(phase=phase)
    fitted = work(job, job.run.phase_folder(phase))
    if distributed.is_main():  # it alone has written the model, and knows that it is whole
        written = {"model_sha256": fingerprint(job.run.model_folder(phase))}
        job.run.write_phase(phase, asdict(fitted) | written)
    job.run.mark_done(phase)
    distributed.barrier()
    job.catalogue.hooks.rft_phase_end(phase=phase, metrics=fitted.metrics)
    job.stop.check()


def train_sft(job: Job, folder: Path) -> Fitted:
    """Phase 1."""
    from rftcore.training.sft import sft_trainer

    policy = load_policy(job, job.model, dtype=job.recipe.policy.dtype)
    return _fit(
        job,
        "sft",
        folder,
        policy,
        lambda calls: sft_trainer(policy, job.task, job.recipe, folder, calls),
    )


def train_grpo(job: Job, folder: Path) -> Fitted:
    """Phase 2."""
    from rftcore.training.grpo import grpo_trainer

    policy = load_policy(job, latest(job), dtype=job.recipe.policy.dtype)

    def observe(step: int, rollouts: list[dict[str, Any]]) -> None:
        for rollout in kept(rollouts):
            job.run.add_rollout({"step": step, **rollout})
        job.catalogue.hooks.rft_rollouts_scored(step=step, rollouts=rollouts)

    with new_scorer(job, "grpo", {"split": RL}) as scorer:
        return _fit(
            job,
            "grpo",
            folder,
            policy,
            lambda calls: grpo_trainer(
                policy,
                job.task,
                job.recipe,
                folder,
                scorer=scorer,
                observe=observe,
                callbacks=calls,
            ),
        )


def kept(rollouts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Whole groups, at least one, and no more than `ROLLOUTS_KEPT` if one is not larger.

    Whole, because a reward may look at the others of the group when it is scored again.
    """
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout["row"], []).append(rollout)
    chosen: list[Mapping[str, Any]] = []
    for group in groups.values():
        if chosen and len(chosen) + len(group) > ROLLOUTS_KEPT:
            break
        chosen += group
    return chosen


def _fit(
    job: Job,
    phase: str,
    folder: Path,
    policy: Policy,
    trainer_of: Callable[[list[Any]], Any],
) -> Fitted:
    """Train from the last complete checkpoint, if any, and save the policy."""
    from rftcore.training.callbacks import Progress, quiet
    from rftcore.training.guards import Finite, Signal, Stopping, checksums, findings, unchanged

    checkpoint = newest_complete(folder)
    job.run.forget_after(phase, checkpoint.step if checkpoint else 0)
    clock = Clock(checkpoint.seconds if checkpoint else 0.0)
    progress = Progress(
        phase,
        job.run.log,
        before=job.run.metrics(phase),
        show=job.progress,
    )
    finite = Finite(phase, lambda: str(next(iter(sealed(folder)), "")))
    trainer = quiet(trainer_of([finite, progress, Signal(phase)]))
    stopping = Stopping(job.stop, every=getattr(trainer.args, "num_iterations", 1))
    trainer.add_callback(stopping)
    trainer.add_callback(Checkpoints(job.model, trainer.args.save_total_limit, clock.seconds))
    trainer.args.save_total_limit = None  # `Checkpoints` deletes old ones, once the new is sealed
    if checkpoint:
        _warn_of_processes(checkpoint)
        trainer.add_callback(Weights(checkpoint, trainer))
    if trainer.args.save_only_model and distributed.is_main():
        logger.warning(
            "%s.save_only_model leaves out what training continues from: "
            "an interrupted phase will start over",
            phase,
        )
    before = checksums(policy.model)
    distributed.barrier()
    with job.stop.deferred(), _explained(folder, phase), without_replaced_messages():
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
        except NoStepLeft:
            progress.finish(trainer.state, clock.seconds())
        except RuntimeError as error:
            if NOT_A_PROBABILITY not in str(error):
                raise
            step = trainer.state.global_step + 1
            raise finite.error("a probability of the next token", step) from error
    if stopping.stopped:
        raise Terminated(f"{phase} step {trainer.state.global_step}")
    steps = trainer.state.global_step
    if not steps:
        raise TrainerError(f"{phase} took no step: its data gives less than one batch")
    found = findings(phase, job.run.metrics(phase))
    if not found and steps > (checkpoint.step if checkpoint else 0):
        moved = not unchanged(before, checksums(policy.model))
        found = [] if moved else [f"{phase}: no weight changed; raise {phase}.learning_rate"]
    with _explained(folder, phase):
        saved = job.run.model_folder(phase)
        trainer.save_model(str(saved))  # gathers what several processes hold in parts
        pass_on_defaults(job.model, saved)
    return Fitted(progress.last, clock.seconds(), found)


def _fitted(job: Job, phase: str) -> Fitted:
    """What a finished phase recorded. Raises `RunError` if its file does not hold that."""
    facts = job.run.phase(phase)
    try:
        return Fitted(facts["metrics"], facts["seconds"], facts["findings"])
    except KeyError as error:
        raise job.run.not_written_by(phase) from error


def _warn_of_processes(checkpoint: Checkpoint) -> None:
    """Say that random numbers will differ if the run had another number of processes."""
    before, now = checkpoint.world_size, distributed.world_size()
    if before != now and distributed.is_main():
        logger.warning(
            "%s was written by %s processes and %s continue: "
            "the random numbers, and so the results, differ from those of an uninterrupted run",
            checkpoint.path,
            before,
            now,
        )


@contextmanager
def _explained(folder: Path, phase: str) -> Iterator[None]:
    """Turn what a full or lost disk makes of a checkpoint's writer into a `RunError`."""
    try:
        yield
    except RftError:
        raise
    except Exception as error:
        if not (reason := storage_fault(error, folder)):
            raise
        raise RunError(
            f"{phase} could not write to {folder}: {reason}. Complete checkpoints are kept; once "
            "that is solved, continue with: "
            f"{distributed.launcher()} train --resume {folder.parent}"
        ) from error


def new_scorer(
    job: Job,
    phase: str,
    about: Mapping[str, Any] = MappingProxyType({}),
    *,
    forgiving: bool = False,
) -> Scorer:
    """A scorer as the recipe says, whose failures are kept in the run folder.

    about: what else a failure's line contains; it is read when the failure is recorded.
    """

    def record(failure: Failure) -> None:
        line = {"phase": phase, **about, **asdict(failure)}
        job.run.add_failure(line)

    return Scorer.of(
        job.task,
        job.recipe,
        record,
        forgiving=forgiving,
        kept_in=str(job.run.failures_file),
    )


def evaluate_start(job: Job) -> None:
    """Zero-shot, asked the fair way: by whichever prompt does better on `val`.

    A base model that never saw the tags would score nothing with the
    reasoning prompt and a strict parser, and any training would look like a gain.
    """
    both = job.task.direct_prompt and VAL in _splits(job)
    _measure(job, "start", job.model, ("reason", "direct") if both else ("reason",))


def evaluate_stage(job: Job, stage: str) -> None:
    """Score a phase's policy on every split, or read the scores back."""
    _measure(job, stage, job.run.model_folder(stage), ("reason",))


def _measure(job: Job, stage: str, source: str | Path, asked: Sequence[str]) -> None:
    """Score the policy in `source` on every split, unless that is done.

    asked: names of prompts. Of several, all are tried on `val`, and the best there is used.
    """
    phase = f"evaluate:{stage}"
    if not job.run.done(phase):
        evaluation = _Evaluation(job, stage, source, asked)
        distributed.barrier()  # nobody may write before everybody has read what is there
        job.catalogue.hooks.rft_phase_start(phase=phase)
        scores = evaluation.run()
        job.run.mark_done(phase)
        distributed.barrier()
        accuracies = {s.split: s.accuracy for s in scores if s.accuracy is not None}
        job.catalogue.hooks.rft_phase_end(phase=phase, metrics=accuracies)
    job.scores[stage] = _scores(job, stage)
    if lost := {*_splits(job)} - {score.split for score in job.scores[stage]}:
        raise RunError(
            f"{job.run.path / scores_name(stage)} has no score of split "
            f"{', '.join(sorted(lost))}, though {phase} is done: restore the file from a copy, or "
            f'take "{phase}" out of "done" in {STATE} to measure again'
        )


class _Evaluation:
    """The splits of one stage. Each is written when it is measured, so a killed run keeps it.

    Several prompts are tried on `val` as stages of their own, such as "start-direct"; what the
    best of them scored there is then also the score of `stage`.
    """

    def __init__(self, job: Job, stage: str, source: str | Path, asked: Sequence[str]) -> None:
        self._job, self._stage, self._source = job, stage, source
        self._tried = {prompt: f"{stage}-{prompt}" for prompt in asked}
        names = [stage, *self._tried.values()]
        self._known = {name: {s.split: s for s in _scores(job, name)} for name in names}
        self._about: dict[str, Any] = {}

    def run(self) -> list[SplitScore]:
        """Measure what is missing; the scores of all splits."""
        try:
            prompt = self._best_prompt()
            return [self._split(self._stage, split, prompt) for split in _splits(self._job)]
        finally:
            if "_scorer" in vars(self):
                self._scorer.close()

    def _best_prompt(self) -> str:
        if len(self._tried) == 1:
            return next(iter(self._tried))
        tried = [self._split(name, VAL, prompt) for prompt, name in self._tried.items()]
        best = max(tried, key=lambda score: -1.0 if score.accuracy is None else score.accuracy)
        if VAL not in self._known[self._stage]:
            self._job.run.copy_answers(self._tried[best.prompt], self._stage, VAL)
            self._write(self._stage, best)
        return best.prompt

    def _split(self, name: str, split: str, prompt: str) -> SplitScore:
        """The score of one split, under the name of its files; measured unless it is known."""
        if split not in self._known[name]:
            self._about.update(split=split, prompt=prompt)
            self._forget_failures()
            score, answered = _score(self._job, self._policy, self._scorer, split, prompt)
            rows = write_rows(each.record() for each in answered)
            self._job.run.write_answers(name, split, rows)
            self._write(name, score)
        return self._known[name][split]

    def _write(self, name: str, score: SplitScore) -> None:
        """Write the scores so far, which makes the split known: its rows are written already."""
        known = self._known[name]
        known[score.split] = score
        scores = [asdict(known[split]) for split in _splits(self._job) if split in known]
        self._job.run.write_scores(name, scores)
        distributed.barrier()  # the others may read it

    def _forget_failures(self) -> None:
        """Drop the failures of a split that a kill has left half measured."""
        self._job.run.forget_failures({"phase": f"evaluate:{self._stage}", **self._about})

    @cached_property
    def _policy(self) -> Policy:
        return load_policy(self._job, self._source)

    @cached_property
    def _scorer(self) -> Scorer:
        # What was not trained here is not held to the form that is taught here.
        forgiving = self._stage == "start"
        return new_scorer(self._job, f"evaluate:{self._stage}", self._about, forgiving=forgiving)


def _scores(job: Job, name: str) -> list[SplitScore]:
    """The scores of a stage, as far as they have been written."""
    try:
        return [SplitScore(**row) for row in job.run.scores(name)]
    except TypeError as error:
        file = job.run.path / scores_name(name)
        raise RunError(f"{file} does not hold scores: {error}") from error


def _splits(job: Job) -> tuple[str, ...]:
    return evaluated_splits(job.recipe, dataset_of(job.task).splits)


def _score(
    job: Job, policy: Policy, scorer: Scorer, split: str, prompt: str
) -> tuple[SplitScore, list[Answered]]:
    settings = job.recipe.evaluation
    return evaluate_split(
        policy,
        job.task,
        split,
        scorer=scorer,
        limit=settings.samples.get(split),
        prompt=prompt,
        batch_size=settings.batch_size,
        max_new_tokens=settings.max_new_tokens,
        progress=job.progress,
    )


def gains(job: Job) -> tuple[list[Gain], list[str]]:
    """What each evaluated stage changed on each split since the one before; and what is unknown.

    Answers are compared by question. If two stages were asked different ones, that is reported
    in place of a gain: the run's other numbers stand.
    """
    found, unknown = [], []
    for since, stage in itertools.pairwise(job.scores):
        for split in _splits(job):
            before, after = (job.run.answers(name, split) for name in (since, stage))
            if list(map(_question, before)) == list(map(_question, after)):
                right = [(b["correct"], a["correct"]) for b, a in zip(before, after, strict=True)]
                found.append(gain(split, since, stage, right))
            else:
                files = [answers_name(name, split) for name in (since, stage)]
                unknown.append(
                    f"{split}: no gain is shown, because {' and '.join(files)} have different "
                    "questions: the data changed, or a file was edited"
                )
    return found, unknown


def _question(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(key) for key in ("id", "question", "gold"))


def _score_notes(job: Job) -> Iterator[str]:
    """What a reader of the table must know about its scores."""
    rows = {row_name(stage, scores): (stage, scores) for stage, scores in job.scores.items()}

    def reason(measured: Measured) -> str:
        answered = job.run.answers(rows[measured.row][0], measured.score.split)
        return next((str(row["parse_error"]) for row in answered if row["parse_error"]), "none")

    named = {name: scores for name, (_, scores) in rows.items()}
    yield from score_notes(named, job.recipe.evaluation.max_new_tokens, reason)
    if failures := job.run.failures():
        file = str(job.run.failures_file)
        yield failure_note(failures, file, all_kept=job.run.has_all_failures())


def finish(job: Job) -> Summary:
    """Write and return the summary."""
    fitted = {phase: _fitted(job, phase) for phase in ("sft", "grpo") if job.run.done(phase)}
    seconds = {phase: facts.seconds for phase, facts in fitted.items()}
    notes = [note for facts in fitted.values() for note in facts.findings]
    gained, unknown = gains(job)
    shared = job.run.manifest().get("shared_images", [])
    notes += [*unknown, *_score_notes(job), *(str(checks.Shared(**found)) for found in shared)]
    summary = Summary(job.run.path, job.scores, gained, seconds, notes)
    scores = {stage: [asdict(s) for s in scores] for stage, scores in job.scores.items()}
    facts = {"gains": [asdict(g) for g in gained], "seconds": seconds, "notes": notes}
    job.run.write_summary({"scores": scores, **facts}, summary.table())
    job.catalogue.hooks.rft_run_end(run_dir=str(job.run.path), summary=scores)
    return summary
