"""Faults of settings: values against annotations, and one line per fault with its origin."""

import json
import math
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

from rftcore.config.recipe import SECTIONS, Path_, Recipe, RewardOverride, origin_of
from rftcore.errors import RecipeError, closest
from rftcore.splits import PHASE_SPLITS


def check_settings(
    recipe: Recipe, section: str, allowed: Mapping[str, Any], *, own: Iterable[str] = ()
) -> dict[str, Any]:
    """The free settings of a section, checked against names and their types, and converted.

    `allowed` maps a name to its annotation (`Any`: not checked); `own` are
    names to suggest as well. Raises `RecipeError` with every fault.
    """
    good, faults = settings_faults(recipe, section, allowed, own=own)
    if faults:
        raise RecipeError(report(faults))
    return good


def settings_faults(
    recipe: Recipe, section: str, allowed: Mapping[str, Any], *, own: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """As `check_settings`, but the faults are returned beside the settings that are right."""
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
    """The values, converted to their annotations. Raises `RecipeError` with every fault."""
    good, faults = _sorted_out(values, allowed, origin, prefix, own)
    if faults:
        raise RecipeError(report(faults))
    return good


def check_splits(recipe: Recipe, splits: Sequence[str]) -> None:
    """Check that the splits a recipe needs exist. Raises `RecipeError`."""
    named = {
        **dict.fromkeys(recipe.evaluation.splits or (), ("evaluation", "splits")),
        **dict.fromkeys(recipe.evaluation.samples, ("evaluation", "samples")),
    }
    faults = [
        fault(path, name, recipe.origin(*path), f"no such split.{closest(name, splits)}")
        for name, path in named.items()
        if name not in splits
    ]
    given = recipe.evaluation.splits or []
    if twice := [split for split in dict.fromkeys(given) if given.count(split) > 1]:
        at = ("evaluation", "splits")
        faults.append(fault(at, given, recipe.origin(*at), f"{', '.join(twice)} is given twice"))
    for phase, split in PHASE_SPLITS.items():
        if getattr(recipe, phase).enabled and split not in splits:
            rule = f"needs split {split!r}; to leave the phase out, --set {phase}.enabled=false"
            faults.append(fault((phase, "enabled"), True, recipe.origin(phase, "enabled"), rule))
    if faults:
        told = report(faults)
        stop = "" if told.endswith((".", "?")) else "."
        raise RecipeError(f"{told}{stop} The task has {', '.join(splits)}")


def typed(value: Any, annotation: Any) -> Any:
    """Convert a value as it stands in a recipe: a list to a tuple, text to a `Path`.

    Raises `ValueError` with the rule if it is not an `annotation`, or not finite.
    """
    if not _finite(value):
        raise ValueError("must be a finite number")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError):
        return value  # a type that pydantic does not know is the factory's own business
    try:
        return adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        rules = dict.fromkeys(_rule(each["msg"]) for each in error.errors())
        raise ValueError("; ".join(rules)) from error


def fault(path: Path_, value: Any, origin: str, rule: str) -> str:
    """One line: the setting, its value, where it came from, and the rule it breaks."""
    return f"{'.'.join(path)} = {value!r} ({origin}): {rule}"


def report(faults: Sequence[str]) -> str:
    """The message of a `RecipeError` that holds all faults of a recipe."""
    if len(faults) == 1:
        return faults[0]
    return "\n".join((f"{len(faults)} faults in the recipe:", *(f"  {line}" for line in faults)))


def faults_of(error: ValidationError, origins: Mapping[Path_, str]) -> list[str]:
    """One line per fault that pydantic found."""
    faults = []
    for each in error.errors():
        path = tuple(str(part) for part in each["loc"])
        if each["type"] == "missing":
            faults.append(f"{'.'.join(path)} is missing: give --{path[0]}, or set it in the recipe")
            continue
        rule = _rule(each["msg"])
        if each["type"] == "extra_forbidden":
            rule = f"no such setting.{_suggest(path)}"
        faults.append(fault(path, each["input"], origin_of(origins, path), rule))
    return faults


def _sorted_out(
    values: Mapping[str, Any],
    allowed: Mapping[str, Any],
    origin: Callable[..., str],
    prefix: Path_,
    own: Iterable[str],
) -> tuple[dict[str, Any], list[str]]:
    good, faults = {}, []
    for name, value in values.items():
        try:
            if name not in allowed:
                raise ValueError(f"no such setting.{closest(name, (*allowed, *own))}")
            good[name] = typed(value, allowed[name])
        except ValueError as error:
            faults.append(fault((*prefix, name), value, origin(*prefix, name), str(error)))
    return good, faults


def _finite(value: Any) -> bool:
    """Whether no number in it is infinite or NaN; a recipe can write both (`.inf`, `1e400`)."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _rule(message: str) -> str:
    return message.removeprefix("Value error, ")


def _suggest(path: Path_) -> str:
    names = list(_names(Recipe))
    if path[0] == "rewards" and len(path) > 1:
        names = [".".join((*path[:2], name)) for name in RewardOverride.model_fields]
    suggestion = closest(".".join(path), names) or closest(
        path[-1], [name.rpartition(".")[2] for name in names]
    )
    if suggestion or len(path) > 1:
        return suggestion
    return " TRL's settings go under sft: or grpo:."


def _names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if name in SECTIONS and not prefix:
            yield from _names(field.annotation, f"{name}.")  # type: ignore[arg-type]
