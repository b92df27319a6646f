"""Find plugins and call their hooks; a broken plugin does not affect the others.

pluggy's own loader lets one broken plugin stop the program. Here each entry point loads inside
a guard, and a failure is recorded. No component is imported before its use.
"""

import inspect
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pluggy

from rftcore import hookspecs
from rftcore.distributed import is_main
from rftcore.errors import PluginError, closest, describe
from rftcore.plugins.guard import guard, wrote
from rftcore.plugins.isolation import isolated, limit
from rftcore.plugins.offers import CORE, KINDS, Failure, Offer, Plugin
from rftcore.plugins.points import canonical, fault_of, found, named, unmet

if TYPE_CHECKING:
    import click


logger = logging.getLogger(__name__)

_WARNED: set[str] = set()  # distributions, once per process


class Observers:
    """Calls a hook of every plugin, in order: `hooks.rft_phase_start(phase="sft")`."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __getattr__(self, hook: str) -> Callable[..., None]:
        if not hook.startswith("rft_"):
            raise AttributeError(hook)
        return partial(self._call, hook)


class Loaded:
    """The installed plugins that work, and why the others do not."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self.failures: list[Failure] = []
        self.hooks = Observers(self._observe)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._by_name: dict[str, Plugin] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> "Loaded":
        """Load every plugin, or those that `RFT_PLUGINS=a,b` names, and the core's own.

        Raises: PluginError if `RFT_PLUGINS` names a plugin that is not installed.
        """
        failures: list[Failure] = []
        if entry_points is None:
            entry_points, failures = found()
        limit()  # a wrong setting is one error, not one per plugin
        loaded = cls()
        loaded.failures += failures
        for point, plugin in _selected(_distinct(entry_points)):
            loaded._register(point, plugin)
        return loaded

    def offers(self, kind: str) -> Iterator[Offer]:
        """What every plugin offers of a kind; a plugin that fails here becomes a failure."""
        for plugin, call in self._implementations(KINDS[kind]):
            try:
                with isolated(plugin, f"hook {KINDS[kind]}"):
                    offered = _checked_names(call())
            except PluginError as error:
                self._fail(plugin, error, kind)
                continue
            for name, factory in offered.items():
                yield Offer(kind, name, plugin, factory)

    def commands(self) -> "Iterator[tuple[Plugin, click.Command]]":
        """Commands that plugins add to `rft`; a plugin that fails here becomes a failure."""
        for plugin, call in self._implementations("rft_commands"):
            try:
                with isolated(plugin, "hook rft_commands"):
                    commands = _checked_commands(call())
            except PluginError as error:
                self._fail(plugin, error, "command")
                continue
            for command in commands:
                yield plugin, command

    def implemented(self) -> list[str]:
        """The hooks that at least one plugin implements."""
        return [name for name in _hooks() if getattr(self._manager.hook, name).get_hookimpls()]

    def _register(self, point: metadata.EntryPoint, plugin: Plugin) -> None:
        key = f"{plugin.distribution}:{plugin.name}"
        _warn_of_version(point, plugin)
        try:
            with isolated(plugin, "import"):
                if fault := fault_of(point):
                    raise PluginError(fault)
                module = point.load()
                if module is None:
                    raise PluginError("its module has replaced itself by None")
                wrote(plugin, getattr(module, "__file__", None))
                _check_hooks(self._manager, module)
                self._manager.register(module, name=key)
        except PluginError as error:
            if self._manager.has_plugin(key):  # partly registered
                self._manager.unregister(name=key)
            self._fail(plugin, error)
            return
        self._by_name[key] = plugin
        self.plugins.append(plugin)

    def _fail(self, plugin: Plugin, error: PluginError, kind: str | None = None) -> None:
        cause = error.__cause__
        reason = describe(cause) if cause else str(error)
        self.failures.append(Failure(plugin, reason, kind, cause))

    def _implementations(self, hook: str) -> Iterator[tuple[Plugin, Callable[..., Any]]]:
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            plugin = self._by_name[implementation.plugin_name]

            def call(implementation: Any = implementation, **values: Any) -> Any:
                names = implementation.argnames
                return implementation.function(*(values[name] for name in names))

            yield plugin, call

    def _observe(self, hook: str, **values: Any) -> None:
        if not is_main():
            return
        for plugin, call in self._implementations(hook):
            with guard(plugin, f"hook {hook}", wrap_all=True):
                call(**values)


