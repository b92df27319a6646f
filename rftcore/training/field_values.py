"""Which values of TRL's fields a recipe may have, beyond their types.

TRL and transformers check some values when a trainer is built, some at the
first step, and some never. `dry_run` finds what they check. The rules here are
for what a dry run cannot find, or cannot attribute to a setting.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from rftcore.errors import closest
from rftcore.runs import METRICS

Value = TypeVar("Value")


def _one_of(words: list[str]) -> Callable[[str], str]:
    """A check that a word is one that transformers offers."""

    def check(word: str) -> str:
        if word not in words:
            raise ValueError(f"not a choice.{closest(word, words)} One of: {', '.join(words)}")
        return word

    return check


def _steps(steps: int) -> int:
    if steps == -1 or steps > 0:
        return steps
    raise ValueError("must be 1 or more, or -1: as many as num_train_epochs takes")


def _not_best(strategy: Value) -> Value:
    if strategy == "best":
        raise ValueError(
            "rft does not evaluate during a phase, so no checkpoint is the best: use 'steps', "
            "'epoch' or 'no'"
        )
    return strategy


def _by_loss(scheduler: Value) -> Value:
    if scheduler in ("reduce_lr_on_plateau", "greedy"):
        raise ValueError(
            "it follows evaluations during a phase, and rft evaluates between phases: "
            "use 'linear', 'cosine' or 'constant'"
        )
    return scheduler


def _not_padded(multiple: Value) -> Value:
    if multiple not in (None, "auto"):
        raise ValueError("TRL cannot pad rows with images to a multiple yet: leave it out")
    return multiple


def _logged(strategy: Value) -> Value:
    if strategy == "no":
        raise ValueError(
            f"{METRICS}, and the notes on a phase that learns nothing, are made of what is "
            "logged: use 'steps' with logging_steps, or 'epoch'"
        )
    return strategy


# What `generation_kwargs` would override of a setting and of TRL's groups, without a message.
_GENERATION = {
    "num_return_sequences": "group_size",
    "max_new_tokens": "max_completion_length",
    "max_length": "max_completion_length",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "cache_implementation": "cache_implementation",
}


def _generation(given: Value) -> Value:
    from transformers import GenerationConfig

    config: Any = GenerationConfig  # untyped in transformers
    known = set(config().to_dict())
    options: Mapping[str, Any] = given if isinstance(given, dict) else {}
    for name in options:
        if name not in known:  # transformers would keep it and never read it
            raise ValueError(
                f"{name}: transformers generates with no such option.{closest(name, known)}"
            )
        if name in _GENERATION:
            raise ValueError(f"{name}: use grpo.{_GENERATION[name]}")
        if name == "do_sample" and not options[name]:
            raise ValueError("do_sample: false gives every completion of a group the same text")
        if name == "num_beams" and options[name] != 1:
            raise ValueError("num_beams: GRPO learns from samples of the policy, not from a search")
    return given


def _sampled(samples: int | None) -> int:
    if samples is None:
        raise ValueError("must be a number: without one the model's own limit of 20 applies")
    return samples


def _not_reentrant(options: Value) -> Value:
    if isinstance(options, Mapping) and options.get("use_reentrant"):
        raise ValueError(
            "use_reentrant drops the gradients of layers that get their input by keyword, such as "
            "those of Swin: leave it out"
        )
    return options


def _more_than_one(tokens: int) -> int:
    if tokens == 0 or tokens > 1:
        return tokens
    raise ValueError("must be 2 or more, or 0 for all: with one token every completion is the same")


_POSITIVE, _NOT_NEGATIVE = Field(gt=0), Field(ge=0)
_SHARE, _COUNT = Field(ge=0, le=1), Field(ge=1)

RULES: Mapping[str, Any] = {
    # how long
    "max_steps": AfterValidator(_steps),
    "num_train_epochs": _POSITIVE,
    # the optimizer
    "learning_rate": _POSITIVE,
    "warmup_steps": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "adam_beta1": Field(ge=0, lt=1),
    "adam_beta2": Field(ge=0, lt=1),
    "adam_epsilon": _POSITIVE,
    "max_grad_norm": _NOT_NEGATIVE,
    "label_smoothing_factor": Field(ge=0, lt=1),
    "neftune_noise_alpha": _POSITIVE,
    "lr_scheduler_type": AfterValidator(_by_loss),
    # logs and checkpoints
    "logging_steps": _POSITIVE,
    "logging_strategy": AfterValidator(_logged),
    "save_steps": _POSITIVE,
    "save_total_limit": _COUNT,
    "save_strategy": AfterValidator(_not_best),
    "torch_empty_cache_steps": _COUNT,
    "activation_checkpointing_kwargs": AfterValidator(_not_reentrant),
    # data
    "max_length": _COUNT,
    "dataloader_num_workers": _NOT_NEGATIVE,
    "dataloader_prefetch_factor": _COUNT,
    "data_seed": Field(ge=0, lt=2**32),
    "ddp_bucket_cap_mb": _COUNT,
    "ddp_timeout": _COUNT,
    # sampling
    "max_completion_length": [_COUNT, AfterValidator(_sampled)],
    "temperature": _POSITIVE,
    "top_p": Field(gt=0, le=1),
    "top_k": AfterValidator(_more_than_one),
    "min_p": Field(ge=0, lt=1),
    "repetition_penalty": _POSITIVE,
    "num_completions_to_print": _COUNT,
    "generation_kwargs": AfterValidator(_generation),
    # the loss of GRPO
    "beta": _NOT_NEGATIVE,
    "num_iterations": _COUNT,
    "epsilon": _POSITIVE,
    "epsilon_high": _POSITIVE,
    "delta": _POSITIVE,
    "sapo_temperature_neg": _POSITIVE,
    "sapo_temperature_pos": _POSITIVE,
    "vespo_k_pos": _POSITIVE,
    "vespo_lambda_pos": _POSITIVE,
    "vespo_k_neg": _POSITIVE,
    "vespo_lambda_neg": _POSITIVE,
    "top_entropy_quantile": Field(gt=0, le=1),
    "entropy_coef": _NOT_NEGATIVE,
    "entropy_coef_min": _NOT_NEGATIVE,
    "entropy_coef_max": _NOT_NEGATIVE,
    "entropy_coef_delta": _NOT_NEGATIVE,
    "entropy_target": _NOT_NEGATIVE,
    "off_policy_mask_threshold": _POSITIVE,
    "ref_model_mixup_alpha": _SHARE,
    "ref_model_sync_steps": _COUNT,
    "router_aux_loss_coef": _NOT_NEGATIVE,
    # vLLM
    "vllm_gpu_memory_utilization": Field(gt=0, le=1),
    "vllm_tensor_parallel_size": _COUNT,
    "vllm_max_model_length": _COUNT,
    "vllm_server_timeout": _POSITIVE,
    "vllm_server_port": Field(ge=1, lt=2**16),
    "vllm_group_port": Field(ge=1, lt=2**16),
    "vllm_importance_sampling_clip_max": _POSITIVE,
    "vllm_importance_sampling_clip_min": _NOT_NEGATIVE,
    "vllm_importance_sampling_cap": _POSITIVE,
}

_LEVELS = Literal["detail", "debug", "info", "warning", "error", "critical", "passive"]
_BOTH = {
    "log_level": _LEVELS,
    "log_level_replica": _LEVELS,
    # sorting by length needs rows processed before training, and images are read at their step
    "train_sampling_strategy": Literal["random", "sequential"],
    "include_num_input_tokens_seen": bool | Literal["all", "non_padding", "no"],
}
# TRL and transformers check these words late or never.
CHOICES: Mapping[str, Mapping[str, Any]] = {
    "sft": {
        **_BOTH,
        "pad_to_multiple_of": Annotated[int | str | None, AfterValidator(_not_padded)],
        "loss_type": Literal["nll", "dft"],
        "truncation_mode": Literal["keep_start"],  # the end of a row holds no image
        "packing_strategy": Literal["bfd", "bfd_split", "wrapped"],
    },
    "grpo": {
        **_BOTH,
        "loss_type": Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"],
        "scale_rewards": Literal["group", "batch", "none"],
        "importance_sampling_level": Literal["token", "sequence"],
        "multi_objective_aggregation": Literal["sum_then_normalize", "normalize_then_sum"],
        "vllm_mode": Literal["colocate", "server"],
        "vllm_model_impl": Literal["vllm", "transformers"],
        "vllm_importance_sampling_mode": Literal[
            "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"
        ],
    },
}


def annotation(section: str, name: str, declared: Any) -> Any:
    """The type that TRL declares for a field, narrowed to the values that training works with."""
    narrowed = CHOICES[section].get(name, declared)
    for words in typing.get_args(declared):
        if isinstance(words, type) and issubclass(words, Enum):
            narrowed = Annotated[str, AfterValidator(_one_of([word.value for word in words]))]
    rules = RULES.get(name, ())
    for rule in rules if isinstance(rules, list | tuple) else (rules,):
        narrowed = Annotated[narrowed, rule]
    return narrowed
