"""Load a task from a Python file without a package: `./file.py:factory`.

The file can import modules beside it, as with `python file.py`. `sys.path` stays as it is, and
two folders may each have a module `shapes`: each folder is a package with a name made from its
path, the same in every process, so that objects defined there can be pickled.
"""

import builtins
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from rftcore.errors import UnknownNameError, did_you_mean, similar
from rftcore.plugins.guard import guard, wrote
from rftcore.plugins.missing import placed
from rftcore.plugins.offers import Offer, Plugin

_PREFIX = "rft_folder_"


def from_file(name: str, named_in: str = "") -> Offer:
    """The factory of a task in a Python file, "./file.py:factory".

    Raises: UnknownNameError if there is no such file or function, PluginError if the file fails.
    """
    path, _, factory = name.partition(":")
    about = f"task {name!r}{placed(named_in)}"
    plugin = Plugin(path, path, "")
    with guard(plugin, "import"):
        file = _file(path, about)
        wrote(plugin, str(file))
        module = _module(file)
    functions = [n for n, f in vars(module).items() if inspect.isfunction(f) and n[0] != "_"]
    if factory not in functions:
        meant = similar(factory, functions)
        own = [n for n in functions if getattr(module, n).__module__ == module.__name__]
        raise UnknownNameError(
            f"{about}: use {path}:FACTORY.{did_you_mean(meant)} "
            f"Functions there: {', '.join(own) or 'none'}.",
            kind="task",
            name=name,
            origin=named_in,
            suggestions=meant,
            offered=own,
        )
    return Offer("task", factory, plugin, getattr(module, factory))


def _file(path: str, about: str) -> Path:
    """The file itself. Raises: UnknownNameError if there is none."""
    try:
        file = Path(path).expanduser().resolve()
        found = file.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long, no home, a loop of links
        raise UnknownNameError(f"{about:.300}: there is no such file: {error}") from error
    if not found:
        near = similar(file.stem, [other.stem for other in file.parent.glob("*.py")])
        meant = did_you_mean([f"{stem}.py" for stem in near])
        raise UnknownNameError(f"{about}: there is no file {file}.{meant}")
    return file


@cache  # one file is one module, however often its task is looked up
def _module(path: Path) -> ModuleType:
    package = _package(path.parent)
    name = f"{package.__name__}.{path.stem.replace('.', '_')}"
    if name in sys.modules:  # another file of the folder has imported it
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    if spec is None or spec.loader is None:
        raise UnknownNameError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@cache
def _package(folder: Path) -> ModuleType:
    """The package that has the files of a folder as its modules."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    name = _PREFIX + hashlib.sha256(str(folder).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package
    return package


class _Finder(PathFinder):
    """Finds modules of such packages and loads them with `_Loader`."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module in such a package, with our loader; None for others."""
        if not fullname.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs a module with an `import` that searches its own folder first."""

    def exec_module(self, module: ModuleType) -> None:
        """Run it."""
        vars(module)["__builtins__"] = _builtins(module.__name__.partition(".")[0])
        super().exec_module(module)


@cache
def _builtins(package: str) -> dict[str, Any]:
    """Python's builtins with an `__import__` that prefers the modules of a package's folder."""
    [folder] = sys.modules[package].__path__

    def import_(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002  as Python calls it
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not _is_beside(Path(folder), top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        made = builtins.__import__(f"{package}.{name}", globals, locals, fromlist or (), 0)
        return made if fromlist else sys.modules[f"{package}.{top}"]

    return {**vars(builtins), "__import__": import_}


def _is_beside(folder: Path, name: str) -> bool:
    """Whether `import name` finds a module of the folder.

    A module of the standard library that is already loaded comes first, as in Python.
    """
    if name in sys.builtin_module_names or (name in sys.stdlib_module_names & sys.modules.keys()):
        return False
    return (folder / f"{name}.py").is_file() or any((folder / name).glob("*.py"))
