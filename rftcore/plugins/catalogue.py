"""Every component by its name, made when it is asked for.

A name that two plugins offer stays reachable by its qualified form, a miss
says what was meant and what to install, and a failure is told to whoever
asks for what that plugin offers.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rftcore.errors import PluginError, UnknownNameError, closest
from rftcore.plugins.components import checked_options, misfit, task_fault
from rftcore.plugins.files import from_file
from rftcore.plugins.guard import guard
from rftcore.plugins.loading import Loaded, canonical
from rftcore.plugins.located import absolute, located, takes_path, task_name
from rftcore.plugins.offers import KINDS, OWNERS, Failure, Offer, Plugin, Row
from rftcore.plugins.tasks import dataset_of, resolved
from rftcore.types import Task

if TYPE_CHECKING:
    import click

    from rftcore.config import Layer, Recipe

TASK_FILE = r"\.py(:|$)"  # in the name of a task: ./file.py:factory


class Catalogue:
    """Everything that is offered, by name."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.hooks = loaded.hooks
        self._offers: dict[str, list[Offer]] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> "Catalogue":
        """Load every plugin, or those that `RFT_PLUGINS=a,b` names, and the core's own.

        A plugin that does not load becomes a `Failure`; it stops nobody.
        Raises `PluginError` if `RFT_PLUGINS` names what is not installed.
        """
        return cls(Loaded.load(entry_points))

    @property
    def plugins(self) -> list[Plugin]:
        """Those that work."""
        return self._loaded.plugins

    @property
    def failures(self) -> list[Failure]:
        """What is wrong with the others, as far as they have been asked."""
        return self._loaded.failures

    # --- what is there ---

    def offers(self, kind: str) -> list[Offer]:
        """Every component of a kind, first-party ones first, then by name."""
        if kind not in self._offers:
            found = list(self._loaded.offers(kind))
            found.sort(key=lambda o: (not o.plugin.first_party, o.name, o.plugin.distribution))
            self._offers[kind] = found
        return self._offers[kind]

    def names(self, kind: str) -> list[tuple[str, Offer]]:
        """Every component of a kind with the shortest name that reaches it."""
        rows = [(self._row(offer), offer) for offer in self.offers(kind)]
        return [(o.name if row.state == "ok" else o.qualified, o) for row, o in rows]

    def rows(self) -> list[Row]:
        """What `rft plugins list` shows: what is offered, what only observes, what is broken."""
        rows = [self._row(offer) for kind in KINDS for offer in self.offers(kind)]
        rows += [_plugin_row(p, "command", name=c.name or "") for p, c in self._loaded.commands()]
        told = {row.distribution for row in rows} | {f.plugin.distribution for f in self.failures}
        silent = [plugin for plugin in self.plugins if plugin.distribution not in told]
        rows += [_plugin_row(plugin, "hooks") for plugin in silent]
        broken = [
            _plugin_row(f.plugin, f.kind or "plugin", f"broken: {f.reason}") for f in self.failures
        ]
        return rows + broken

    def distributions(self) -> dict[str, str]:
        """Version of every distribution that has a working plugin."""
        return {p.distribution: p.version for p in self.plugins}

    def commands(self) -> "dict[str, click.Command]":
        """Commands that plugins add to `rft`; a plugin that fails here is kept as broken."""
        return {command.name: command for _, command in self._loaded.commands() if command.name}

    # --- looking names up ---

    def find(self, kind: str, name: str, origin: str = "") -> Offer:
        """The component that `name` means: bare, `distribution:name`, or `./file.py:factory`.

        Raises `UnknownNameError` if nobody offers it or several do, and
        `PluginError` if the plugin that should offer it is broken.
        """
        if kind == "task" and re.search(TASK_FILE, name):
            return from_file(name)
        distribution, _, bare = name.rpartition(":")
        found = [offer for offer in self.offers(kind) if offer.name == bare]
        if distribution:
            found = [o for o in found if o.plugin.distribution == canonical(distribution)]
        else:
            found = self._entitled(kind, bare, found)
        if len(found) == 1:
            return found[0]
        place = f" ({origin})" if origin else ""
        if found:
            raise UnknownNameError(f"{kind} {name!r}{place} {_several(found)}")
        raise self._miss(kind, name, place)

    def find_any(self, name: str) -> Offer:
        """The component that `name` means, whatever its kind.

        Raises `UnknownNameError` if there is none, or one of several kinds, and
        `PluginError` if the plugin that should offer it is broken.
        """
        if re.search(TASK_FILE, name):
            return self.find("task", name)
        bare = name.rpartition(":")[2]
        kinds = [kind for kind in KINDS if any(o.name == bare for o in self.offers(kind))]
        if len(kinds) > 1:
            raise UnknownNameError(
                f"{name!r} is the name of a {' and of a '.join(kinds)}: say which with --kind"
            )
        if not kinds:
            known = {offer.name: kind for kind in KINDS for offer in self.offers(kind)}
            known |= {owned: kind for kind, owned in OWNERS}
            near = difflib.get_close_matches(bare, known, n=1, cutoff=0.5)
            if not near and bare == name:
                raise UnknownNameError(
                    f"nobody offers anything named {name!r}. `rft plugins list` says who offers "
                    f"what.{_suspects(self.failures)}"
                )
            kinds = [known[near[0]] if near else "task"]
        return self.find(kinds[0], name)

    def make(
        self,
        kind: str,
        name: str,
        options: Mapping[str, Any] | None = None,
        *,
        origin: Callable[..., str] | None = None,
        path: tuple[str, ...] = ("options",),
    ) -> Any:
        """Call the factory that `name` means with checked options.

        `path` and `origin` say where the options stand in the recipe. Raises
        `RecipeError` for a wrong option and `PluginError` if the factory
        fails or returns something else; an `RftError` of the factory's own passes.
        """
        offer = self.find(kind, name)
        if not callable(offer.factory):
            raise PluginError(f"{offer}: a factory must be callable, not {offer.factory!r}")
        arguments = checked_options(offer, options or {}, origin or _no_origin, path)
        with guard(offer.plugin, f"{kind} {offer.name!r}"):
            made = offer.factory(**arguments)
            fault = misfit(kind, made)
        if fault:
            raise PluginError(f"{offer}: the factory returned {made!r}, which is no {fault}")
        return made

    def task(self, name: str, options: Mapping[str, Any] | None = None) -> Task:
        """A task with its default rewards and dataset, every name in it resolved."""
        return resolved(self.make, self._task(name, options or {}), name, {})

    def task_of(self, recipe: "Recipe") -> Task:
        """The task that a recipe asks for: its options, its dataset and rewards replaced."""
        made = self._task(recipe.task, recipe.task_options, recipe.origin)
        if recipe.dataset:
            made = replace(made, dataset=dataset_of(self.make, self.find, recipe, made))
        return resolved(self.make, made, recipe.task, recipe.rewards, recipe.origin)

    def defaults_of(self, name: str, task: Task) -> "Layer":
        """The recipe defaults that the task of that name brings, and what a fault calls them."""
        return str(self.find("task", name)), task.defaults

    def model(self, name: str) -> Path | str:
        """An offered model's folder, a folder as it is, or a hub's ORG/NAME as it is."""
        folder = Path(name).expanduser()
        offered = any(offer.name == name for offer in self.offers("model"))
        if folder.is_dir() and not offered:
            return folder
        if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
            return name
        if "/" in name or name.startswith("."):
            raise UnknownNameError(f"model {name!r}: there is no such folder")
        folder = Path(self.make("model", name))
        if not folder.is_dir():
            raise PluginError(f"{self.find('model', name)}: there is no folder {folder}")
        return folder

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

    def _task(
        self, name: str, options: Mapping[str, Any], origin: Callable[..., str] | None = None
    ) -> Task:
        """The task as its factory makes it. Raises `PluginError` if it is at fault."""
        made: Task = self.make("task", name, options, origin=origin, path=("task_options",))
        if fault := task_fault(made):
            raise PluginError(f"{self.find('task', name)}: {fault}")
        return made

    def _entitled(self, kind: str, name: str, offers: Sequence[Offer]) -> list[Offer]:
        """Who may have a bare name: its owner; else the first party; else everybody."""
        owner = OWNERS.get((kind, name))
        if owner:
            return [offer for offer in offers if offer.plugin.distribution == owner]
        return [offer for offer in offers if offer.plugin.first_party] or list(offers)

    def _row(self, offer: Offer) -> Row:
        same = [o for o in self.offers(offer.kind) if o.name == offer.name]
        if not callable(offer.factory):
            state = "broken: its factory is not callable"
        elif self._entitled(offer.kind, offer.name, same) != [offer]:
            state = f"ok, only as {offer.qualified}"
        else:
            state = "ok"
        return _plugin_row(offer.plugin, offer.kind, state, name=offer.name)

    def _miss(self, kind: str, name: str, place: str) -> PluginError:
        distribution, _, bare = name.rpartition(":")
        source = canonical(distribution) or OWNERS.get((kind, bare), "")
        broken = [f for f in self.failures if f.kind in (None, kind)]
        for failure in broken:
            if failure.plugin.distribution == source:
                error = PluginError(f"{kind} {name!r}{place} is not available: broken {failure}")
                error.__cause__ = failure.error
                return error
        offered = [name for name, _ in self.names(kind)]
        known = [known for of, known in OWNERS if of == kind]
        text = f"no {kind} named {name!r}{place}.{closest(bare, {*offered, *known} - {bare})}"
        text += _left_out() or _install_hint(kind, bare, offered)
        others = [o.qualified for o in self.offers(kind) if o.name == bare]
        if others:
            text += f" Others offer one of that name: {', '.join(others)}."
        text += f"\nOffered: {', '.join(offered) or 'none'}."
        text += " `rft plugins list` says who offers what."
        return UnknownNameError(text + _suspects(broken))


def _left_out() -> str:
    """A reminder that RFT_PLUGINS hides plugins, or ""."""
    named = os.environ.get("RFT_PLUGINS")
    return f" RFT_PLUGINS={named} loads only these plugins." if named else ""


def _suspects(broken: Sequence[Failure]) -> str:
    return "".join(f"\nBroken, and may be what offers it: {failure}" for failure in broken)


def _several(offers: Sequence[Offer]) -> str:
    names = ", ".join(sorted(offer.qualified for offer in offers))
    return f"is offered more than once. Say which: {names}"


def _install_hint(kind: str, name: str, offered: Sequence[str]) -> str:
    known = [n for of, n in OWNERS if of == kind and n not in offered]
    if name not in known and not closest(name, known):
        return ""
    meant = name if name in known else closest(name, known).split("'")[1]
    owner = OWNERS[kind, meant]
    return f" {meant!r} comes with {owner}: `pip install ./plugins/{owner}` in a clone of rft."


def _no_origin(*path: str) -> str:
    return "option"


def _plugin_row(plugin: Plugin, kind: str, state: str = "ok", *, name: str = "") -> Row:
    return Row(name or plugin.name, kind, plugin.distribution, plugin.version, state)
