"""Between rft and a plugin's code: whatever that raises is told with the plugin's name."""

import importlib
import os
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rftcore.errors import PluginError, RftError
from rftcore.plugins.offers import Plugin

# What stands between us and a plugin's code in a traceback.
OURS = (
    "<frozen",
    f"{Path(__file__).parents[1]}{os.sep}",
    f"{Path(importlib.__file__).parent}{os.sep}",
)
_CODE: dict[str, Plugin] = {}  # what loaded plugins are written in, by file or folder
_TESTER = f"{os.sep}hypothesis{os.sep}"  # calls plugins for the laws


@contextmanager
def guard(plugin: Plugin, what: str, *, wrap_all: bool = False) -> Iterator[None]:
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
        raise PluginError(f"{what} of {plugin} failed: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """Kind and message of an error on one line, and the line of the plugin's that led to it."""
    text = textwrap.shorten(str(error), 300)
    if isinstance(error, RftError):
        return text
    at = place(error)
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{named} ({at})" if at else named


def place(error: BaseException) -> str:
    """File and line where the plugin's own code was last, "" if it was not at work.

    Its own code is that of the folder whose code we called first.
    """
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith(OURS) and _TESTER not in f.filename]
    if not theirs:
        return ""
    first = theirs[0].filename  # "<string>" and the like are in no folder
    folder = f"{Path(first).parent}{os.sep}"
    own = [f for f in theirs if f.filename == first or f.filename.startswith(folder)]
    last = own[-1]
    return f"{last.filename} line {last.lineno}"


def wrote(plugin: Plugin, file: str | None) -> None:
    """Remember in which file, or package's folder, a plugin is written."""
    if file:
        path = Path(file)
        package = path.stem == "__init__"
        _CODE[f"{path.parent}{os.sep}" if package else str(path)] = plugin


def blame(error: BaseException) -> str:
    """The plugin in whose code an exception was raised, with its line; "" if it was ours.

    What a plugin calls in a library is its own affair; what it calls of rft is not.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for code, plugin in _CODE.items():
            if frame.filename.startswith(code):
                kind, text = type(error).__name__, textwrap.shorten(str(error), 300)
                named = f"{kind}: {text}" if text else kind
                return f"{plugin} failed: {named} ({frame.filename} line {frame.lineno})"
        if frame.filename.startswith(OURS[1]):
            return ""
    return ""
