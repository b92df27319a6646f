"""A run in progress: its plan, its folder, and the objects that its phases share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rftcore.distributed import main_first
from rftcore.evaluation.scores import SplitScore
from rftcore.pipeline.forks import Fork
from rftcore.pipeline.plan import Plan
from rftcore.runs import RunFolder
from rftcore.scoring import Failure, Scorer
from rftcore.signals import StopRequest
from rftcore.splits import PHASE_SPLITS
from rftcore.tracking import Mirror, mirror_of

if TYPE_CHECKING:
    from rftcore.pipeline.policies import Policies


@dataclass
class Job:
    """All that a run needs. fork: what it has taken over from another run, if it has.

    scores: by stage, as they become known. announce: called once settings and shapes are checked.
    """

    plan: Plan
    run: RunFolder
    progress: bool = True
    stop: StopRequest = field(default_factory=StopRequest)
    fork: Fork | None = None
    announce: Callable[[], None] = lambda: None
    scores: dict[str, list[SplitScore]] = field(default_factory=dict)

    @cached_property
    def policies(self) -> Policies:
        """The policy in use."""
        from rftcore.pipeline.policies import Policies

        return Policies(self.run, self.plan.recipe.seed, self.plan.recipe.policy)

    @cached_property
    def configs(self) -> Mapping[str, Any]:
        """TRL's configuration of each phase that is switched on, to be read."""
        return {phase: self.new_config(phase) for phase in PHASE_SPLITS if self.plan.enabled(phase)}

    @cached_property
    def tracking(self) -> Mirror:
        """The trackers of the run."""
        return mirror_of(self.run, self.plan.recipe)

    def new_config(self, phase: str) -> Any:
        """TRL's configuration of a phase, for its trainer.

        transformers resets accelerate's global state when a configuration is made. A trainer
        needs that if an earlier one in this process had another precision.
        """
        from rftcore.training.configs import make_config

        return make_config(self.plan.recipe, phase, self.run.phase_folder(phase))

    def to_come(self, phase: str) -> bool:
        """Whether a phase is switched on and not done."""
        return self.plan.enabled(phase) and not self.run.done(phase)

    def newest_policy(self) -> str | Path:
        """Where the newest finished policy is: after GRPO, after SFT, or the base model."""
        return self.run.newest_policy() or self.base()

    def base(self) -> str | Path:
        """The base model; if the run began with an adapter, it is merged into the run's folder.

        So trainers, checkpoints and TRL's reference model have one complete model to read.
        Raises: `ModelError` if the adapter or its base cannot be loaded.
        """
        from rftcore.models.adapters import is_adapter
        from rftcore.models.loading import load_model

        folder = self.run.base_folder()
        if not is_adapter(self.plan.model):
            return self.plan.model
        with main_first():
            if not (folder / "config.json").is_file():
                settings = self.plan.recipe.policy
                whole = load_model(self.plan.model, settings, dtype=settings.dtype)
                half = folder.with_name("half")
                whole.model.save_pretrained(half)
                whole.processor.save_pretrained(half)
                half.rename(folder)
        return folder

    def scorer(
        self,
        phase: str,
        about: Mapping[str, Any] = MappingProxyType({}),
        *,
        forgiving: bool = False,
    ) -> Scorer:
        """A scorer with the recipe's settings, whose failures are stored in the run folder.

        about: what else a failure's line contains; it is read when the failure is recorded.
        """

        def record(failure: Failure) -> None:
            self.run.add_failure({"phase": phase, **about, **asdict(failure)})

        return Scorer.of(
            self.plan.task,
            self.plan.recipe,
            record,
            forgiving=forgiving,
            kept_in=str(self.run.failures_file),
        )
