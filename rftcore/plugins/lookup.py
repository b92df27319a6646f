"""Look up by name what plugins offer.

A name that two plugins offer stays reachable by its qualified form.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Protocol, Self

from rftcore.errors import UnknownNameError, similar
from rftcore.plugins.files import from_file
from rftcore.plugins.loading import Loaded, Observers
from rftcore.plugins.missing import ambiguous, missing, placed, suspects, task_in_file
from rftcore.plugins.offers import KINDS, OWNERS, Failure, Offer, Plugin, Row
from rftcore.plugins.points import canonical
from rftcore.types import TaskFactory

if TYPE_CHECKING:
    import click

PYTHON = "python"  # in place of a distribution, for a task that is an object of a program
TASK_FILE = r"\.py(:|$)"  # in the name of a task: ./file.py:factory


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


class Lookup:
    """Everything that is offered, by name."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.hooks = source.hooks
        self._offers: dict[str, list[Offer]] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> Self:
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
        if task_in_file(name):
            return "task"
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


def _plugin_row(plugin: Plugin, kind: str, broken: str = "", *, name: str = "") -> Row:
    row = Row(name or plugin.name, kind, plugin.distribution, plugin.version, reason=broken)
    return replace(row, state="broken") if broken else row
