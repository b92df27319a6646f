"""Resolve a task: names become objects, and a recipe's dataset and rewards replace its own."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from rftcore.datasets.arrow_rows import is_saved
from rftcore.datasets.layout import READERS
from rftcore.errors import Fault, PluginError, RecipeError, similar
from rftcore.plugins.components import Origin
from rftcore.plugins.offers import Offer
from rftcore.types import Dataset, Parser, Reward, Task, Term

if TYPE_CHECKING:
    from rftcore.config import Recipe, RewardOverride

FOLDER_READER = "reason-rft"


class Components(Protocol):
    """Makes components by name; `Catalogue` does."""

    def find(self, kind: str, name: str, origin: str = "") -> Offer:
        """The component of a name."""

    def offers(self, kind: str) -> Sequence[Offer]:
        """Every component of a kind."""

    def dataset(
        self,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        origin: Origin | None = None,
        path: tuple[str, ...] = ...,
    ) -> Dataset:
        """A dataset by name."""

    def parser(self, name: str) -> Parser:
        """A parser by name."""

    def reward(
        self,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        origin: Origin | None = None,
        path: tuple[str, ...] = ...,
    ) -> Reward:
        """A reward by name."""


def resolved(
    components: Components,
    task: Task,
    name: str,
    overrides: "Mapping[str, RewardOverride]",
    origin: Origin = lambda *path: "option",
) -> Task:
    """`task` with its parser, dataset and rewards as objects.

    Raises: RecipeError for an override that does not fit the task, UnknownNameError for a name
        that is not offered.
    """
    unknown = [n for n, o in overrides.items() if n not in task.rewards and not o.use]
    if unknown:
        it_has = f"It has {', '.join(task.rewards)}"
        raise RecipeError(
            *(
                Fault(
                    f"rewards.{one}",
                    f"task {name!r} has no such reward. {it_has}; to add one, set "
                    f"rewards.{one}.use.",
                    origin=origin("rewards", one),
                    suggestions=similar(one, task.rewards),
                )
                for one in unknown
            )
        )
    own: list[tuple[str, object]] = [("parser", task.parser), ("dataset", task.dataset)]
    replaced = {n for n, override in overrides.items() if override.use}
    own += [("reward", term.reward) for n, term in task.rewards.items() if n not in replaced]
    for kind, part in own:
        if isinstance(part, str):  # the error for a name that is not offered names the task
            components.find(kind, part, f"of {components.find('task', name)}")
    terms = {
        term: _term(components, term, task.rewards.get(term), overrides.get(term), origin)
        for term in dict.fromkeys((*task.rewards, *overrides))
    }
    parser, dataset = task.parser, task.dataset
    return replace(
        task,
        rewards=terms,
        parser=components.parser(parser) if isinstance(parser, str) else parser,
        dataset=components.dataset(dataset) if isinstance(dataset, str) else dataset,
    )


def _term(
    components: Components,
    name: str,
    term: Term | None,
    override: "RewardOverride | None",
    origin: Origin,
) -> Term:
    reward = term.reward if term else ""
    if override and override.use:
        reward = override.use
        components.find("reward", reward, f"rewards.{name}.use, {origin('rewards', name, 'use')}")
    options = override.options if override else {}
    if isinstance(reward, str):
        path = ("rewards", name, "options")
        reward = components.reward(reward, options, origin=origin, path=path)
    elif options:
        path = ("rewards", name, "options")
        rule = (
            "the task gives this reward as an object, which has no options; name one with "
            f"rewards.{name}.use"
        )
        raise RecipeError(Fault(".".join(path), rule, options, origin(*path)))
    changed = replace(term, reward=reward) if term else Term(reward)
    if override and override.weight is not None:
        changed = replace(changed, weight=override.weight)
    return changed


def dataset_of(components: Components, recipe: "Recipe", task: Task) -> Dataset:
    """The dataset with which a recipe replaces the task's own, or that one with its options.

    `use` names it, or its `path` decides which; without both, the options are those of the task's
    own dataset, if it is of an offered class. An option `task` is the task's name, the options of
    a folder include the task's `files`, and rows without a `cot` may go to split sft if
    sft.without_cot=answer, unless the recipe sets these options.

    Raises: RecipeError if the recipe names no dataset, or options that it does not have.
    """
    options = dict(recipe.dataset)
    if not options:
        return _own(recipe, task.dataset)
    if not options.keys() & {"use", "path"}:
        return _changed(components, recipe, task)
    _check_one_source(recipe, task)
    name = options.pop("use", None) or _reader(options.get("path"), recipe)
    if not isinstance(name, str):
        raise _no_dataset(recipe)
    named_in = f"dataset.use, {recipe.origin('dataset', 'use')}"
    offered = components.find("dataset", name, named_in).options
    if "task" in offered:
        options.setdefault("task", task.name)
    options = _of_bare_answers(recipe, offered) | options
    own = task.files if name.rpartition(":")[2] == FOLDER_READER else {}
    if not isinstance(own, Mapping):
        raise PluginError(
            f"task {task.name!r}: its files are {own!r:.60}: return a dict of options"
        )

    def origin(*path: str) -> str:
        of_task = path[-1] in own and path[-1] not in recipe.dataset
        return f"Task.files of {task.name!r}" if of_task else recipe.origin(*path)

    return components.dataset(name, {**own, **options}, origin=origin, path=("dataset",))


def _check_one_source(recipe: "Recipe", task: Task) -> None:
    """Raise RecipeError if a call sets the task's own data and other data, which replaces it.

    A recipe file may have both: that of a run has every path that an option has by default.
    """
    source = next(at for at in (("dataset", "path"), ("dataset", "use")) if at[1] in recipe.dataset)
    for name, value in recipe.task_options.items():
        origins = recipe.origin("task_options", name), recipe.origin(*source)
        if str(value) == str(getattr(task.dataset, "path", None)) and all(
            origin.startswith("--set") for origin in origins
        ):
            rule = (
                f"no effect, since {'.'.join(source)} = {recipe.dataset[source[1]]!r} replaces the "
                "task's own data: leave one of them out"
            )
            raise RecipeError(Fault(f"task_options.{name}", rule, value, origins[0]))


def _changed(components: Components, recipe: "Recipe", task: Task) -> Dataset:
    """The task's own dataset with the options of a recipe.

    Raises: RecipeError for a dataset that is of no offered class, or has no such option.
    """
    own = task.dataset
    offer = next((o for o in components.offers("dataset") if o.factory is type(own)), None)
    if offer is None or not is_dataclass(own):
        named = components.find("task", recipe.task).options
        there = f", with the options task_options.NAME: {', '.join(named)}" if named else ""
        kind = type(own).__name__
        reason = f"task {task.name!r} has a dataset of its own, {kind}{there}. To replace it, "
        raise _no_dataset(recipe, reason)
    before = {one.name: getattr(own, one.name) for one in fields(own) if one.init}
    options = {**before, **_of_bare_answers(recipe, before), **recipe.dataset}
    return components.dataset(offer.qualified, options, origin=recipe.origin, path=("dataset",))


def _own(recipe: "Recipe", own: Any) -> Dataset:
    """A task's own dataset, with what the recipe says of rows without a `cot`."""
    known = [one.name for one in fields(own) if one.init] if is_dataclass(own) else ()
    options = _of_bare_answers(recipe, known)
    return cast("Dataset", replace(own, **options) if options else own)


