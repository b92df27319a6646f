"""Describe one component, for `rft tasks show` and `rft plugins info`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from types import MappingProxyType
from typing import Any

from rftcore import prompts, rewards
from rftcore.datasets.slices import dataset_of, parser_of, take
from rftcore.plugins import Catalogue, Offer
from rftcore.types import Dataset, Parser, Task, Term


@dataclass(frozen=True)
class Option:
    """An option of a component; `default` is None if it has none and must be set."""

    name: str
    type: str
    default: str | None

    def __str__(self) -> str:
        return f"{self.name}: {self.type}" + ("" if self.default is None else f" = {self.default}")


@dataclass(frozen=True)
class Description:
    """A component; `details` has the parts that depend on its kind.

    file, line: where its factory is defined; "" and 0 if unknown. details: texts, numbers, lists
    and mappings, by the names that `rft plugins info --json` prints.
    """

    kind: str
    name: str
    qualified: str
    summary: str
    distribution: str
    version: str
    license: str
    file: str
    line: int
    options: tuple[Option, ...]
    any_option: bool
    details: Mapping[str, Any] = field(default_factory=dict)


def describe(
    catalogue: Catalogue, offer: Offer, name: str, made: Task | None = None
) -> Description:
    """The description of a component, made with its defaults unless an option has none.

    `name` is the name that finds it; `made` is a task that already exists, with options. Models
    and suites are not made, which may be slow.
    Raises: RftError if it cannot be made.
    """
    file, line = _source(offer.factory)
    details: Mapping[str, Any] = {}
    summary = _first_line(offer.factory)
    needs = [p for p in offer.options.values() if p.default is p.empty]
    if offer.kind in DETAILS and (made or not needs):
        one = made or (
            catalogue.task(name) if offer.kind == "task" else catalogue.make(offer.kind, name)
        )
        details = DETAILS[offer.kind](one, offer)
        summary = getattr(one, "summary", "") or summary
    return Description(
        kind=offer.kind,
        name=offer.name,
        qualified=offer.qualified,
        summary=summary,
        distribution=offer.plugin.distribution,
        version=offer.plugin.version,
        license=license_of(offer.plugin.distribution),
        file=file,
        line=line,
        options=tuple(_option(parameter) for parameter in offer.options.values()),
        any_option=offer.takes_any_option,
        details=details,
    )


def _task(task: Task, offer: Offer) -> dict[str, Any]:
    dataset = dataset_of(task)
    sample = take(task, dataset.splits[0])[0]
    about = {
        **_dataset(dataset, offer),
        "rewards": {name: _term(term, offer) for name, term in task.rewards.items()},
        "accuracy": task.accuracy,
        **_parser(parser_of(task), offer),
        "defaults": {section: dict(values) for section, values in task.defaults.items()},
        "sample": sample.id,
        "images": len(sample.images),
        "prompt": prompts.made(task.prompt, sample).text,
    }
    if task.direct_prompt:
        about["direct_prompt"] = prompts.made(task.direct_prompt, sample).text
    return about


def _dataset(dataset: Dataset, _: Offer) -> dict[str, Any]:
    return {"splits": {split: dataset.size(split) for split in dataset.splits}}


def _parser(parser: Parser, _: Offer) -> dict[str, Any]:
    """Its name, and its docstring as the grammar of an answer."""
    return {"parser": str(parser), "grammar": _doc(type(parser))}


def _term(term: Term, offer: Offer) -> dict[str, Any]:
    return {"weight": term.weight, "required": term.required, **_reward(term.reward, offer)}


def _reward(reward: Any, offer: Offer) -> dict[str, Any]:
    """Its name, and its docstring or that of the function that made it."""
    function = _function(reward)
    maker = _maker(function)
    of_task = maker is _function(offer.factory)
    doc = _doc(function) or ("" if of_task or maker is None else _doc(maker))
    return {
        "reward": _name(function) or str(reward),
        "meaning": doc.partition("\n\n")[0],
        "returns": _section(doc, "Returns:"),
        "uses": sorted(rewards.uses(reward)),
    }


def _name(function: Any) -> str:
    """`near.reward` for a function that `near` defines, `iou` for the `_iou` of a partial of it."""
    if inspect.isfunction(maker := _maker(function)) and _INNER not in function.__qualname__:
        return maker.__name__
    return getattr(function, "__qualname__", "").replace(_INNER, ".")


def _maker(function: Any) -> Any:
    """The function that defines this one, or the public one of a private name; None if none."""
    path = getattr(function, "__qualname__", "")
    outer, inner, _ = path.rpartition(_INNER)
    if not inner and not path.startswith("_"):
        return None
    found: Any = sys.modules.get(getattr(function, "__module__", ""))
    for name in (outer.split(_INNER)[0] if inner else path.lstrip("_")).split("."):
        found = getattr(found, name, None)
    return found


_INNER = ".<locals>."  # in the name of a function, after that of the function that defines it
DETAILS: Mapping[str, Callable[[Any, Offer], dict[str, Any]]] = MappingProxyType(
    {"task": _task, "dataset": _dataset, "parser": _parser, "reward": _reward}
)


def _option(parameter: inspect.Parameter) -> Option:
    typed = "" if parameter.annotation is parameter.empty else parameter.annotation
    text = typed if isinstance(typed, str) else inspect.formatannotation(typed)
    default = None if parameter.default is parameter.empty else repr(parameter.default)
    return Option(parameter.name, text.replace("NoneType", "None") or "any", default)


def _source(factory: Any) -> tuple[str, int]:
    function = inspect.unwrap(_function(factory))
    try:
        return inspect.getsourcefile(function) or "", inspect.getsourcelines(function)[1]
    except (OSError, TypeError):  # made by exec, or in C
        return "", 0


def _function(thing: Any) -> Any:
    """The function of a partial; the class of an object that is called like a function."""
    while isinstance(thing, partial):
        thing = thing.func
    return thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing)


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def _first_line(factory: Any) -> str:
    return _doc(_function(factory)).partition("\n")[0]


def _section(doc: str, head: str) -> str:
    """The paragraph of a docstring that starts with `head`, on one line."""
    _, found, rest = doc.partition(head)
    lines: list[str] = []
    for line in rest.splitlines() if found else []:
        if lines and (not line.strip() or line.partition(" ")[0].endswith(":")):
            break
        lines.append(line.strip())
    return " ".join(lines)


def license_of(distribution: str) -> str:
    """The license that an installed distribution states; "unknown" or "none given" otherwise."""
    try:
        facts = metadata.metadata(distribution)
    except (metadata.PackageNotFoundError, ValueError):  # not installed, or not readable
        return "unknown"
    fields = ("License-Expression", "License")
    return next((facts[field] for field in fields if field in facts), "none given")
