"""One step of a phase on two rows of the run, with the run's model and trainer, before training.

What fails in a family fails in its first step: an argument that TRL does not pass on, a mask of
another shape, a second start token. Without this step GRPO would fail hours later, after SFT.
The step ends before the optimizer's update. Weights, random numbers, methods, modes and settings
of the model are then as they were.
"""

from __future__ import annotations

import copy
import gc
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rftcore.config import Recipe
from rftcore.datasets.slices import Slice
from rftcore.distributed import world_size
from rftcore.errors import ModelError
from rftcore.models import adapters
from rftcore.models.encoding import encode, stop_ids
from rftcore.models.independence import require_independent
from rftcore.models.policy import Policy
from rftcore.scoring import Score
from rftcore.training.configs import make_config, trl_fields
from rftcore.training.dry_run import unnoticed
from rftcore.training.grpo import grpo_trainer
from rftcore.training.sft import sft_trainer
from rftcore.training.unchanged import unchanged
from rftcore.types import Parsed, Prompt, Sample, Task

ROWS = 2  # per process
TOKENS = 8  # of a completion
LOOKED_AT = 64  # rows from which two are chosen
# TRL's fields that have no part in what a model computes, or that take long
LEFT_OUT = (
    *("report_to", "run_name", "project", "push_to_hub", "log_completions_hub_repo"),
    *("use_vllm", "torch_compile", "torch_compile_backend", "torch_compile_mode"),
    *("full_determinism", "log_level", "log_level_replica", "num_train_epochs", "num_iterations"),
    *("log_completions", "max_steps", "warmup_steps", "save_strategy", "logging_dir"),
)


class _Taken(Exception):  # noqa: N818 - control flow: caught below
    """The step has been taken up to the update."""


class _BeforeUpdate(TrainerCallback):
    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        raise _Taken


