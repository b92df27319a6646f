"""Find plugins, keep a broken one from hurting the others, look names up.

Discovery is ours around pluggy's manager: pluggy's own loader lets one broken
plugin stop the program and settles clashes by load order. Here each entry
point loads inside a guard, a failure is kept, and it is told to whoever asks
for what that plugin offers. Nothing here imports a component before its use.
"""

import importlib.util
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from rftcore import hookspecs
from rftcore.errors import PluginError, RecipeError, RftError, UnknownNameError, closest
from rftcore.processes import is_main
from rftcore.types import Dataset, Parser, Task, Term

if TYPE_CHECKING:
    import click

    from rftcore.config import Recipe, RewardOverride

GROUP = "rft"
KINDS = {
    "task": "rft_tasks",
    "dataset": "rft_datasets",
    "parser": "rft_parsers",
    "reward": "rft_rewards",
    "model": "rft_models",
}
CORE = "rftcore"
FIRST_PARTY = frozenset({CORE, "rft-counting", "rft-structure", "rft-transformation", "rft-nano"})
# Names that belong to a distribution whether or not it is installed: a stranger cannot
# take one, and a miss says what to install.
OWNERS = {
    ("task", "counting"): "rft-counting",
    ("task", "structure"): "rft-structure",
    ("task", "transformation"): "rft-transformation",
    ("model", "nano"): "rft-nano",
    ("model", "toy"): "rft-nano",
}


@dataclass(frozen=True)
class Plugin:
    """One entry point of one distribution."""

    name: str
    distribution: str
    version: str

    @property
    def first_party(self) -> bool:
        """Whether it comes with rft, by the name of its distribution."""
        return self.distribution in FIRST_PARTY

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Failure:
    """What is wrong with a plugin; `kind` is the kind it cannot offer, None for all."""

    plugin: Plugin
    reason: str
    kind: str | None = None
    error: BaseException | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.plugin} (plugin {self.plugin.name!r}): {self.reason}"


@dataclass(frozen=True)
class Offer:
    """A component that a plugin offers, not yet made."""

    kind: str
    name: str
    plugin: Plugin
    factory: Any = field(compare=False)

    @property
    def qualified(self) -> str:
        """The name that always reaches it: `distribution:name`."""
        return f"{self.plugin.distribution}:{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.plugin}"

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The factory's keyword arguments: what a recipe can set."""
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {p.name: p for p in _signature(self.factory).values() if p.kind in named}

    @property
    def takes_any_option(self) -> bool:
        """Whether the factory has `**kwargs`."""
        kinds = [p.kind for p in _signature(self.factory).values()]
        return inspect.Parameter.VAR_KEYWORD in kinds


@dataclass(frozen=True)
class Row:
    """One line of `rft plugins list`."""

    name: str
    kind: str
    distribution: str
    version: str
    state: str


