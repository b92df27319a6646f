"""What goes into a factory and what must come out of it."""

import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rftcore.errors import RecipeError, closest
from rftcore.plugins.offers import Offer
from rftcore.types import TASK_SECTIONS, Dataset, Parser, Suite, Task, Term


def checked_options(
    offer: Offer,
    options: Mapping[str, Any],
    origin: Callable[..., str],
    path: tuple[str, ...],
) -> dict[str, Any]:
    """`options` as the factory's arguments, checked by name and type.

    Raises `RecipeError` that names the fault's `origin`, and for a missing one its `path`.
    """
    missing = [
        name for name, p in offer.options.items() if p.default is p.empty and name not in options
    ]
    if missing:
        raise RecipeError(f"{offer} needs the option {'.'.join((*path, missing[0]))}")
    if not options:
        return {}
    from rftcore.config import checked  # pydantic: not needed to list plugins

    allowed = {name: _annotation(p) for name, p in offer.options.items()}
    if offer.takes_any_option:
        allowed = {**dict.fromkeys(options, Any), **allowed}
    return checked(options, allowed, origin, path)


def _annotation(parameter: inspect.Parameter) -> Any:
    unknown = parameter.annotation is parameter.empty or isinstance(parameter.annotation, str)
    return Any if unknown else parameter.annotation


def task_fault(task: Task) -> str:
    """What is wrong with a task's own fields, or ""; names are not looked up."""
    for field in ("name", "summary", "accuracy"):
        if not isinstance(text := getattr(task, field), str):
            return f"its {field} is {text!r:.60}, not text"
    if fault := _rewards_fault(task):
        return fault
    parts: list[tuple[str, Any]] = [("parser", task.parser), ("dataset", task.dataset)]
    parts += [("reward", term.reward) for term in task.rewards.values()]
    for kind, part in parts:
        if not isinstance(part, str) and (expected := misfit(kind, part)):
            return f"its {kind} is {part!r}, which is no {expected}"
    if not callable(task.prompt):
        return f"its prompt is {task.prompt!r}: it must be callable"
    return _defaults_fault(task.defaults)


def _rewards_fault(task: Task) -> str:
    if not isinstance(task.rewards, Mapping):
        return f"its rewards are {task.rewards!r:.60}: write a mapping from names to rftcore.Term"
    if not task.rewards or task.accuracy not in task.rewards:
        return f"accuracy={task.accuracy!r} is not one of its rewards ({', '.join(task.rewards)})"
    for name, term in task.rewards.items():
        if not isinstance(term, Term):
            return f"rewards[{name!r}] is {term!r}: write rftcore.Term({name}, weight)"
        if not isinstance(term.weight, numbers.Real) or not math.isfinite(term.weight):
            return f"the weight of rewards[{name!r}] is {term.weight!r:.60}: write a finite number"
    return ""


def _defaults_fault(defaults: object) -> str:
    """A task sets what its answers need, and not which model or data a run takes."""
    allowed = ", ".join(TASK_SECTIONS)
    if not isinstance(defaults, Mapping):
        return f"its defaults are {defaults!r}: write a mapping of {allowed}"
    for section, settings in defaults.items():
        if section not in TASK_SECTIONS:
            hint = closest(str(section), TASK_SECTIONS)
            return f"its defaults set {section!r}, but a task may set only {allowed}.{hint}"
        if not isinstance(settings, Mapping):
            return f"its defaults set {section} = {settings!r}: write a mapping of settings"
    return ""


def misfit(kind: str, made: object) -> str:
    """What `made` should have been, or ""."""
    expected: dict[str, tuple[Any, str]] = {
        "task": (Task, "rftcore.Task"),
        "dataset": (Dataset, "dataset (splits, size, sample)"),
        "parser": (Parser, "parser (parse, gold, show)"),
        "reward": (Callable, "reward: it is not callable"),
        "model": ((str, Path), "path of a folder"),
        "suite": (Suite, "rftcore.Suite"),
    }
    types, name = expected[kind]
    if kind in ("parser", "dataset") and isinstance(made, type):  # Integer for Integer()
        return name
    if kind == "dataset" and _has(made, "splits", "size", "sample"):
        return ""
    return "" if isinstance(made, types) else name


def _has(made: object, *names: str) -> bool:
    """Whether it has these attributes; unlike `isinstance`, without reading a dataset's files."""
    missing = object()
    return all(inspect.getattr_static(made, name, missing) is not missing for name in names)