def _of_bare_answers(recipe: "Recipe", options: Container[str]) -> dict[str, Any]:
    """The option of a dataset that lets rows without a `cot` go to sft, if they are taught."""
    needed = "sft_needs_cot" in options and recipe.sft.without_cot == "answer"
    return {"sft_needs_cot": False} if needed else {}


def _reader(path: object, recipe: "Recipe") -> str:
    """The core's dataset that reads the file or folder at `path`."""
    if not isinstance(path, str):
        raise _no_dataset(recipe)
    if Path(path).is_dir():
        return "hf" if is_saved(Path(path)) else FOLDER_READER
    if Path(path).exists() and (reader := READERS.get(Path(path).suffix.lower())):
        return reader
    rule = "there is no such file or folder"
    if Path(path).exists():
        rule = (
            "give a folder of JSON files with images, or a .jsonl, .json, .csv, .tsv or .parquet "
            "file; for anything else name the reader with dataset.use (`rft plugins list`)"
        )
    raise RecipeError(Fault("dataset.path", rule, path, recipe.origin("dataset", "path")))


def _no_dataset(recipe: "Recipe", reason: str = "") -> RecipeError:
    rule = (
        f"{reason}set where the data is, e.g. --set dataset.path=FOLDER, or name an offered "
        "dataset with --set dataset.use=NAME"
    )
    return RecipeError(Fault("dataset", rule, recipe.dataset, recipe.origin("dataset")))