class Observers:
    """Calls a hook of every plugin, in order: `hooks.rft_phase_start(phase="sft")`."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __getattr__(self, hook: str) -> Callable[..., None]:
        if not hook.startswith("rft_"):
            raise AttributeError(hook)
        return partial(self._call, hook)


class Catalogue:
    """Everything that is offered, by name."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self.failures: list[Failure] = []
        self.hooks = Observers(self._observe)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._by_name: dict[str, Plugin] = {}
        self._offers: dict[str, list[Offer]] = {}

    @classmethod
    def load(cls, entry_points: Iterable[metadata.EntryPoint] | None = None) -> "Catalogue":
        """Load every plugin, or those that `RFT_PLUGINS=a,b` names, and the core's own.

        A plugin that does not load becomes a `Failure`; it stops nobody.
        Raises `PluginError` if `RFT_PLUGINS` names what is not installed.
        """
        if entry_points is None:
            entry_points = metadata.entry_points(group=GROUP)
        catalogue = cls()
        for point, plugin in _selected(_distinct(entry_points)):
            catalogue._register(point, plugin)
        return catalogue

    # --- what is there ---

    def offers(self, kind: str) -> list[Offer]:
        """Every component of a kind, first-party ones first, then by name."""
        if kind not in self._offers:
            found = [offer for plugin, offer in self._ask(kind) if offer.plugin == plugin]
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
        rows += [_plugin_row(p, "command", name=c.name or "") for p, c in self._commands()]
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
        return {command.name: command for _, command in self._commands() if command.name}

    # --- looking names up ---

    def find(self, kind: str, name: str, origin: str = "") -> Offer:
        """The component that `name` means: bare, `distribution:name`, or `./file.py:factory`.

        Raises `UnknownNameError` if nobody offers it or several do, and
        `PluginError` if the plugin that should offer it is broken.
        """
        if kind == "task" and re.search(r"\.py(:|$)", name):
            return _from_file(name)
        distribution, _, bare = name.rpartition(":")
        found = [offer for offer in self.offers(kind) if offer.name == bare]
        if distribution:
            found = [o for o in found if o.plugin.distribution == _canonical(distribution)]
        else:
            found = self._entitled(kind, bare, found)
        if len(found) == 1:
            return found[0]
        place = f" ({origin})" if origin else ""
        if found:
            raise UnknownNameError(f"{kind} {name!r}{place} {_several(found)}")
        raise self._miss(kind, name, place)

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
        arguments = _checked_options(offer, options or {}, origin or _no_origin, path)
        with _guard(offer.plugin, f"{kind} {offer.name!r}"):
            made = offer.factory(**arguments)
            fault = _misfit(kind, made)
        if fault:
            raise PluginError(f"{offer}: the factory returned {made!r}, which is no {fault}")
        return made

    def task(self, name: str, options: Mapping[str, Any] | None = None) -> Task:
        """A task with its default rewards and dataset, every name in it resolved."""
        return self._resolved(self.make("task", name, options, path=("task_options",)), name, {})

    def task_of(self, recipe: "Recipe") -> Task:
        """The task that a recipe asks for: its options, its dataset and rewards replaced."""
        made: Task = self.make(
            "task",
            recipe.task,
            recipe.task_options,
            origin=recipe.origin,
            path=("task_options",),
        )
        if recipe.dataset:
            made = replace(made, dataset=self._dataset_of(recipe))
        return self._resolved(made, recipe.task, recipe.rewards, recipe.origin)

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

    # --- inside ---

    def _commands(self) -> "Iterator[tuple[Plugin, click.Command]]":
        for plugin, call in self._implementations("rft_commands"):
            try:
                with _guard(plugin, "hook rft_commands"):
                    yield from [(plugin, command) for command in call()]
            except PluginError as error:
                self._fail(plugin, error, "command")

    def _register(self, point: metadata.EntryPoint, plugin: Plugin) -> None:
        key = f"{plugin.distribution}:{plugin.name}"
        try:
            with _guard(plugin, "import", wrap_all=True):
                module = point.load()
                _check_hooks(self._manager, module)
                self._manager.register(module, name=key)
        except PluginError as error:
            if self._manager.has_plugin(key):  # half registered: take it back
                self._manager.unregister(name=key)
            self._fail(plugin, error)
            return
        self._by_name[key] = plugin
        self.plugins.append(plugin)

    def _fail(self, plugin: Plugin, error: PluginError, kind: str | None = None) -> None:
        cause = error.__cause__
        reason = _describe(cause) if cause else str(error)
        self.failures.append(Failure(plugin, reason, kind, cause))

    def _implementations(self, hook: str) -> Iterator[tuple[Plugin, Callable[..., Any]]]:
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            plugin = self._by_name[implementation.plugin_name]

            def call(implementation: Any = implementation, **values: Any) -> Any:
                names = implementation.argnames
                return implementation.function(*(values[name] for name in names))

            yield plugin, call

    def _ask(self, kind: str) -> Iterator[tuple[Plugin, Offer]]:
        for plugin, call in self._implementations(KINDS[kind]):
            try:
                with _guard(plugin, f"hook {KINDS[kind]}", wrap_all=True):
                    offered = _checked_names(call())
            except PluginError as error:
                self._fail(plugin, error, kind)
                continue
            for name, factory in offered.items():
                yield plugin, Offer(kind, name, plugin, factory)

    def _observe(self, hook: str, **values: Any) -> None:
        if not is_main():
            return
        for plugin, call in self._implementations(hook):
            with _guard(plugin, f"hook {hook}", wrap_all=True):
                call(**values)

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
        source = _canonical(distribution) or OWNERS.get((kind, bare), "")
        broken = [f for f in self.failures if f.kind in (None, kind)]
        for failure in broken:
            if failure.plugin.distribution == source:
                error = PluginError(f"{kind} {name!r}{place} is not available: broken {failure}")
                error.__cause__ = failure.error
                return error
        offered = [name for name, _ in self.names(kind)]
        known = [known for of, known in OWNERS if of == kind]
        text = f"no {kind} named {name!r}{place}.{closest(bare, {*offered, *known} - {bare})}"
        text += _install_hint(kind, bare, offered)
        others = [o.qualified for o in self.offers(kind) if o.name == bare]
        if others:
            text += f" Others offer one of that name: {', '.join(others)}."
        text += f"\nOffered: {', '.join(offered) or 'none'}."
        text += " `rft plugins list` says who offers what."
        text += "".join(f"\nBroken, and may be what offers it: {failure}" for failure in broken)
        return UnknownNameError(text)

    def _dataset_of(self, recipe: "Recipe") -> Dataset:
        options = dict(recipe.dataset)
        name = options.pop("use", None)
        if not isinstance(name, str):
            raise RecipeError(
                f"dataset = {recipe.dataset!r} ({recipe.origin('dataset')}): "
                "name the dataset with `use`, e.g. --set dataset.use=jsonl"
            )
        made: Dataset = self.make("dataset", name, options, origin=recipe.origin, path=("dataset",))
        return made

    def _resolved(
        self,
        task: Task,
        name: str,
        overrides: "Mapping[str, RewardOverride]",
        origin: Callable[..., str] | None = None,
    ) -> Task:
        if fault := _task_fault(task):
            raise PluginError(f"task {name!r}: {fault}")
        unknown = [n for n, o in overrides.items() if n not in task.rewards and not o.use]
        if unknown:
            raise RecipeError(
                f"rewards.{unknown[0]}: task {name!r} has no such reward."
                f"{closest(unknown[0], task.rewards)} "
                f"It has {', '.join(task.rewards)}; to add one, set rewards.{unknown[0]}.use."
            )
        terms = {
            term: self._term(term, task.rewards.get(term), overrides.get(term), origin)
            for term in dict.fromkeys((*task.rewards, *overrides))
        }
        parts: dict[str, Any] = {"parser": task.parser, "dataset": task.dataset}
        for kind, part in parts.items():
            if isinstance(part, str):
                parts[kind] = self.make(kind, part)
        return replace(task, rewards=terms, **parts)

    def _term(
        self,
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
            reward = self.make("reward", reward, options, origin=origin, path=path)
        elif options:
            raise RecipeError(
                f"rewards.{name}.options: the task gives this reward as an object, which has no "
                f"options; name one with rewards.{name}.use"
            )
        changed = replace(term, reward=reward) if term else Term(reward)
        if override and override.weight is not None:
            changed = replace(changed, weight=override.weight)
        return changed


# --- discovery -----------------------------------------------------------------


def _distinct(
    points: Iterable[metadata.EntryPoint],
) -> list[tuple[metadata.EntryPoint, Plugin]]:
    """Entry points with their plugin; a distribution that sys.path lists twice counts once."""
    found: dict[tuple[str, str], tuple[metadata.EntryPoint, Plugin]] = {}
    for point in points:
        dist = point.dist
        name = _canonical(dist.name) if dist else point.name
        plugin = Plugin(point.name, name, dist.version if dist else "?")
        found.setdefault((name, point.name), (point, plugin))
    return list(found.values())


def _selected(
    found: Sequence[tuple[metadata.EntryPoint, Plugin]],
) -> list[tuple[metadata.EntryPoint, Plugin]]:
    setting = os.environ.get("RFT_PLUGINS")
    if setting is None:
        return list(found)
    wanted = {_canonical(part.strip()): part for part in setting.split(",") if part.strip()}
    installed = {_canonical(n) for _, p in found for n in (p.name, p.distribution)}
    for name in wanted.keys() - installed:
        raise PluginError(
            f"RFT_PLUGINS names {wanted[name]!r}, which is not installed.{closest(name, installed)}"
        )
    chosen = {*wanted, CORE}
    return [(e, p) for e, p in found if {_canonical(p.name), p.distribution} & chosen]


def _check_hooks(manager: pluggy.PluginManager, module: object) -> None:
    """Refuse what pluggy lets pass in silence: a misspelt hook, a hook without its mark."""
    hooks = [name for name in vars(hookspecs) if name.startswith("rft_")]
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
            raise PluginError(f"{name} is a wrapper, and rft's hooks have none")


def _is_function(module: object, name: str) -> bool:
    return inspect.isroutine(inspect.getattr_static(module, name, None))


def _checked_names(offered: object) -> Mapping[str, Any]:
    if not isinstance(offered, Mapping):
        raise PluginError(f"returned {offered!r}, not a mapping from names to factories")
    for name in offered:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name):
            raise PluginError(f"{name!r} is no name: use letters, digits, dots and dashes")
    return offered


