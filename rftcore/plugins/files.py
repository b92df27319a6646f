"""A task in a Python file that nobody packaged: `./file.py:factory`."""

import importlib.util
import inspect
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rftcore.errors import UnknownNameError, closest
from rftcore.plugins.guard import guard
from rftcore.plugins.offers import Offer, Plugin


def from_file(name: str) -> Offer:
    """A task's factory in a Python file that is no plugin: "./file.py:factory"."""
    path, _, factory = name.partition(":")
    plugin = Plugin(path, path, "file")
    with guard(plugin, "import"):
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
