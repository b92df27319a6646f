"""Look components up by name and make them.

A name that two plugins offer stays reachable by its qualified form.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from rftcore.errors import PluginError, RecipeError, UnknownNameError, similar
from rftcore.plugins.components import Origin, checked_options, misfit, option_faults, task_fault
from rftcore.plugins.files import from_file
from rftcore.plugins.guard import guard
from rftcore.plugins.isolation import unchanged
from rftcore.plugins.loading import Loaded, Observers, canonical
from rftcore.plugins.located import absolute, located, takes_path, task_name
from rftcore.plugins.missing import ambiguous, missing, placed, suspects
from rftcore.plugins.offers import KINDS, OWNERS, Failure, Offer, Plugin, Row
from rftcore.plugins.tasks import dataset_of, resolved
from rftcore.types import Dataset, Parser, Reward, Suite, Task, TaskFactory

if TYPE_CHECKING:
    import click

    from rftcore.config import Layer, Recipe

PYTHON = "python"  # in place of a distribution, for a task that is an object of a program
TASK_FILE = r"\.py(:|$)"  # in the name of a task: ./file.py:factory
Component = Task | Dataset | Parser | Reward | Suite | Path | str


class Source(Protocol):
    """Where a catalogue gets plugins and offers from; `Loaded` is the usual one."""

    @property
    def plugins(self) -> list[Plugin]:
        """The plugins that work."""

    @property
    def failures(self) -> list[Failure]:
        """Why the others do not, as far as their hooks have been called."""

    @property
    def hooks(self) -> Observers:
        """Calls the hooks that observe a run."""

    def offers(self, kind: str) -> Iterator[Offer]:
        """What the plugins offer of a kind."""

    def commands(self) -> "Iterator[tuple[Plugin, click.Command]]":
        """The commands that the plugins add to `rft`."""


class Catalogue:
    """Everything that is offered, by name."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.hooks = source.hooks
        self._offers: dict[str, list[Offer]] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> "Catalogue":
        """Load every plugin, or those that `RFT_PLUGINS=a,b` names, and the core's own.

        A plugin that does not load becomes a `Failure`; the others still work.
        Raises: PluginError if `RFT_PLUGINS` names a plugin that is not installed.
        """
        return cls(Loaded.load(entry_points))

    @property
    def plugins(self) -> list[Plugin]:
        """The plugins that work."""
        return self._source.plugins

    @property
    def failures(self) -> list[Failure]:
        """Why the others do not, as far as their hooks have been called."""
        return self._source.failures

    # --- what is there ---

    def offers(self, kind: str) -> list[Offer]:
        """Every component of a kind, first-party ones first, then by name."""
        if kind not in self._offers:
            found = list(self._source.offers(kind))
            found.sort(key=lambda o: (not o.plugin.first_party, o.name, o.plugin.distribution))
            self._offers[kind] = found
        return self._offers[kind]

    def names(self, kind: str) -> list[tuple[str, Offer]]:
        """Every component of a kind with the shortest name that finds it."""
        rows = [(self._row(offer), offer) for offer in self.offers(kind)]
        return [(o.name if row.state == "ok" else o.qualified, o) for row, o in rows]

    def rows(self) -> list[Row]:
        """The lines of `rft plugins list`: components, commands, observers, broken plugins."""
        rows = [self._row(offer) for kind in KINDS for offer in self.offers(kind)]
        rows += [_plugin_row(p, "command", name=c.name or "") for p, c in self._source.commands()]
        listed = {row.distribution for row in rows} | {f.plugin.distribution for f in self.failures}
        observers = [plugin for plugin in self.plugins if plugin.distribution not in listed]
        rows += [_plugin_row(plugin, "hooks") for plugin in observers]
        rows += [_plugin_row(f.plugin, f.kind or "plugin", f.reason) for f in self.failures]
        return rows

    def distributions(self) -> dict[str, str]:
        """Version of every distribution that has a working plugin."""
        return {p.distribution: p.version for p in self.plugins}

    def commands(self) -> "dict[str, click.Command]":
        """Commands that plugins add to `rft`; a plugin that fails here becomes a failure."""
        return {command.name: command for _, command in self._source.commands() if command.name}

    def offer_task(self, name: str, factory: TaskFactory) -> str:
        """Offer a task of this process in this catalogue; the name that reaches it."""
        offer = Offer("task", name, Plugin(PYTHON, PYTHON, "object"), factory)
        others = [other for other in self.offers("task") if other.qualified != offer.qualified]
        self._offers["task"] = [*others, offer]
        return offer.qualified

    # --- looking names up ---

    def find(self, kind: str, name: str, origin: str = "") -> Offer:
        """The component of a name: bare, `distribution:name`, or a task's `./file.py:factory`.

        Raises: UnknownNameError if no component or several have it, PluginError if the plugin
            that should offer it is broken.
        """
        if kind == "task" and re.search(TASK_FILE, name):
            return from_file(name, origin)
        distribution, _, bare = name.rpartition(":")
        found = [offer for offer in self.offers(kind) if offer.name == bare]
        if distribution:
            found = [o for o in found if o.plugin.distribution == canonical(distribution)]
        else:
            found = self._entitled(kind, bare, found)
        if len(found) == 1:
            return found[0]
        if kind == "task" and distribution == PYTHON:
            raise UnknownNameError(
                f"task {name!r}{placed(origin)} was an object of the Python program that trained, "
                "and has no name elsewhere: pass the object again, as "
                "rft.train(resume=..., task=...) or rft.evaluate(run, task=...)",
                name=name,
            )
        if found:
            raise ambiguous(kind, name, origin, found)
        names = [name for name, _ in self.names(kind)]
        raise missing(kind, name, origin, self.offers(kind), names, self.failures)

    def find_any(self, name: str) -> Offer:
        """The component of a name, of whatever kind.

        Raises: UnknownNameError if there is none, or one of several kinds, PluginError if the
            plugin that should offer it is broken.
        """
        if re.search(TASK_FILE, name):
            return self.find("task", name)
        bare = name.rpartition(":")[2]
        kinds = [kind for kind in KINDS if any(o.name == bare for o in self.offers(kind))]
        if len(kinds) > 1:
            raise UnknownNameError(
                f"{name!r} is the name of a {' and of a '.join(kinds)}: choose one with --kind",
                name=name,
                offered=kinds,
            )
        return self.find(kinds[0] if kinds else self._kind_like(name, bare), name)

    # --- making components ---

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
        if recipe.dataset:
            made = replace(made, dataset=dataset_of(self, recipe, made))
        return resolved(self, made, recipe.task, recipe.rewards, recipe.origin)

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
        offered = any(offer.name == name for offer in self.offers("model"))
        if folder.is_dir() and not offered:
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

    # --- recipes ---

    def defaults_of(self, name: str, task: Task) -> "Layer":
        """The recipe defaults of a task, with their origin."""
        return str(self.find("task", name)), task.defaults

    def located(self, recipe: "Recipe") -> "Recipe":
        """The recipe with absolute paths, so that it holds from any working directory."""
        offered = any(offer.name == recipe.model for offer in self.offers("model"))
        is_path = takes_path(self.find("task", recipe.task))
        rewards = {
            name: one.model_copy(update={"options": located(one.options)})
            for name, one in recipe.rewards.items()
        }
        return recipe.model_copy(
            update={
                "task": task_name(recipe.task),
                "model": recipe.model if offered else absolute(recipe.model),
                "task_options": located(recipe.task_options, is_path),
                "dataset": located(recipe.dataset, lambda at: at == ("path",)),
                "rewards": rewards,
            }
        )

    # --- inside ---

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

    def _entitled(self, kind: str, name: str, offers: Sequence[Offer]) -> list[Offer]:
        """The offers that may have a bare name: the owner's, or the first party's, or all."""
        owner = OWNERS.get((kind, name))
        if owner:
            return [offer for offer in offers if offer.plugin.distribution == owner]
        return [offer for offer in offers if offer.plugin.first_party] or list(offers)

    def _row(self, offer: Offer) -> Row:
        if not callable(offer.factory):
            reason = "its factory is not callable"
            return _plugin_row(offer.plugin, offer.kind, reason, name=offer.name)
        row = _plugin_row(offer.plugin, offer.kind, name=offer.name)
        same = [o for o in self.offers(offer.kind) if o.name == offer.name]
        alone = self._entitled(offer.kind, offer.name, same) == [offer]
        return row if alone else replace(row, state="qualified")

    def _kind_like(self, name: str, bare: str) -> str:
        """The kind of the component whose name is most like a name that no component has."""
        known = {offer.name: kind for kind in KINDS for offer in self.offers(kind)}
        known |= {owned: kind for kind, owned in OWNERS}
        near = similar(bare, known, most=1)
        if near:
            return known[near[0]]
        if bare != name:  # a qualified name: the error lists the tasks
            return "task"
        raise UnknownNameError(
            f"no component is named {name!r}. `rft plugins list` lists all of them."
            f"{suspects(self.failures)}",
            name=name,
            offered=list(known),
        )


def _no_origin(*path: str) -> str:
    return "option"


def _plugin_row(plugin: Plugin, kind: str, broken: str = "", *, name: str = "") -> Row:
    row = Row(name or plugin.name, kind, plugin.distribution, plugin.version, reason=broken)
    return replace(row, state="broken") if broken else row
