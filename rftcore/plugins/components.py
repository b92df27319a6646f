"""Check what goes into a factory and what comes out of it."""

import inspect
import json
import math
import numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from rftcore.errors import Fault, RecipeError, closest
from rftcore.plugins.offers import Offer
from rftcore.rewards import undeclared
from rftcore.types import TASK_SECTIONS, Dataset, Parser, Reward, Suite, Task, Term


class Origin(Protocol):
    """Returns where a setting comes from: "recipe.yaml line 7", "--set seed" or "default"."""

    def __call__(self, *path: str) -> str:
        """The origin of the setting at `path`."""


def checked_options(
    offer: Offer, options: Mapping[str, Any], origin: Origin, path: tuple[str, ...]
) -> dict[str, Any]:
    """`options` as the factory's arguments, checked by name and type; `path` holds them.

    Raises: RecipeError with every fault.
    """
    missing = [
        name for name, p in offer.options.items() if p.default is p.empty and name not in options
    ]
    if missing:
        rule = f"not set; {offer} needs this option"
        raise RecipeError(*(Fault(".".join((*path, name)), rule) for name in missing))
    if not options:
        return {}
    from rftcore.config import checked  # pydantic: not needed to list plugins

    allowed = {name: _annotation(p) for name, p in offer.options.items()}
    if offer.takes_any_option:
        allowed = {**dict.fromkeys(options, Any), **allowed}
    return checked(options, allowed, origin, path)


def option_faults(
    error: RecipeError, offer: Offer, origin: Origin, path: tuple[str, ...]
) -> RecipeError:
    """The faults that a factory found in its options, with the settings of the recipe.

    A factory writes `Fault("size", "use 1 or more", 0)`; in a recipe `size` is, for example,
    `task_options.size`. Where the rule is about several options, those that were set have their
    origin too: which of them is wrong, only the user knows.
    """

    def others(fault: Fault) -> str:
        set_at = {
            name: origin(*path, name)
            for name in offer.options
            if name != fault.setting and re.search(rf"\b{re.escape(name)}\b", fault.rule)
        }
        told = [
            f"{name}: {at}" for name, at in set_at.items() if at not in ("", "default", "option")
        ]
        return f" ({'; '.join(told)})" if told else ""

    def in_recipe(fault: Fault | str) -> Fault | str:
        if isinstance(fault, str) or fault.origin or fault.setting not in offer.options:
            return fault
        at = (*path, fault.setting)
        rule = fault.rule + others(fault)
        return replace(fault, setting=".".join(at), origin=origin(*at), rule=rule)

    return RecipeError(*map(in_recipe, error.args))


def _annotation(parameter: inspect.Parameter) -> Any:
    unknown = parameter.annotation is parameter.empty or isinstance(parameter.annotation, str)
    return Any if unknown else parameter.annotation


def task_fault(task: Task) -> str:
    """What is wrong with the fields of a task, or ""; names are not looked up."""
    for field in ("name", "summary", "accuracy"):
        if not isinstance(text := getattr(task, field), str):
            return f"its {field} is {text!r:.60}, not text"
    if fault := _rewards_fault(task):
        return fault
    parts: list[tuple[str, Any]] = [("parser", task.parser), ("dataset", task.dataset)]
    parts += [("reward", term.reward) for term in task.rewards.values()]
    for kind, part in parts:
        if not isinstance(part, str) and (expected := misfit(kind, part)):
            return f"its {kind} is {part!r}, which is not {expected}"
    for name, term in task.rewards.items():
        if not isinstance(term.reward, str) and (fault := reward_fault(term.reward)):
            return f"rewards[{name!r}]: {fault}"
    if isinstance(task.groups, str):
        return f"its groups are {task.groups!r}: write a list of keys of meta, ({task.groups!r},)"
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


def reward_fault(reward: Reward) -> str:
    """Why a reward cannot work, as far as its signature and code show, or ""."""
    name = getattr(reward, "__name__", type(reward).__name__)
    try:
        inspect.signature(reward).bind(None)
    except TypeError as error:
        return f"the reward {name} cannot be called with a RewardInput alone: {error}"
    except ValueError:  # no signature, as of some functions in C
        return ""
    required = [p for p in inspect.signature(reward).parameters.values() if p.default is p.empty]
    if not required:
        return f"{name} makes a reward and is none: write {name}()"
    if names := undeclared(reward):
        read = " and ".join(f"x.{one}" for one in names)
        return (
            f"the reward {name} reads {read}, which is always None, because the reward does not "
            f"declare it: decorate it with @rftcore.rewards.reward(uses={json.dumps(names)})"
        )
    return ""


def _defaults_fault(defaults: object) -> str:
    """What is wrong with a task's recipe defaults, or ""; it can set some sections only."""
    allowed = ", ".join(TASK_SECTIONS)
    if not isinstance(defaults, Mapping):
        return f"its defaults are {defaults!r}: write a mapping of {allowed}"
    for section, settings in defaults.items():
        if section not in TASK_SECTIONS:
            hint = closest(str(section), TASK_SECTIONS)
            return f"its defaults set {section!r}, but a task can set only {allowed}.{hint}"
        if not isinstance(settings, Mapping):
            return f"its defaults set {section} = {settings!r}: write a mapping of settings"
    return ""


def misfit(kind: str, made: object) -> str:
    """What a factory should have returned instead of `made`, or ""."""
    expected: dict[str, tuple[Any, str]] = {  # `isinstance` accepts `Callable`, mypy does not
        "task": (Task, "an rftcore.Task"),
        "dataset": (Dataset, "a dataset (splits, size, sample)"),
        "parser": (Parser, "a parser (parse, gold, show)"),
        "reward": (Callable, "a function"),
        "model": ((str, Path), "the path of a folder"),
        "suite": (Suite, "an rftcore.Suite"),
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
