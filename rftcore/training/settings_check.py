"""Check a recipe's settings for TRL, and the steps that they lead to, before a model loads.

TRL's fields are checked for their name, type and value (`field_names`, `field_values`), by making
TRL's configuration of them, and by taking one step with it on a toy (`dry_run`).
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
from rftcore.distributed import is_main
from rftcore.errors import Fault, RecipeError, TrainerError, one_line
from rftcore.models.configs import model_config
from rftcore.splits import PHASE_SPLITS
from rftcore.training import dry_run, steps
from rftcore.training.adapter_check import (
    USE_POLICY_LORA,
    adapter_faults,
    check_policy,
    check_targets,
)
from rftcore.training.configs import batch_shapes, common, extras, make_config, trl_fields
from rftcore.training.field_names import DERIVED, OFF, UNSUPPORTED, is_adapter_setting
from rftcore.training.field_values import annotation
from rftcore.training.machine import machine_faults
from rftcore.training.toy import trl_config
from rftcore.training.versions import warn_of_untested_trl

logger = logging.getLogger(__name__)

SECTIONS: Mapping[str, type[SftRecipe | GrpoRecipe]] = {"sft": SftRecipe, "grpo": GrpoRecipe}


def check_settings(recipe: Recipe, done: Collection[str] = ()) -> None:
    """Check every TRL field of the recipe.

    Names, types and values are checked in both sections. For a phase that is to come (enabled,
    and not `done`), TRL's configuration is made and one step taken on a toy: seconds, no model.
    Raises: `RecipeError` with all faults; `TrainerError` if TRL takes no step with its defaults.
    """
    if is_main():
        warn_of_untested_trl()
    faults: list[Fault | str] = [*_adapter_faults(recipe), *adapter_faults(recipe)]
    for section in SECTIONS:
        found = list(_name_faults(recipe, section))
        known = not found and not any(map(is_adapter_setting, extras(getattr(recipe, section))))
        if known and getattr(recipe, section).enabled and section not in done:
            faults += list(_made_faults(recipe, section)) or list(_step_faults(recipe, section))
        faults += found
    if faults:
        raise RecipeError(*faults)


def check_steps(recipe: Recipe, rows: Mapping[str, int]) -> None:
    """Check that each phase takes and logs steps; log what an epoch leaves out.

    rows: how many rows each phase that is to come trains on.
    Raises: `RecipeError` for a phase that would take or log no step.
    """
    configs = {phase: make_config(recipe, phase, Path(phase)) for phase in rows}
    faults = [
        check(recipe, phase, configs[phase], rows[phase])
        for check in (steps.none_taken, steps.none_logged)
        for phase in rows
    ]
    if found := list(filter(None, faults)):
        raise RecipeError(*found)
    for phase in rows if is_main() else ():
        wanted = getattr(recipe, phase).samples or 0
        if wanted > rows[phase]:
            what = f"{phase}.samples = {wanted} ({recipe.origin(phase, 'samples')})"
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
    """Check settings of phases that are to come against the model's configuration.

    Raises: `RecipeError` for those that do not fit; `ModelError` if it cannot be read.
    """
    faults = []
    settings = {phase: extras(getattr(recipe, phase)) for phase in phases}
    config = model_config(source, recipe.policy)
    text = config.get_text_config()
    rules = {
        "router_aux_loss_coef": (
            hasattr(text, "output_router_logits") and hasattr(text, "num_experts"),
            "is for mixtures of experts whose configuration has `num_experts`, which this model's "
            "has not: leave it out",
        ),
        "cast_lm_head_to_fp32": (
            not any(getattr(part, "tie_word_embeddings", False) for part in (config, text)),
            "the model's head shares its weights with the embedding (tie_word_embeddings), and "
            "TRL does not cast such a head: leave it out",
        ),
    }
    for phase, given in settings.items():
        for name, (fits, rule) in rules.items():
            if given.get(name) and not fits:
                faults.append(fault((phase, name), given[name], recipe.origin(phase, name), rule))
    faults += check_policy(recipe, source)
    if phases:
        faults += check_targets(recipe, source)
    if faults:
        raise RecipeError(*faults)


def _adapter_faults(recipe: Recipe) -> Iterator[Fault]:
    """One fault for all of peft's own settings, which have the same cause."""
    found = [
        (f"{section}.{name}", recipe.origin(section, name))
        for section in SECTIONS
        for name in extras(getattr(recipe, section))
        if is_adapter_setting(name)
    ]
    if found:
        (setting, origin), *others = found
        also = ", ".join(f"{name} ({origin})" for name, origin in others)
        rule = f"like {also}: {USE_POLICY_LORA}" if also else USE_POLICY_LORA
        yield Fault(setting, rule, origin=origin)


