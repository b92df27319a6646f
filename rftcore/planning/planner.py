"""Plan a run: check it, count its tokens, make its steps, and trace its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rftcore.config import Recipe
from rftcore.datasets.slices import Slice, take
from rftcore.errors import ModelError, RftError, one_line
from rftcore.models.adapters import has_peft
from rftcore.models.class_check import require_trainable
from rftcore.models.configs import model_config
from rftcore.models.encoding import end_of_turn
from rftcore.models.processor_check import ProcessorCheck
from rftcore.models.processors import load_processor
from rftcore.models.template_check import declared_stops
from rftcore.pipeline.plan import Plan
from rftcore.pipeline.row_checks import check_rows, targets_of
from rftcore.planning import advice, known, tokens, weights
from rftcore.planning.report import PhasePlan, Report
from rftcore.planning.schedule import PROCESSES, schedule
from rftcore.planning.tracing import Row, Traced, Tracer, config_of
from rftcore.prompts import target_of
from rftcore.splits import PHASE_SPLITS, SFT
from rftcore.training.settings_check import check_model_fits, check_settings, check_steps

SMALL = 500_000_000  # parameters of a model that is planned for a CPU if there is no GPU
SAMPLES = 16  # rows read per split: generated images are drawn to be measured
STAND_IN = (
    "{} is not on this machine: its published shapes are used, and each word, digit or sign of a "
    "text counts as one token, somewhat fewer than with its own tokenizer"
)
NOT_4_BITS = (
    "policy.lora.quantize is not planned: the base counts as in policy.dtype, which is several "
    "times what 4 bits need"
)
NOT_VLLM = "vLLM's own memory is not planned: rollouts count as if the model wrote them"
# what the machine that plans need not have
ELSEWHERE = (
    *("use_vllm", "fsdp", "fsdp_config", "deepspeed", "torch_compile", "report_to"),
    "push_to_hub",
)


@dataclass(frozen=True)
class Request:
    """What to plan. samples: rows read per split, None for all. device: "cuda", "cpu" or None.

    limit: bytes per device; None: those of this machine's GPU, if it has one. checked: whether
    TRL's settings have been checked, which takes seconds.
    """

    plan: Plan
    samples: int | None = SAMPLES
    device: str | None = None
    limit: int | None = None
    checked: bool = False


class Planner:
    """The plan of one recipe, made step by step.

    Raises: `RftError` for settings, a model or rows that training would reject, too.
    """

    def __init__(self, request: Request) -> None:
        self.notes: list[str] = []
        self._assumed = ""
        self._recipe = self._portable(request.plan.recipe)
        self.source = self._found(request.plan)
        self._request, self._named = request, request.plan.model
        self._plan = replace(request.plan, model=self.source, recipe=self._recipe)
        self._task = self._plan.taught
        self._phases = [phase for phase in PHASE_SPLITS if self._plan.enabled(phase)]
        self._check_settings()
        self._check = ProcessorCheck(
            self.source,
            self._task.prompt,
            self._recipe.policy,
            sft_prompt=self._plan.sft_task.prompt,
        )
        stops = declared_stops(self.source, self._check.processor, self._recipe.policy)
        self._end = end_of_turn(self._check.processor, stops)

    def report(self) -> Report:
        """The whole plan."""
        parts = self._parts()
        self._count(parts)
        phases = [self._phase(phase, parts[phase]) for phase in self._phases]
        if evaluated := parts.get("evaluation"):
            phases.append(self._evaluation(evaluated))
        dtype = self._recipe.policy.dtype
        return Report(
            task=self._plan.task.name,
            model=str(self._named),
            device=self.device,
            dtype=dtype,
            compute="bfloat16" if self._tracer.computes_in_bf16(self._recipe) else dtype,
            parameters=weights.parts(self._tracer.outline(self._recipe)),
            phases=phases,
            notes=self.notes,
            assumed=self._assumed,
            memory=self._limit,
            advice=self._advice(phases),
        )

    @cached_property
    def device(self) -> str:
        """What the plan is for: as requested, else this machine's, else by the model's size."""
        import torch

        if self._request.device:
            return self._request.device
        if torch.cuda.is_available():
            return "cuda"
        model = weights.outline(self.source, "float32", self._recipe.policy)
        small = sum(p.numel() for p in model.parameters()) <= SMALL
        found = "cpu" if small and self._request.limit is None else "cuda"
        self._assumed = f"planned for {found}: this machine has no GPU (--device changes that)"
        return found

    @cached_property
    def _limit(self) -> int | None:
        import torch

        if self._request.limit or self.device == "cpu" or not torch.cuda.is_available():
            return self._request.limit
        return int(torch.cuda.get_device_properties(0).total_memory)

    @cached_property
    def _tracer(self) -> Tracer:
        return Tracer(self.source, self._check.processor, self._end, self.device)

    def _portable(self, recipe: Recipe) -> Recipe:
        """The recipe without what this machine need not have to plan it."""
        policy, changes = recipe.policy, dict[str, Any]()
        if policy.attention == "flash_attention_2":  # as much memory as sdpa
            policy = policy.model_copy(update={"attention": None})
        if policy.lora is not None and policy.lora.quantize:
            self.notes.append(NOT_4_BITS)
            lora = policy.lora.model_copy(update={"quantize": None})
            policy = policy.model_copy(update={"lora": lora})
        for phase in PHASE_SPLITS:
            section = getattr(recipe, phase).model_copy()
            extra = section.model_extra or {}
            if extra.get("use_vllm"):
                self.notes.append(NOT_VLLM)
            for name in ELSEWHERE:
                extra.pop(name, None)
            changes[phase] = section
        return recipe.model_copy(update={**changes, "policy": policy})

    def _found(self, plan: Plan) -> str | Path:
        """The model of the plan, or a stand-in for one whose files cannot be had."""
        try:
            model_config(plan.model, plan.recipe.policy)
            load_processor(plan.model, plan.recipe.policy)
        except ModelError:
            if Path(plan.model).exists() or not known.is_known(str(plan.model)):
                raise
            self.notes.append(STAND_IN.format(plan.model))
            return known.stand_in(str(plan.model))
        return plan.model

    def _check_settings(self) -> None:
        """As `rft train` checks them."""
        if not self._request.checked:
            check_settings(self._recipe)
        check_steps(self._recipe, {phase: len(self._plan.part(phase)) for phase in self._phases})
        require_trainable(self.source, self._recipe.policy)
        check_model_fits(self._recipe, self.source, self._phases)

    def _parts(self) -> dict[str, Slice]:
        """What each phase reads; of an evaluation, the first split."""
        parts = {phase: self._plan.part(phase) for phase in self._phases}
        for split in self._plan.splits[:1]:
            most = self._recipe.evaluation.samples.get(split)
            parts["evaluation"] = take(self._plan.task, split, most)
        return parts

    def _count(self, parts: dict[str, Slice]) -> None:
        """Count the tokens of the rows, and check them as `rft train` does."""
        configs = {phase: config_of(self._recipe, phase) for phase in self._phases}
        targets = targets_of(self._plan, configs, self._check)
        counter = tokens.Counter(self._check, self._plan, self._end, targets)
        most = self._request.samples
        self._lengths = {name: counter.count(part, most) for name, part in parts.items()}
        seen = tuple(part.split for name, part in parts.items() if name == "evaluation")
        check_rows(replace(self._plan, splits=seen), configs, self._check, targets)

    def lengths(self, phase: str) -> tokens.Lengths:
        """The tokens of what a phase reads, once they have been counted."""
        return self._lengths[phase]

    def _longest(self, name: str, part: Slice) -> Row:
        sample = part[self._lengths[name].longest.index]
        if part.split != SFT:
            return Row(self._task.prompt(sample), "")
        taught = self._plan.sft_task
        return Row(taught.prompt(sample), target_of(taught)(sample))

    def _phase(self, phase: str, part: Slice) -> PhasePlan:
        config, longest = config_of(self._recipe, phase), self._longest(phase, part)
        made = [schedule(self._recipe, phase, config, len(part), n) for n in PROCESSES]

        def trace() -> Traced:
            found = self._tracer.phase(self._recipe, phase, made, longest)
            if self._recipe.policy.lora is not None or not has_peft():
                return found
            smaller = advice.changed(self._recipe, "policy.lora", advice.LORA)
            adapted = self._tracer.phase(smaller, phase, made, longest, ["ddp"])
            return replace(found, peaks={**found.peaks, advice.LORA_ROW: adapted.peaks["ddp"]})

        return PhasePlan(phase, self._lengths[phase], made, *_tried(trace))

    def _evaluation(self, part: Slice) -> PhasePlan:
        longest, recipe = self._longest("evaluation", part), self._recipe
        found = _tried(lambda: self._tracer.evaluation(recipe, longest))
        return PhasePlan("evaluation", self._lengths["evaluation"], [], *found)

    def _advice(self, phases: Sequence[PhasePlan]) -> list[advice.Advice]:
        """For each phase that does not fit in one process: what lowers its peak most."""
        limit, found = self._limit, list[advice.Advice]()
        for plan in phases:
            peak = plan.peak
            if limit is not None and peak is not None and peak > limit:
                found += advice.ranked(self._recipe, plan.phase, self._peak_with, peak, limit)
        return found

    def _peak_with(self, recipe: Recipe, phase: str) -> int | None:
        """The peak of one process with other settings; None if they do not fit together."""
        name = phase
        part = self._parts()[phase]
        longest = self._longest(name, part)
        try:
            if phase == "evaluation":
                return self._tracer.evaluation(recipe, longest).peaks["ddp"][1].total
            made = schedule(recipe, phase, config_of(recipe, phase), len(part), 1)
            if made.fault:
                return None
            return self._tracer.phase(recipe, phase, [made], longest, ["ddp"]).peaks["ddp"][1].total
        except RftError:  # such as a part to freeze that the model does not have
            return None


def _tried(trace: Callable[[], Traced]) -> tuple[Traced | None, str]:
    """What `trace` returns, or why the model's own code does not run without data."""
    try:
        return trace(), ""
    except RftError:
        raise
    except Exception as error:  # whatever code meets where numbers should be
        reason = f"{type(error).__name__}: {one_line(error, 200)}"
        return None, f"the model cannot be traced without weights: {reason}"
