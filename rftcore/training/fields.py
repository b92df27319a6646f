"""A recipe's `sft:` and `grpo:` sections as TRL's configurations.

Our own settings state what a user means (samples per step, prompts per step,
group size); batch shapes are derived from them, so TRL's fields for those
are refused. Every other field of TRL's configuration passes through, checked
before a model loads: its name, type and value (`allowed`), that TRL's
configuration can be made of it, and that TRL takes a step with it (`dry_run`).
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rftcore.config import GrpoRecipe, Recipe, SftRecipe, fault, settings_faults
from rftcore.distributed import is_main, world_size
from rftcore.errors import Fault, RecipeError, TrainerError, one_line
from rftcore.models.loading import NO_ADAPTERS, model_config
from rftcore.splits import PHASE_SPLITS
from rftcore.training import dry_run, steps
from rftcore.training.allowed import (
    DERIVED,
    OFF,
    UNSUPPORTED,
    annotation,
    is_adapter_setting,
)
from rftcore.training.toy import trl_config
from rftcore.training.versions import warn_of_untested_trl

logger = logging.getLogger(__name__)

CONFIGS: Mapping[str, type[SftRecipe | GrpoRecipe]] = {
    "sft": SftRecipe,
    "grpo": GrpoRecipe,
}  # the section of each phase


def check_fields(recipe: Recipe, done: Collection[str] = ()) -> None:
    """Raise `RecipeError` with every TRL field of the recipe that cannot be as it is.

    Names, types and values are checked in both sections. For a phase that is to come (enabled,
    and not `done`), TRL's configuration is made and one step taken on a toy: seconds, no model.
    """
    if is_main():
        warn_of_untested_trl()
    faults: list[Fault | str] = list(_adapter_faults(recipe))
    for section in CONFIGS:
        found = list(_name_faults(recipe, section))
        known = not found and not any(map(is_adapter_setting, extras(getattr(recipe, section))))
        if known and getattr(recipe, section).enabled and section not in done:
            faults += list(_made_faults(recipe, section)) or list(_step_faults(recipe, section))
        faults += found
    if faults:
        raise RecipeError(*faults)


def check_steps(recipe: Recipe, rows: Mapping[str, int]) -> None:
    """Raise `RecipeError` if a phase would take no step; print what an epoch leaves out.

    rows: how many rows each phase that is to come trains on.
    """
    configs = {phase: made(recipe, phase, Path(phase)) for phase in rows}
    faults = [
        check(recipe, phase, configs[phase], rows[phase])
        for check in (steps.none_taken, steps.none_logged)
        for phase in rows
    ]
    if found := list(filter(None, faults)):
        raise RecipeError(*found)
    for phase in rows if is_main() else ():
        asked = getattr(recipe, phase).samples or 0
        if asked > rows[phase]:
            what = f"{phase}.samples = {asked} ({recipe.origin(phase, 'samples')})"
            split = PHASE_SPLITS[phase]
            logger.info("%s: split %s has %s, and all are used", what, split, rows[phase])
        notes = (
            steps.warmup_unused(recipe, phase, configs[phase]),
            steps.warms_up_only(recipe, phase, configs[phase], rows[phase]),
            steps.left_out(phase, configs[phase], rows[phase]),
        )
        for note in filter(None, notes):
            logger.info(note)


def check_model_fits(recipe: Recipe, source: str | Path, phases: Collection[str]) -> None:
    """Raise `RecipeError` if a setting of phases that are to come does not fit the model."""
    faults = []
    settings = {phase: extras(getattr(recipe, phase)) for phase in phases}
    config = model_config(source)
    text = config.get_text_config()
    rules = {
        "router_aux_loss_coef": (
            hasattr(text, "output_router_logits"),
            "is for mixtures of experts, and this model is none: leave it out",
        ),
        "cast_lm_head_to_fp32": (
            not any(getattr(part, "tie_word_embeddings", False) for part in (config, text)),
            "the model's head shares its weights with the embedding (tie_word_embeddings), and "
            "TRL casts no such head: leave it out",
        ),
    }
    for phase, given in settings.items():
        for name, (fits, rule) in rules.items():
            if given.get(name) and not fits:
                faults.append(fault((phase, name), given[name], recipe.origin(phase, name), rule))
    if faults:
        raise RecipeError(*faults)


def _adapter_faults(recipe: Recipe) -> Iterator[Fault]:
    """One fault for all settings of LoRA, which have the same cause."""
    found = [
        (f"{section}.{name}", recipe.origin(section, name))
        for section in CONFIGS
        for name in extras(getattr(recipe, section))
        if is_adapter_setting(name)
    ]
    if found:
        (setting, origin), *others = found
        also = ", ".join(f"{name} ({origin})" for name, origin in others)
        rule = f"like {also}: {NO_ADAPTERS}" if also else NO_ADAPTERS
        yield Fault(setting, rule, origin=origin)


def _name_faults(recipe: Recipe, section: str) -> Iterator[Fault]:
    """Settings that TRL does not have, that rft does not pass on, or of a wrong type or value."""
    config = trl_config(section)
    hints = typing.get_type_hints(config)
    own = CONFIGS[section].model_fields
    free = sorted(f.name for f in dataclasses.fields(config) if f.init)
    offered = [name for name in free if name not in DERIVED and name not in UNSUPPORTED]
    known = {name: annotation(section, name, hints[name]) for name in offered}
    for name, value in extras(getattr(recipe, section)).items():
        if name in DERIVED:
            rule = f"rft sets this; use {DERIVED[name]}"
        elif name in UNSUPPORTED:
            rule = f"not supported: {UNSUPPORTED[name]}" if value not in OFF else ""
        elif is_adapter_setting(name):
            rule = ""  # reported already
        else:
            continue
        known[name] = Any
        if rule:
            yield fault((section, name), value, recipe.origin(section, name), rule)
    _, faults = settings_faults(recipe, section, known, own=own)
    yield from faults


def _made_faults(recipe: Recipe, section: str) -> Iterator[Fault | str]:
    """Settings of which TRL's configuration cannot be made, or that this machine cannot follow."""
    settings = trl_fields(recipe, section)
    out = Path(section)  # nothing is written there
    if settings.get("deepspeed") and importlib.util.find_spec("deepspeed") is None:
        # before TRL's configuration is made: that would leave a trace of it in transformers
        origin = recipe.origin(section, "deepspeed")
        rule = "needs the package deepspeed: pip install deepspeed"
        yield fault((section, "deepspeed"), settings["deepspeed"], origin, rule)
        return
    try:
        _shapes(recipe, section)
    except RecipeError as error:
        yield from error.args
        return
    found = dry_run.find_causes(settings, lambda some: made(recipe, section, out, some))
    yield from _refused(recipe, section, found)
    if not found:
        config = made(recipe, section, out)
        if (broken := _saves_within_rollouts(recipe, config)) is not None:
            yield broken
        yield from _machine_faults(recipe, section, config)