@contextmanager
def _guard(plugin: Plugin, what: str, *, wrap_all: bool = False) -> Iterator[None]:
    """Turn whatever a plugin raises into a `PluginError` that names it.

    An `RftError` is already written for the user and passes, unless `wrap_all`.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, RftError) and not wrap_all:
            raise
        raise PluginError(f"{what} of {plugin} failed: {_describe(error)}") from error


def _describe(error: BaseException) -> str:
    text = textwrap.shorten(str(error), 300)
    if isinstance(error, RftError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _plugin_row(plugin: Plugin, kind: str, state: str = "ok", *, name: str = "") -> Row:
    return Row(name or plugin.name, kind, plugin.distribution, plugin.version, state)


# --- names and factories ---------------------------------------------------------


def _several(offers: Sequence[Offer]) -> str:
    names = ", ".join(sorted(offer.qualified for offer in offers))
    return f"is offered more than once. Say which: {names}"


def _install_hint(kind: str, name: str, offered: Sequence[str]) -> str:
    known = [n for of, n in OWNERS if of == kind and n not in offered]
    if name not in known and not closest(name, known):
        return ""
    meant = name if name in known else closest(name, known).split("'")[1]
    owner = OWNERS[kind, meant]
    return f" {meant!r} comes with {owner}: pip install {owner}."


def _from_file(name: str) -> Offer:
    """A task's factory in a Python file that is no plugin: "./file.py:factory"."""
    path, _, factory = name.partition(":")
    plugin = Plugin(path, path, "file")
    with _guard(plugin, "import"):
        module = _module(Path(path).resolve())
    functions = [n for n, f in vars(module).items() if inspect.isfunction(f) and n[0] != "_"]
    if factory not in functions:
        raise UnknownNameError(
            f"task {name!r}: say {path}:FACTORY.{closest(factory, functions)} "
            f"Functions there: {', '.join(functions) or 'none'}."
        )
    return Offer("task", factory, plugin, getattr(module, factory))


