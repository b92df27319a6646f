"""A task made whole: every name in it resolved, its rewards changed as the recipe says."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.errors import PluginError, RecipeError, closest
from rftcore.plugins.offers import Offer
from rftcore.types import Dataset, Task, Term

if TYPE_CHECKING:
    from rftcore.config import Recipe, RewardOverride

Make = Callable[..., Any]  # `Catalogue.make`
FOLDER_READER = "reason-rft"


def resolved(
    make: Make,
    task: Task,
    name: str,
    overrides: "Mapping[str, RewardOverride]",
    origin: Callable[..., str] | None = None,
) -> Task:
    """`task` with its parser, dataset and rewards as objects.

    Raises `RecipeError` if an override is at fault.
    """
    unknown = [n for n, o in overrides.items() if n not in task.rewards and not o.use]
    if unknown:
        raise RecipeError(
            f"rewards.{unknown[0]}: task {name!r} has no such reward."
            f"{closest(unknown[0], task.rewards)} "
            f"It has {', '.join(task.rewards)}; to add one, set rewards.{unknown[0]}.use."
        )
    terms = {
        term: _term(make, term, task.rewards.get(term), overrides.get(term), origin)
        for term in dict.fromkeys((*task.rewards, *overrides))
    }
    parts: dict[str, Any] = {"parser": task.parser, "dataset": task.dataset}
    for kind, part in parts.items():
        if isinstance(part, str):
            parts[kind] = make(kind, part)
    return replace(task, rewards=terms, **parts)


def _term(
    make: Make,
    name: str,
    term: Term | None,
    override: "RewardOverride | None",
    origin: Callable[..., str] | None,
) -> Term:
    reward: Any = term.reward if term else None
    if override and override.use:
        reward = override.use
    options = override.options if override else {}
    if isinstance(reward, str):
        path = ("rewards", name, "options")
        reward = make("reward", reward, options, origin=origin, path=path)
    elif options:
        raise RecipeError(
            f"rewards.{name}.options: the task gives this reward as an object, which has no "
            f"options; name one with rewards.{name}.use"
        )
    changed = replace(term, reward=reward) if term else Term(reward)
    if override and override.weight is not None:
        changed = replace(changed, weight=override.weight)
    return changed


def dataset_of(
    make: Make, find: Callable[[str, str], Offer], recipe: "Recipe", task: Task
) -> Dataset:
    """The dataset that a recipe puts in place of the task's own.

    Without `use`, its `path` decides which. An option `task` is the task's name, and the
    options of a folder include the task's `files`, unless the recipe sets them.

    Raises: RecipeError if the recipe names no dataset, or options that it does not have.
    """
    options = dict(recipe.dataset)
    name = options.pop("use", None) or _reader(options.get("path"), recipe)
    if not isinstance(name, str):
        raise _nameless(recipe)
    if "task" in find("dataset", name).options:
        options.setdefault("task", task.name)
    own = task.files if name.rpartition(":")[2] == FOLDER_READER else {}
    if not isinstance(own, Mapping):
        raise PluginError(
            f"task {task.name!r}: its files are {own!r:.60}: return a dict of options"
        )

    def origin(*path: str) -> str:
        of_task = path[-1] in own and path[-1] not in recipe.dataset
        return f"Task.files of {task.name!r}" if of_task else recipe.origin(*path)

    made: Dataset = make("dataset", name, {**own, **options}, origin=origin, path=("dataset",))
    return made


def _reader(path: object, recipe: "Recipe") -> str:
    """The core's dataset that reads what stands at `path`."""
    if not isinstance(path, str):
        raise _nameless(recipe)
    place = f"dataset.path = {path!r} ({recipe.origin('dataset', 'path')})"
    if Path(path).is_dir():
        return FOLDER_READER
    if not Path(path).exists():
        raise RecipeError(f"{place}: there is no such file or folder")
    if Path(path).suffix in (".jsonl", ".json"):
        return "jsonl"
    raise RecipeError(
        f"{place}: give a folder of JSON files with pictures, or a .jsonl or .json file; "
        "for anything else name the reader with dataset.use (`rft plugins list`)"
    )


def _nameless(recipe: "Recipe") -> RecipeError:
    return RecipeError(
        f"dataset = {recipe.dataset!r} ({recipe.origin('dataset')}): say where the data is, e.g. "
        "--set dataset.path=FOLDER, or name an offered dataset with --set dataset.use=NAME"
    )