def _step_faults(recipe: Recipe, phase: str) -> Iterator[Fault]:
    """Settings with which TRL takes no step."""
    base = common(recipe, Path(phase))
    found = dry_run.find_causes(
        trl_fields(recipe, phase), lambda some: dry_run.take_step(phase, some, base)
    )
    return _refused(recipe, phase, found)


def _refused(recipe: Recipe, section: str, found: Sequence[dry_run.Cause]) -> Iterator[Fault]:
    settings = extras(getattr(recipe, section))
    for names, error in found:
        if not names:
            raise TrainerError(
                f"{section} cannot start even with TRL's own defaults: {_reason(error)}. "
                "Install versions that rftcore allows (`pip install rftcore` says which)"
            ) from error
        name, *others = names
        rule = f"TRL cannot train with it: {_reason(error)}"
        if others:
            rest = (f"{section}.{o} = {settings[o]!r}" for o in others)
            rule = f"together with {', '.join(rest)}, {rule}"
        yield fault((section, name), settings[name], recipe.origin(section, name), rule)


def _reason(error: Exception) -> str:
    """What a library raised; an error that it did not foresee with its type."""
    foreseen = isinstance(error, ValueError | ImportError)
    return one_line(error) if foreseen else f"{type(error).__name__}: {one_line(error)}"


def _machine_faults(recipe: Recipe, section: str, config: Any) -> Iterator[Fault | str]:
    """Settings that need a package, a GPU, a login or processes that are not there."""
    if config.n_gpu > 1:
        yield (
            f"{section}: one process sees {config.n_gpu} GPUs, and TRL trains on one per process: "
            "start one process per GPU with torchrun, or set CUDA_VISIBLE_DEVICES=0"
        )
    problems = [("report_to", _tracker_problem(name)) for name in config.report_to]
    problems += [("use_vllm", _vllm_problem() if getattr(config, "use_vllm", False) else None)]
    if config.fsdp and world_size() == 1:
        problems.append(("fsdp", "spreads a model over processes, and there is one: use torchrun"))
    for name in ("push_to_hub", "log_completions_hub_repo"):
        if getattr(config, name, None):
            problems.append((name, _hub_problem(config.hub_token)))
    if config.torch_compile:
        problems.append(_compile_problem(config))
    settings = extras(getattr(recipe, section))
    for name, problem in problems:
        if problem is not None:
            yield fault((section, name), settings.get(name), recipe.origin(section, name), problem)


def _compile_problem(config: Any) -> tuple[str, str | None]:
    """What torch's compiler has against its backend or mode; nothing is compiled here."""
    import torch

    backend, mode = config.torch_compile_backend, config.torch_compile_mode
    compiled: Any = torch.compile  # its overloads want literals
    try:
        compiled(torch.nn.Identity(), backend=backend or "inductor")
    except Exception as error:  # a class of its own, private to torch
        known = ", ".join(torch.compiler.list_backends())
        return "torch_compile_backend", f"{one_line(error, 80)}; torch offers {known}"
    try:
        compiled(torch.nn.Identity(), backend=backend or "inductor", mode=mode)
    except Exception as error:
        return "torch_compile_mode", one_line(error)
    return "torch_compile", None