def _warn_of_version(point: metadata.EntryPoint, plugin: Plugin) -> None:
    """Warn once of a distribution that requires another version of the core; it may work."""
    if plugin.distribution in _WARNED or point.dist is None:
        return
    if (fault := unmet(point.dist)) and is_main() and not _in_worker():
        _WARNED.add(plugin.distribution)
        logger.warning("%s %s: it may fail; install a version of either that fits", plugin, fault)


def _in_worker() -> bool:
    """Whether another process of rft started this one, and has loaded the same plugins."""
    from multiprocessing import parent_process

    return parent_process() is not None


def _distinct(
    points: Iterable[metadata.EntryPoint],
) -> list[tuple[metadata.EntryPoint, Plugin]]:
    """Entry points with their plugin; a distribution that is on sys.path twice counts once."""
    distinct: dict[tuple[str, str], tuple[metadata.EntryPoint, Plugin]] = {}
    for point in points:
        name, version = named(point.dist) if point.dist else (point.name, "?")
        plugin = Plugin(point.name, name, version)
        distinct.setdefault((name, point.name), (point, plugin))
    return list(distinct.values())


def _selected(
    found: Sequence[tuple[metadata.EntryPoint, Plugin]],
) -> list[tuple[metadata.EntryPoint, Plugin]]:
    setting = os.environ.get("RFT_PLUGINS")
    if setting is None:
        return list(found)
    wanted = {canonical(part.strip()): part for part in setting.split(",") if part.strip()}
    installed = {canonical(n) for _, p in found for n in (p.name, p.distribution)}
    for name in wanted.keys() - installed:
        raise PluginError(
            f"RFT_PLUGINS names {wanted[name]!r}, which is not installed.{closest(name, installed)}"
        )
    chosen = {*wanted, CORE}
    return [(e, p) for e, p in found if {canonical(p.name), p.distribution} & chosen]


def _check_hooks(manager: pluggy.PluginManager, module: object) -> None:
    """Check what pluggy accepts silently: a misspelled hook, a hook without its marker."""
    hooks = _hooks()
    for name in dir(module):
        mark = manager.parse_hookimpl_opts(module, name)
        hook = (mark and mark.get("specname")) or name
        if not mark and not (name.startswith("rft_") and _is_function(module, name)):
            continue
        if hook not in hooks:
            raise PluginError(f"there is no hook {hook!r}.{closest(hook, hooks)}")
        if not mark:
            raise PluginError(f"{name} is not marked: write @rftcore.hookimpl above it")
        if mark.get("wrapper") or mark.get("hookwrapper"):
            raise PluginError(f"{name} is a hook wrapper, which rft does not support")
        if fault := _arguments_fault(getattr(module, name), getattr(hookspecs, hook)):
            raise PluginError(f"{name}{_place_of(getattr(module, name))} {fault}")


def _arguments_fault(function: Any, spec: Callable[..., object]) -> str:
    """What is wrong with the arguments of a hook, or ""."""
    offered = [*inspect.signature(spec).parameters]
    try:
        declared = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # in C
        return ""
    for one in declared:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        if one.name in offered and one.default is not one.empty:
            return f"gives its argument {one.name!r} a default, so it is never passed: remove it"
        if one.name in offered and one.kind is one.KEYWORD_ONLY:
            return f"has its argument {one.name!r} after a *, so it is never passed: remove the *"
        if one.name not in offered and one.default is one.empty:
            return (
                f"has an argument {one.name!r}, which the hook does not pass."
                f"{closest(one.name, offered)} It passes {', '.join(offered) or 'none'}"
            )
    return ""


def _place_of(function: Any) -> str:
    """Where a function is written, in brackets; "" if that is unknown."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f" ({code.co_filename} line {code.co_firstlineno})" if code else ""


def _hooks() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("rft_")]


def _is_function(module: object, name: str) -> bool:
    return inspect.isroutine(inspect.getattr_static(module, name, None))


def _checked_names(offered: object) -> Mapping[str, Any]:
    if not isinstance(offered, Mapping):
        raise PluginError(f"returned {offered!r}, not a mapping from names to factories")
    for name in offered:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name):
            raise PluginError(f"{name!r} is not a name: use letters, digits, dots and dashes")
    return offered


def _checked_commands(offered: object) -> "list[click.Command]":
    import click

    commands: list[Any] = [*offered] if isinstance(offered, Iterable) else [offered]
    for command in commands:
        if not isinstance(command, click.Command) or not command.name:
            raise PluginError(f"returned {command!r:.60}, which is not a click.Command with a name")
    return commands