@cache  # one file is one module, however often its task is looked up
def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"rft_file_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UnknownNameError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _signature(factory: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory, eval_str=True).parameters
    except (TypeError, ValueError):  # not callable, or a builtin without a signature
        return {}
    except Exception:  # an annotation that only a type checker can read
        return inspect.signature(factory).parameters


def _annotation(parameter: inspect.Parameter) -> Any:
    unknown = parameter.annotation is parameter.empty or isinstance(parameter.annotation, str)
    return Any if unknown else parameter.annotation


def _checked_options(
    offer: Offer,
    options: Mapping[str, Any],
    origin: Callable[..., str],
    path: tuple[str, ...],
) -> dict[str, Any]:
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


def _no_origin(*path: str) -> str:
    return "option"


def _task_fault(task: Task) -> str:
    """What is wrong with a task's own fields, or ""; names are not looked up."""
    if not task.rewards or task.accuracy not in task.rewards:
        return f"accuracy={task.accuracy!r} is not one of its rewards ({', '.join(task.rewards)})"
    for name, term in task.rewards.items():
        if not isinstance(term, Term):
            return f"rewards[{name!r}] is {term!r}: write rftcore.Term({name}, weight)"
    parts: list[tuple[str, Any]] = [("parser", task.parser), ("dataset", task.dataset)]
    parts += [("reward", term.reward) for term in task.rewards.values()]
    for kind, part in parts:
        if not isinstance(part, str) and (expected := _misfit(kind, part)):
            return f"its {kind} is {part!r}, which is no {expected}"
    return "" if callable(task.prompt) else f"its prompt is {task.prompt!r}: it must be callable"


def _misfit(kind: str, made: object) -> str:
    """What `made` should have been, or ""."""
    expected: dict[str, tuple[Any, str]] = {
        "task": (Task, "rftcore.Task"),
        "dataset": (Dataset, "dataset (splits, size, sample)"),
        "parser": (Parser, "parser (parse, gold, show)"),
        "reward": (Callable, "reward: it is not callable"),
        "model": ((str, Path), "path of a folder"),
    }
    types, name = expected[kind]
    uncalled = kind in ("parser", "dataset") and isinstance(made, type)  # Integer for Integer()
    return "" if isinstance(made, types) and not uncalled else name
