"""Train one phase: from its last complete checkpoint to a saved policy."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore import distributed
from rftcore.errors import RftError, RunError, TrainerError
from rftcore.models.policy import Policy
from rftcore.pipeline.diagnosis import as_json, facts_of, findings_of
from rftcore.pipeline.job import Job
from rftcore.pipeline.usage import of_phase
from rftcore.runs import PROMPTS, RunFolder, storage_fault
from rftcore.signals import Terminated
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
from rftcore.training.library_logs import without_replaced_messages

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

NOT_A_PROBABILITY = "probability tensor contains"  # torch.multinomial, of logits that overflow


@dataclass(frozen=True)
class Fitted:
    """A finished phase: seconds of training, its last logged numbers, why it learned little.

    diagnosis: the findings of `rftcore.training.signal`, which are lines of `findings` as well.
    usage: what the phase used (`rftcore.usage.Usage`).
    """

    metrics: dict[str, float]
    seconds: float
    findings: list[str]
    diagnosis: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)


def fit(job: Job, phase: str, policy: Policy, trainer_of: Callable[[list[Any]], Any]) -> Fitted:
    """Train from the last complete checkpoint, if any, and save the policy."""
    from rftcore.training.guards import checksums

    folder = job.run.phase_folder(phase)
    session = _Session(job, phase, newest_complete(folder))
    trainer = session.prepare(trainer_of)
    before = checksums(policy.model)
    distributed.barrier()
    with job.stop.deferred(), _explained(folder, phase), without_replaced_messages():
        session.train()
    steps = trainer.state.global_step
    if session.stopped:
        raise Terminated(f"{phase} step {steps}")
    if not steps:
        raise TrainerError(f"{phase} took no step: its data gives less than one batch")
    found = _findings(job, phase, policy, before if steps > session.first else None)
    diagnosed = findings_of(job, phase)
    with _explained(folder, phase):
        _save(job, phase, policy, trainer)
    seconds = session.clock.seconds()
    return Fitted(
        session.progress.last,
        seconds,
        found + [each.line for each in diagnosed],
        [as_json(each) for each in diagnosed],
        of_phase(job, phase, seconds).to_json(),
    )


def _save(job: Job, phase: str, policy: Policy, trainer: Any) -> None:
    """Save the policy; of an adapter, the adapter and the model that it is merged into.

    The merged model is made from the files, so it is what base and adapter give anyone.
    """
    from rftcore.models.loading import load_model
    from rftcore.training.trained import has_adapter

    saved = job.run.model_folder(phase)
    if distributed.is_main():  # TRL's card names no model; rft's is beside the policy
        (job.run.phase_folder(phase) / "README.md").unlink(missing_ok=True)
    adapted = has_adapter(trainer.accelerator.unwrap_model(trainer.model))
    folder = job.run.adapter_folder(phase) if adapted else saved
    trainer.save_model(str(folder))  # gathers what several processes hold in parts
    pass_on_defaults(job.plan.model, folder)
    if adapted and distributed.is_main():
        shutil.rmtree(folder / "ref", ignore_errors=True)  # TRL's copy of the adapter at the start
        settings = job.plan.recipe.policy
        whole = load_model(folder, settings, dtype=settings.dtype, device="cpu")
        whole.model.save_pretrained(saved)
        policy.processor.save_pretrained(saved)
        pass_on_defaults(job.plan.model, saved)


class _Session:
    """One session of a phase: a trainer with its callbacks, from a checkpoint or from the start."""

    def __init__(self, job: Job, phase: str, checkpoint: Checkpoint | None) -> None:
        from rftcore.training.callbacks import Progress
        from rftcore.training.guards import Finite

        self._job, self._phase, self._checkpoint = job, phase, checkpoint
        self.first = checkpoint.step if checkpoint else 0
        self.clock = Clock(checkpoint.seconds if checkpoint else 0.0)
        job.run.forget_after(phase, self.first)
        if checkpoint and distributed.is_main():
            _check_lines(job.run, checkpoint)
        self._before = job.run.metrics(phase)
        self.progress = Progress(phase, job.run.log, before=self._before, show=job.progress)
        folder = job.run.phase_folder(phase)
        self._finite = Finite(phase, lambda: str(next(iter(sealed(folder)), "")))

    @property
    def stopped(self) -> bool:
        """Whether a request to stop has ended it."""
        return self._stopping.stopped

    def prepare(self, trainer_of: Callable[[list[Any]], Any]) -> Any:
        """Make the trainer, which reports, checks, saves and stops as rft needs it."""
        from rftcore.training.callbacks import quiet
        from rftcore.training.guards import Signal, Stopping

        phase, checkpoint = self._phase, self._checkpoint
        watching = [Signal(phase), *self._watch()]
        self._trainer = trainer = quiet(trainer_of([self._finite, self.progress, *watching]))
        args = trainer.args
        self._stopping = Stopping(self._job.stop, every=getattr(args, "num_iterations", 1))
        trainer.add_callback(self._stopping)
        source = self._job.plan.model
        keep, lines = args.save_total_limit, self._job.run.lines_so_far
        trainer.add_callback(Checkpoints(source, keep, self.clock.seconds, lines))
        args.save_total_limit = None  # `Checkpoints` deletes old ones, once the new is sealed
        if checkpoint:
            _warn_of_processes(checkpoint)
            trainer.add_callback(Weights(checkpoint, trainer, self._job.plan.recipe.policy))
        if args.save_only_model and distributed.is_main():
            logger.warning(
                "%s.save_only_model leaves out what training continues from: "
                "an interrupted phase will start over",
                phase,
            )
        return trainer

    def _watch(self) -> list[Any]:
        from rftcore.training.watch import Watch

        return [Watch(facts_of(self._job), self._before)] if self._phase == "grpo" else []

    def train(self) -> None:
        """Take the steps. Raises: `TrainerError` for numbers that are not finite."""
        trainer, checkpoint = self._trainer, self._checkpoint
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint.path) if checkpoint else None)
        except NoStepLeft:
            self.progress.finish(trainer.state, self.clock.seconds())
        except RuntimeError as error:
            if NOT_A_PROBABILITY not in str(error):
                raise
            step = trainer.state.global_step + 1
            raise self._finite.error("a probability of the next token", step) from error


def _findings(job: Job, phase: str, policy: Policy, before: list[Tensor] | None) -> list[str]:
    """Why a phase learned little or nothing. before: checksums, if steps have been taken."""
    from rftcore.training.guards import checksums, findings, none_passed_over, unchanged

    lines = job.run.metrics(phase)
    idle, found = none_passed_over(phase, lines), findings(phase, lines)
    if found or before is None or not unchanged(before, checksums(policy.model)):
        return found + idle
    return [f"{phase}: no weight changed; raise {phase}.learning_rate", *idle]


def finished(job: Job, phase: str) -> Fitted:
    """What a finished phase recorded. Raises `RunError` if its file does not hold that."""
    facts = job.run.phase(phase)
    try:
        found = facts["findings"], facts.get("diagnosis", []), facts.get("usage", {})
        return Fitted(facts["metrics"], facts["seconds"], *found)
    except KeyError as error:
        raise job.run.not_written_by(phase) from error


def _check_lines(run: RunFolder, checkpoint: Checkpoint) -> None:
    """Warn of files of lines that have changed since the checkpoint was written.

    Raises: `RunError` for the one on which `grpo.skip` depends.
    """
    for name in run.changed(checkpoint.lines):
        text = (
            f"{run.path / name} is not what it was when {checkpoint.path.name} was written: it was "
            f"damaged or edited, so what it has of steps up to {checkpoint.step} is wrong"
        )
        if name == PROMPTS:
            raise RunError(
                f"{text}, and grpo.skip depends on it: restore it, or delete {checkpoint.path} "
                "to continue from an earlier checkpoint"
            )
        logger.warning("%s; training does not depend on it and continues", text)


def _warn_of_processes(checkpoint: Checkpoint) -> None:
    """Warn that random numbers will differ if the number of processes has changed."""
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
            f"{distributed.train_command()} --resume {folder.parent}"
        ) from error