def take_step(
    phase: str,
    policy: Policy,
    task: Task,
    recipe: Recipe,
    samples: Sequence[Sample],
    *,
    adapter: Path | None = None,
) -> None:
    """Take a phase's first step up to the update, on these samples.

    adapter: SFT's, if it has one and GRPO continues it; `policy` is then the base model.
    Raises: whatever the trainer, TRL or the model raises; `ModelError` for a prompt of other
    tokens than evaluation shows, and for a target of SFT that nothing ends.
    """
    _require_a_body(policy)
    seen: list[Mapping[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, unnoticed(), unchanged(policy.model):
        own = replace(
            policy,
            model=_as_trained(phase, policy, recipe, adapter),
            processor=copy.deepcopy(policy.processor),
        )
        config = _config(phase, recipe, Path(folder))
        trainer = _trainer(phase, own, task, recipe, samples, config)
        # the outermost model: peft calls `forward` of the one inside without its hooks
        hook = trainer.model.register_forward_pre_hook(
            lambda _, __, inputs: seen.append(inputs), with_kwargs=True
        )
        try:
            trainer.train()
        except _Taken:
            pass
        finally:
            hook.remove()
    whole = getattr(config, "max_length", None) is None
    del trainer
    gc.collect()
    _require_equal_tokens(phase, policy, task, samples, seen)
    if phase == "sft" and whole:
        _require_an_end(policy, seen)


def read_beside_another(policy: Policy, prompt: Prompt) -> None:
    """Check that a prompt is read alike alone and beside another, and leave the model as it was.

    Raises: `ModelError` if it is not; whatever the processor or the model raises.
    """
    with unnoticed(), unchanged(policy.model):
        require_independent(policy, prompt)


def _require_a_body(policy: Policy) -> None:
    """Raise `ModelError` if a model has no part that computes all but the logits.

    TRL calls that part, by transformers' `base_model`, and multiplies by the head itself.
    """
    if policy.model.base_model is policy.model:
        raise ModelError(
            f"{policy.source}: {type(policy.model).__name__} has no `base_model`, from whose "
            "output TRL computes log-probabilities: take a model of another family"
        )


def _as_trained(phase: str, policy: Policy, recipe: Recipe, adapter: Path | None) -> Any:
    """The model that a phase starts with: GRPO continues an adapter, SFT's or one like it."""
    lora = recipe.policy.lora
    if phase != "grpo" or lora is None or lora.between == "merge" or not recipe.sft.enabled:
        return policy.model
    if adapter is not None:
        return adapters.with_adapter(policy.model, adapter, trainable=True)
    from peft import get_peft_model

    return get_peft_model(policy.model, adapters.lora_config(policy.model, lora))


def _config(phase: str, recipe: Recipe, folder: Path) -> Any:
    """The recipe's configuration of a phase with the shapes of one small step."""
    section = getattr(recipe, phase)
    rows = ROWS * world_size()
    if phase == "sft":
        shape = {"batch_size": rows, "micro_batch": min(section.micro_batch or rows, ROWS)}
    else:
        micro = min(section.micro_batch or 2 * rows, 2 * ROWS)
        shape = {"prompts_per_step": rows, "group_size": 2, "micro_batch": 2 if micro < 4 else 4}
    small = recipe.model_copy(update={phase: section.model_copy(update=shape)})
    settings = {n: v for n, v in trl_fields(recipe, phase).items() if n not in LEFT_OUT}
    settings |= {"max_steps": 1, "save_strategy": "no", "report_to": "none"}
    if phase == "grpo":
        most = settings.get("max_completion_length", TOKENS)
        settings["max_completion_length"] = min(most, TOKENS)
    return make_config(small, phase, folder, settings)


def _trainer(
    phase: str,
    policy: Policy,
    task: Task,
    recipe: Recipe,
    samples: Sequence[Sample],
    config: Any,
) -> Any:
    part = Slice(_Chosen(samples), phase, ROWS * world_size())
    callbacks: list[TrainerCallback] = [_BeforeUpdate()]
    if phase == "sft":
        return sft_trainer(policy, task, recipe, part, config, callbacks=callbacks)
    scorer: Any = _Alternating()
    return grpo_trainer(
        policy,
        task,
        recipe,
        part,
        config,
        scorer=scorer,
        observe=lambda step, rollouts: None,
        callbacks=callbacks,
    )


@dataclass(frozen=True)
class _Chosen:
    """A dataset of a few samples, repeated."""

    samples: Sequence[Sample]
    splits: tuple[str, ...] = ("sft", "grpo")

    def size(self, split: str) -> int:
        return len(self.samples)

    def sample(self, split: str, index: int) -> Sample:
        return self.samples[index % len(self.samples)]


class _Alternating:
    """A scorer by which every group has something to learn."""

    collective = staticmethod(nullcontext)

    def score(self, completions: Sequence[str], *_: Any, **__: Any) -> list[Score]:
        parsed = Parsed(None)
        return [Score(float(at % 2), {}, parsed, correct=False) for at in range(len(completions))]


def choose(part: Slice, task: Task) -> list[Sample]:
    """The rows of a part with the most and the fewest pixels, then text, of some that are spread.

    So that, as far as the part has them, one has other images than the other, or none.
    """
    count = min(len(part), LOOKED_AT)
    rows = [part[at * len(part) // count] for at in range(count)]

    def size(sample: Sample) -> tuple[int, int]:
        prompt = task.prompt(sample)
        sides = [image.size() for image in prompt.images]
        return sum(width * height for width, height in sides), len(prompt.text)

    ordered = sorted(rows, key=size)
    return [ordered[-1], ordered[0]]


def _require_equal_tokens(
    phase: str,
    policy: Policy,
    task: Task,
    samples: Sequence[Sample],
    seen: Sequence[Mapping[str, Any]],
) -> None:
    """Raise `ModelError` unless the model has read the prompts as evaluation shows them."""
    shown = [_tokens(encode(policy, [task.prompt(sample)]))[0] for sample in samples]
    for row in (row for inputs in seen if _is_training(inputs) for row in _tokens(inputs)):
        if not any(row[: len(prompt)] == prompt[: len(row)] for prompt in shown):
            raise ModelError(
                f"a prompt is not the same tokens in {phase} and in evaluation: {phase} begins "
                f"with {_text(policy, row)!r}, evaluation with {_text(policy, shown[0])!r}. Let "
                "either the chat template or the tokenizer write the start token"
            )


def _require_an_end(policy: Policy, seen: Sequence[Mapping[str, Any]]) -> None:
    """Raise `ModelError` if a target of SFT has no token that ends generation."""
    stops = stop_ids(policy)
    for inputs in filter(_is_training, seen):
        if not all(stops & {*labels} for labels in inputs["labels"].tolist()):
            raise ModelError("a target of SFT has no token that ends generation")


def _is_training(inputs: Mapping[str, Any]) -> bool:
    return inputs.get("labels") is not None


def _tokens(inputs: Mapping[str, Any]) -> list[list[int]]:
    """The tokens of each row (B, T) without padding."""
    pairs = zip(inputs["input_ids"], inputs["attention_mask"].bool(), strict=True)
    return [ids[kept].tolist() for ids, kept in pairs]


def _text(policy: Policy, ids: Sequence[int]) -> str:
    return str(policy.tokenizer.decode(list(ids[:8])))
