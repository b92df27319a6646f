"""The memory of the phases of a run, each shape of their batches traced once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rftcore.config import Recipe
from rftcore.models.devices import reading_dtype
from rftcore.planning import engines, memory, weights
from rftcore.planning.engines import ENGINES, Peak
from rftcore.planning.memory import Moment, Rollouts, State, Work
from rftcore.planning.schedule import Schedule
from rftcore.planning.trace import Compute
from rftcore.training.agreement import MOST
from rftcore.training.configs import make_config
from rftcore.training.cpu import TILE
from rftcore.types import Prompt

Peaks = Mapping[str, Mapping[int, Peak]]  # by engine, then by number of processes


@dataclass(frozen=True)
class Row:
    """What the policy reads for a sample, and what SFT teaches it, if it does."""

    prompt: Prompt
    target: str


@dataclass(frozen=True)
class Traced:
    """The memory of a phase. moments: of one process, beside `state`."""

    state: State
    moments: Sequence[Moment]
    peaks: Peaks


class Tracer:
    """Traces phases of one model on one kind of device. end: what ends a turn in SFT's targets."""

    def __init__(self, source: str | Path, processor: Any, end: str, device: str) -> None:
        self.device, self._source, self._processor, self._end = device, source, processor, end
        self._outlined: tuple[str, Any] | None = None

    def outline(self, recipe: Recipe, phase: str = "") -> Any:
        """The model as a phase trains it, without weights; the newest one is kept."""
        policy, parts = recipe.policy, getattr(recipe, phase).freeze if phase else []
        key = f"{policy.dtype} {policy.lora or parts}"
        if self._outlined is None or self._outlined[0] != key:
            model = weights.outline(self._source, policy.dtype, policy)
            weights.choose(model, self._source, parts, policy.lora)
            self._outlined = key, model
        return self._outlined[1]

    def computes_in_bf16(self, recipe: Recipe, phase: str = "") -> bool:
        """Whether products are computed in bfloat16, as TRL's configuration would have it."""
        extra = getattr(recipe, phase).model_extra or {} if phase else {}
        default = self.device == "cuda" or recipe.policy.dtype == "bfloat16"
        return bool(extra.get("bf16", default))

    def phase(
        self,
        recipe: Recipe,
        phase: str,
        schedules: Sequence[Schedule],
        longest: Row,
        chosen: Sequence[str] = ENGINES,
    ) -> Traced:
        """A phase whose batches are as long as its longest row, for the `chosen` engines."""
        config, model = config_of(recipe, phase), self.outline(recipe, phase)
        # with an adapter, the reference model is the model without it
        reference = phase == "grpo" and config.beta > 0 and recipe.policy.lora is None
        optimizer = str(getattr(config.optim, "value", config.optim))
        state = weights.state(model, optimizer, reference=reference)
        shapes = _Shapes(self, model, recipe, phase, config, longest)
        usable = [each for each in schedules if not each.fault]
        beside = self._overhead + (self._compared(state) if phase == "grpo" else 0)
        peaks = {
            engine: {
                each.processes: engines.peak(
                    *(state, shapes.moments(each, engine), engine, each.processes), overhead=beside
                )
                for each in usable
                if each.processes > 1 or engine == "ddp"
            }
            for engine in chosen
        }
        return Traced(state, shapes.moments(usable[0], "ddp") if usable else (), peaks)

    def evaluation(self, recipe: Recipe, longest: Row) -> Traced:
        """A batch of an evaluation, in one process."""
        settings = recipe.evaluation
        dtype: str = recipe.policy.evaluation_dtype
        if dtype == "auto":
            dtype = "bfloat16" if self.device == "cuda" else reading_dtype("cpu")
        model = weights.outline(self._source, dtype, recipe.policy)
        # `models.encoding.encode` casts images to the dtype of the weights
        most, compute = settings.max_new_tokens, Compute(bf16=False, pixels=model.dtype)
        work = Rollouts.of(model, self._processor, longest.prompt, most, compute)
        state = weights.state(model, "sgd", reference=False)
        state = replace(state, gradients=0, trainable=0)
        moments = tuple(work.moments(settings.batch_size))
        one = engines.peak(state, moments, "ddp", 1, overhead=self._overhead)
        return Traced(state, moments, {"ddp": {1: one}})

    def moments(
        self,
        model: Any,
        recipe: Recipe,
        phase: str,
        longest: Row,
        work: Work,
        rollouts: list[Rollouts],
        known: dict[tuple[Work, int], list[Moment]],
    ) -> Iterator[Moment]:
        """The moments of a step. rollouts, known: what earlier calls for this phase have found."""
        gpu = self.device == "cuda"
        tile = TILE if phase == "grpo" and not gpu else Compute(bf16=False).tile
        compute = Compute(self.computes_in_bf16(recipe, phase), tile, compact=gpu)
        common = (model, self._processor, longest.prompt)
        if phase == "sft":
            return memory.of_sft(*common, longest.target, work, compute, self._end)
        if not rollouts:
            rollouts.append(Rollouts.of(*common, work.completion, compute))
        beta = config_of(recipe, phase).beta
        return memory.of_grpo(*common, work, compute, rollouts[0], known, reference=beta > 0)

    @property
    def _overhead(self) -> int:
        """Bytes of the device that are not tensors."""
        return engines.CONTEXT if self.device == "cuda" else 0

    def _compared(self, state: State) -> int:
        """Bytes of the gradients of earlier steps, which are kept on the CPU and compared."""
        if self.device != "cpu":
            return 0
        count = min(state.trainable, MOST)
        numbers = 8 * count if state.trainable > MOST else 0  # of the weights that are read
        return 4 * count + numbers


class _Shapes:
    """The moments of a phase for each number of processes, each shape traced once."""

    def __init__(
        self, tracer: Tracer, model: Any, recipe: Recipe, phase: str, config: Any, longest: Row
    ) -> None:
        self._tracer, self._config, self._recipe, self._phase = tracer, config, recipe, phase
        self._common = (model, recipe, phase, longest)
        self._done: dict[Work, tuple[Moment, ...]] = {}
        self._rollouts: list[Rollouts] = []
        self._known: dict[tuple[Work, int], list[Moment]] = {}

    def moments(self, made: Schedule, engine: str) -> tuple[Moment, ...]:
        """Of a process among those of `made`."""
        work = self._work(made, shares=engine not in engines.SHARDED or made.processes == 1)
        if work not in self._done:
            found = self._tracer.moments(*self._common, work, self._rollouts, self._known)
            self._done[work] = tuple(found)
        return self._done[work]

    def _work(self, made: Schedule, *, shares: bool) -> Work:
        config, grpo = self._config, self._recipe.grpo
        checkpointing, accumulates = bool(config.gradient_checkpointing), min(2, made.accumulation)
        if self._phase == "sft":
            most = config.max_length
            return Work(made.micro, made.micro, accumulates, checkpointing, max_length=most)
        sharing = shares and grpo.shared_prefix != "off"
        return Work(
            made.micro,
            made.micro * made.accumulation,
            accumulates,
            checkpointing,
            group=grpo.group_size,
            completion=int(config.max_completion_length),
            shares=sharing,
            in_parts=sharing and self._tracer.device == "cpu" and not checkpointing,
            top_p=config.top_p < 1,
        )


def config_of(recipe: Recipe, phase: str) -> Any:
    """TRL's configuration of a phase, to be read."""
    with tempfile.TemporaryDirectory() as folder:
        return make_config(recipe, phase, Path(folder))
