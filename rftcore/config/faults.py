"""Check settings against annotations and names; each fault has its setting, value and origin."""

import json
import math
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import (
    BaseModel,
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)

from rftcore.config.paradigms import ANSWERS, of_phases
from rftcore.config.recipe import Path_, Recipe, RewardOverride, origin_of
from rftcore.config.rules import FINITE, rule_of, rules_of
from rftcore.errors import Fault, RecipeError, similar
from rftcore.splits import PHASE_SPLITS, RL


def check_settings(
    recipe: Recipe, section: str, allowed: Mapping[str, Any], *, own: Iterable[str] = ()
) -> dict[str, Any]:
    """The free settings of a section, checked against names and types, and converted.

    `allowed` maps a name to its annotation (`Any`: not checked); `own` are names to suggest as
    well.
    Raises: RecipeError with every fault.
    """
    good, faults = settings_faults(recipe, section, allowed, own=own)
    if faults:
        raise RecipeError(*faults)
    return good


def settings_faults(
    recipe: Recipe, section: str, allowed: Mapping[str, Any], *, own: Iterable[str] = ()
) -> tuple[dict[str, Any], list[Fault]]:
    """As `check_settings`, but returns the valid settings and the faults."""
    value = getattr(recipe, section)
    free = value if isinstance(value, Mapping) else (value.model_extra or {})
    return _sorted_out(free, allowed, recipe.origin, (section,), own)


def checked(
    values: Mapping[str, Any],
    allowed: Mapping[str, Any],
    origin: Callable[..., str],
    prefix: Path_ = (),
    own: Iterable[str] = (),
) -> dict[str, Any]:
    """The values, converted to their annotations.

    Raises: RecipeError with every fault.
    """
    good, faults = _sorted_out(values, allowed, origin, prefix, own)
    if faults:
        raise RecipeError(*faults)
    return good


def check_splits(recipe: Recipe, splits: Sequence[str], *, trains: bool = True) -> None:
    """Check that the splits a recipe needs exist. trains: whether its phases are to run.

    Raises: RecipeError with every fault.
    """
    there = f"the task has {', '.join(splits)}"
    named = {
        **dict.fromkeys(recipe.evaluation.splits or (), ("evaluation", "splits")),
        **dict.fromkeys(recipe.evaluation.samples, ("evaluation", "samples")),
    }
    faults = [
        fault(path, name, recipe.origin(*path), f"no such split; {there}.", similar(name, splits))
        for name, path in named.items()
        if name not in splits
    ]
    given = recipe.evaluation.splits or []
    if twice := [split for split in dict.fromkeys(given) if given.count(split) > 1]:
        at = ("evaluation", "splits")
        faults.append(fault(at, given, recipe.origin(*at), f"{', '.join(twice)} is given twice"))
    for phase, split in PHASE_SPLITS.items():
        if phase == "sft" and recipe.paradigm == ANSWERS and RL in splits:
            continue  # without a split sft, answers are taught on split rl
        if trains and getattr(recipe, phase).enabled and split not in splits:
            other = {"sft": recipe.sft.enabled, "grpo": recipe.grpo.enabled, phase: False}
            rule = (
                f"needs split {split!r}, and {there}; to leave the phase out, "
                f"--paradigm {of_phases(**other)}"
            )
            if phase == "sft" and RL in splits:
                rule += f"; to teach answers without reasoning, --paradigm {ANSWERS}"
            faults.append(fault((phase, "enabled"), True, recipe.origin(phase, "enabled"), rule))
    if faults:
        raise RecipeError(*faults)


def typed(value: Any, annotation: Any) -> Any:
    """Convert a value of a recipe to its annotation: a list to a tuple, text to a `Path`.

    Raises: ValueError with the rule if it does not fit, or is not finite.
    """
    if not _finite(value):
        raise ValueError(FINITE)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError):
        return value  # a type that pydantic does not support is left to the factory
    try:
        return adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        raise ValueError(rules_of(error.errors())) from error


def fault(
    path: Path_, value: Any, origin: str, rule: str, suggestions: tuple[str, ...] = ()
) -> Fault:
    """The fault of the setting at `path`."""
    return Fault(".".join(path), rule, value, origin, suggestions)


def faults_of(error: ValidationError, origins: Mapping[Path_, str]) -> list[Fault]:
    """The faults that pydantic found."""
    faults = []
    for each in error.errors():
        path = tuple(str(part) for part in each["loc"])
        if each["type"] == "missing":
            rule = f"not set; give --{path[0]}, or set it in the recipe"
            faults.append(Fault(".".join(path), rule))
            continue
        rule, suggestions = rule_of(each), tuple[str, ...]()
        if each["type"] == "extra_forbidden":
            rule, suggestions = _no_such_setting(path)
        faults.append(fault(path, each["input"], origin_of(origins, path), rule, suggestions))
    return faults


def _sorted_out(
    values: Mapping[str, Any],
    allowed: Mapping[str, Any],
    origin: Callable[..., str],
    prefix: Path_,
    own: Iterable[str],
) -> tuple[dict[str, Any], list[Fault]]:
    good, faults = {}, []
    for name, value in values.items():
        path = (*prefix, name)
        if name not in allowed:
            meant = similar(name, (*allowed, *own))
            rule = "no such setting." if allowed or own else "no such setting; there are no options"
            faults.append(fault(path, value, origin(*path), rule, meant))
            continue
        try:
            good[name] = typed(value, allowed[name])
        except ValueError as error:
            faults.append(fault(path, value, origin(*path), str(error)))
    return good, faults


def _finite(value: Any) -> bool:
    """Whether no number in it is infinite or NaN; a recipe can write both (`.inf`, `1e400`)."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _no_such_setting(path: Path_) -> tuple[str, tuple[str, ...]]:
    """The rule for a setting that does not exist, and the settings that were probably meant."""
    names = list(_names(Recipe))
    if path[0] == "rewards" and len(path) > 1:
        names = [".".join((*path[:2], name)) for name in RewardOverride.model_fields]
    meant = similar(".".join(path), names) or similar(
        path[-1], [name.rpartition(".")[2] for name in names]
    )
    hint = "" if meant or len(path) > 1 else " TRL's settings go under sft: or grpo:."
    return f"no such setting.{hint}", meant


def _names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting of a model, and those below it."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if typing.get_origin(field.annotation) is dict:  # of names that a user chooses
            continue
        for below in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(below, type) and issubclass(below, BaseModel):
                yield from _names(below, f"{prefix}{name}.")
