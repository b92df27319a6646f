"""Make components by name, with checked options: tasks, datasets, parsers, rewards and models."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rftcore.errors import ModelError, PluginError, RecipeError, UnknownNameError, path_faults
from rftcore.plugins.components import (
    Origin,
    checked_options,
    misfit,
    option_faults,
    reward_fault,
    task_fault,
)
from rftcore.plugins.guard import guard
from rftcore.plugins.isolation import unchanged
from rftcore.plugins.located import absolute, located, paths_by_default, takes_path, task_name
from rftcore.plugins.lookup import Lookup
from rftcore.plugins.missing import placed
from rftcore.plugins.tasks import dataset_of, resolved
from rftcore.types import Dataset, Parser, Reward, Suite, Task

if TYPE_CHECKING:
    from rftcore.config import Layer, Recipe

Component = Task | Dataset | Parser | Reward | Suite | Path | str


class Catalogue(Lookup):
    """Everything that is offered, by name, and what its factories make."""

    def make(
        self,
        kind: str,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        origin: Origin | None = None,
        path: tuple[str, ...] = ("options",),
        named_in: str = "",
    ) -> Component:
        """Call the factory of a component with checked options.

        `path` is the setting that holds the options, `origin` returns where a setting comes from,
        `named_in` is where the name does.
        Raises: RecipeError for a wrong option, PluginError if the factory fails or returns
            something else. An `RftError` of the factory passes.
        """
        offer = self.find(kind, name, named_in)
        plugin, origin = offer.plugin.distribution, origin or _no_origin
        if not callable(offer.factory):
            text = f"{offer}: a factory must be callable, not {offer.factory!r}"
            raise PluginError(text, plugin=plugin)
        arguments = checked_options(offer, options or {}, origin, path)
        try:
            what = f"{kind} {offer.name!r}"
            with guard(offer.plugin, what), unchanged(offer.plugin, what):
                made = offer.factory(**arguments)
                fault = misfit(kind, made)
        except RecipeError as error:
            raise option_faults(error, offer, origin, path) from error
        if fault:
            text = f"{offer}: the factory returned {made!r}, which is not {fault}"
            raise PluginError(text, plugin=plugin)
        if kind == "reward" and (fault := reward_fault(cast("Reward", made))):
            raise PluginError(f"{offer}: {fault}", plugin=plugin)
        return cast("Component", made)

    def task(self, name: str, options: Mapping[str, Any] | None = None) -> Task:
        """A task with its default rewards and dataset, every name in it resolved.

        Raises: RftError as `find` and `make` do.
        """
        return resolved(self, self._task(name, options or {}), name, {})

    def task_of(self, recipe: "Recipe") -> Task:
        """The task of a recipe: with its options, dataset and rewards.

        Raises: RftError as `find` and `make` do.
        """
        made = self._task(recipe.task, recipe.task_options, recipe.origin)
        made = replace(made, dataset=dataset_of(self, recipe, made))
        return resolved(self, made, recipe.task, recipe.rewards, recipe.origin)

    def _task(self, name: str, options: Mapping[str, Any], origin: Origin | None = None) -> Task:
        """The task as its factory makes it. Raises `PluginError` if a field of it is wrong."""
        place = origin("task") if origin else ""
        task = self.make(
            "task", name, options, origin=origin, path=("task_options",), named_in=place
        )
        made = cast("Task", task)
        if fault := task_fault(made):
            offer = self.find("task", name)
            raise PluginError(f"{offer}: {fault}", plugin=offer.plugin.distribution)
        return made

    def dataset(
        self,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        origin: Origin | None = None,
        path: tuple[str, ...] = ("dataset",),
    ) -> Dataset:
        """A dataset by name. Raises as `make` does."""
        return cast("Dataset", self.make("dataset", name, options, origin=origin, path=path))

    def parser(self, name: str) -> Parser:
        """A parser by name. Raises as `make` does."""
        return cast("Parser", self.make("parser", name))

    def reward(
        self,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        origin: Origin | None = None,
        path: tuple[str, ...] = ("options",),
    ) -> Reward:
        """A reward by name. Raises as `make` does."""
        return cast("Reward", self.make("reward", name, options, origin=origin, path=path))

    def suite(
        self,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        origin: Origin | None = None,
        path: tuple[str, ...] = ("suite_options",),
    ) -> Suite:
        """A suite by name. Raises as `make` does."""
        return cast("Suite", self.make("suite", name, options, origin=origin, path=path))

    def model(self, name: str, named_in: str = "") -> Path | str:
        """An offered model's folder; a folder, or ORG/NAME on a hub, as it is.

        named_in: where the name comes from, for an error.
        Raises: RftError as `make` does, or if there is no such folder.
        """
        folder = Path(name).expanduser()
        with path_faults(f"model {name!r}{placed(named_in)}", ModelError):
            is_folder = folder.is_dir()
        if is_folder and not self.offers_model(name):
            return folder
        if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
            return name
        if "/" in name or name.startswith("."):
            text = f"model {name!r}{placed(named_in)}: there is no such folder"
            raise UnknownNameError(text, kind="model", name=name, origin=named_in)
        folder = Path(cast("Path | str", self.make("model", name, named_in=named_in)))
        if not folder.is_dir():
            offer = self.find("model", name)
            text = f"{offer}: there is no folder {folder}"
            raise PluginError(text, plugin=offer.plugin.distribution)
        return folder

    def offers_model(self, name: str) -> bool:
        """Whether a plugin offers a model by this name."""
        return any(offer.name == name for offer in self.offers("model"))

    # --- recipes ---

    def defaults_of(self, name: str, task: Task) -> "Layer":
        """The recipe defaults of a task, with their origin."""
        return str(self.find("task", name)), task.defaults

    def located(self, recipe: "Recipe") -> "Recipe":
        """The recipe with absolute paths, so that it holds from any working directory."""
        task, model = self.find("task", recipe.task), recipe.model
        options = {**paths_by_default(task), **recipe.task_options}
        rewards = {
            name: one.model_copy(update={"options": located(one.options)})
            for name, one in recipe.rewards.items()
        }
        return recipe.model_copy(
            update={
                "task": task_name(recipe.task),
                "model": model if self.offers_model(model) else absolute(model),
                "task_options": located(options, takes_path(task)),
                "dataset": located(recipe.dataset, lambda at: at == ("path",)),
                "rewards": rewards,
            }
        )


def _no_origin(*path: str) -> str:
    return "option"