def _name_faults(recipe: Recipe, section: str) -> Iterator[Fault]:
    """Settings that TRL does not have, that rft does not pass on, or of a wrong type or value."""
    config = trl_config(section)
    hints = typing.get_type_hints(config)
    own = SECTIONS[section].model_fields
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
    """Settings that TRL's configuration rejects, or that need what this machine lacks."""
    settings = trl_fields(recipe, section)
    out = Path(section)  # nothing is written there
    if settings.get("deepspeed") and importlib.util.find_spec("deepspeed") is None:
        # before TRL's configuration is made: that would leave a trace of it in transformers
        origin = recipe.origin(section, "deepspeed")
        rule = "needs the package deepspeed: pip install deepspeed"
        yield fault((section, "deepspeed"), settings["deepspeed"], origin, rule)
        return
    try:
        batch_shapes(recipe, section)
    except RecipeError as error:
        yield from error.args
        return
    found = dry_run.find_causes(settings, lambda some: make_config(recipe, section, out, some))
    yield from _cause_faults(recipe, section, found)
    if not found:
        config = make_config(recipe, section, out)
        for check in (_saves_within_rollouts, _workers_draw, _mask_is_possible):
            if (broken := check(recipe, config)) is not None:
                yield broken
        yield from machine_faults(recipe, section, config)


def _step_faults(recipe: Recipe, phase: str) -> Iterator[Fault]:
    """Settings with which TRL takes no step."""
    base = common(recipe, Path(phase))
    found = dry_run.find_causes(
        trl_fields(recipe, phase),
        lambda some: dry_run.take_step(phase, some, base, adapter=bool(recipe.policy.lora)),
    )
    return _cause_faults(recipe, phase, found)


def _cause_faults(recipe: Recipe, section: str, found: Sequence[dry_run.Cause]) -> Iterator[Fault]:
    """A fault per exception of TRL, for the settings that cause it."""
    settings = extras(getattr(recipe, section))
    for names, error in found:
        if not names:
            raise TrainerError(
                f"{section} cannot start even with TRL's own defaults: {_reason(error)}. "
                "Install the versions that rftcore requires: pip install --upgrade rftcore"
            ) from error
        name, *others = names
        rule = f"TRL cannot train with it: {_reason(error)}"
        if others:
            rest = (f"{section}.{o} = {settings[o]!r}" for o in others)
            rule = f"together with {', '.join(rest)}, {rule}"
        yield fault((section, name), settings[name], recipe.origin(section, name), rule)


def _reason(error: Exception) -> str:
    """The message of a library's exception, with its type unless it is a check of a value."""
    checked = isinstance(error, ValueError | ImportError)
    return one_line(error) if checked else f"{type(error).__name__}: {one_line(error)}"


def _workers_draw(recipe: Recipe, config: Any) -> Fault | None:
    """Why prompts cannot be passed over if data workers read ahead, or None."""
    workers, path = config.dataloader_num_workers, ("grpo", "dataloader_num_workers")
    if not workers or not recipe.grpo.skip or not hasattr(config, "num_generations"):
        return None
    rule = (
        "such processes read prompts before the rewards are known that grpo.skip depends on: "
        "leave out one of the two"
    )
    return fault(path, workers, recipe.origin(*path), rule)


def _mask_is_possible(recipe: Recipe, config: Any) -> Fault | None:
    """Why grpo.sampling_mask=on cannot be, or None."""
    from rftcore.training.kept_tokens import problem  # slow to import

    setting, path = recipe.grpo.sampling_mask, ("grpo", "sampling_mask")
    if setting != "on" or not hasattr(config, "num_generations"):
        return None
    if (reason := problem(config)) is None:
        return None
    return fault(path, setting, recipe.origin(*path), f"{reason}; or leave it at auto")


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