def _vllm_problem() -> str | None:
    import torch

    if importlib.util.find_spec("vllm") is None:
        return "needs the package vllm: pip install 'trl[vllm]'"
    return None if torch.cuda.is_available() else "needs a GPU, and this process sees none"


def _tracker_problem(name: str) -> str | None:
    from transformers import integrations

    found: Any = integrations  # untyped in transformers
    try:
        for callback in found.get_reporting_integration_callbacks([name]):
            callback()
    except Exception as error:  # each tracker looks for its package in its own way
        return one_line(error)
    return None


def _hub_problem(token: str | None) -> str | None:
    from huggingface_hub import whoami

    try:
        whoami(token=token)
    except Exception as error:  # no token, a wrong one, no network: each its own exception
        return (
            f"needs the hub, and it cannot be reached ({one_line(error, 120)}). Log in with "
            "`hf auth login`, or leave it out and upload the policy at the end: "
            "`hf upload ORG/NAME RUN/grpo/model`"
        )
    return None


def extras(section: SftRecipe | GrpoRecipe) -> dict[str, Any]:
    """The settings of a section that are TRL's, not ours."""
    return dict(section.model_extra or {})


def trl_fields(recipe: Recipe, section: str) -> dict[str, Any]:
    """The settings of a section that are TRL's, of the types that TRL declares: 0 as 0.0."""
    hints = typing.get_type_hints(trl_config(section))
    return {
        name: float(value) if hints.get(name) is float and type(value) is int else value
        for name, value in extras(getattr(recipe, section)).items()
    }


def shapes(step_size: int, micro_batch: int | None, what: str) -> dict[str, int]:
    """Batch shapes from `step_size` rows per optimizer step over all processes.

    step_size = per_device_train_batch_size * gradient_accumulation_steps * processes
    Raises: `RecipeError` if that has no whole solution.
    """
    world = world_size()
    if step_size % world:
        raise RecipeError(f"{what}: {step_size} rows per step do not divide over {world} processes")
    per_process = step_size // world
    micro = min(micro_batch or per_process, per_process)
    if per_process % micro:
        raise RecipeError(
            f"{what}: micro_batch={micro} does not divide the {per_process} rows a process "
            f"handles per step; use a divisor of {per_process}"
        )
    return {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": per_process // micro,
    }


def _shapes(recipe: Recipe, section: str) -> dict[str, int]:
    if section == "sft":
        return shapes(recipe.sft.batch_size, recipe.sft.micro_batch, "sft")
    grpo = recipe.grpo
    return shapes(grpo.prompts_per_step * grpo.group_size, grpo.micro_batch, "grpo")


def common(recipe: Recipe, out: Path) -> dict[str, Any]:
    """What both phases hand TRL unless the recipe says otherwise."""
    import torch

    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(out),
        "seed": recipe.seed,
        "bf16": gpu or recipe.policy.dtype == "bfloat16",  # or inputs would not fit its weights
        "fp16": False,
        "use_cpu": not gpu,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "activation_checkpointing": True,
        "logging_steps": 1,
        "save_steps": 100,
        "save_total_limit": 2,
        "logging_nan_inf_filter": False,  # it would log a loss that never was; `Finite` stops
        "dataloader_pin_memory": gpu,
    }


def made(recipe: Recipe, section: str, out: Path, settings: Mapping[str, Any] | None = None) -> Any:
    """TRL's configuration for a section, with its settings or only those given."""
    settings = trl_fields(recipe, section) if settings is None else settings
    fields = {**common(recipe, out), **_shapes(recipe, section)}
    if section == "sft":
        # TRL cuts at 1024 tokens by default, which would cut image placeholders
        fields["max_length"] = None
    else:
        fields["num_generations"] = recipe.grpo.group_size
    return trl_config(section)(**{**fields, **settings})


def sft_config(recipe: Recipe, out: Path) -> Any:
    """TRL's `SFTConfig` for this recipe."""
    return made(recipe, "sft", out)


def grpo_config(recipe: Recipe, out: Path) -> Any:
    """TRL's `GRPOConfig` for this recipe: one update per batch of rollouts."""
    return made(recipe, "grpo", out)


def _saves_within_rollouts(recipe: Recipe, config: Any) -> Fault | None:
    """Why a checkpoint would fall between two uses of the same rollouts, or None.

    They are not saved, so a phase that continues from there would make new ones.
    """
    steps, every = config.save_steps, getattr(config, "num_iterations", 1)
    if str(getattr(config.save_strategy, "value", config.save_strategy)) != "steps" or every < 2:
        return None
    if steps == int(steps) and steps % every == 0:
        return None
    rule = (
        f"must be a multiple of grpo.num_iterations={every}, because rollouts that are used again "
        f"are not saved; try {max(1, int(steps) // every) * every}"
    )
    return fault(("grpo", "save_steps"), steps, recipe.origin("grpo", "save_steps"), rule)
