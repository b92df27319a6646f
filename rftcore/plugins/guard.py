"""Turn exceptions of a plugin's code into errors that name the plugin."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rftcore.errors import OURS, Interrupt, PluginError, RftError, describe, in_short
from rftcore.plugins.offers import Plugin

_CODE: dict[str, Plugin] = {}  # loaded plugins by their file or folder


@contextmanager
def guard(plugin: Plugin, what: str, *, wrap_all: bool = False) -> Iterator[None]:
    """Turn whatever a plugin raises into a `PluginError` that names it.

    An `RftError` is already a message for the user and passes, unless `wrap_all`.
    """
    try:
        yield
    except (KeyboardInterrupt, Interrupt):
        raise
    except BaseException as error:
        if isinstance(error, RftError) and not wrap_all:
            raise
        text = f"{what} of {plugin} failed: {describe(error)}"
        raise PluginError(text, plugin=plugin.distribution) from error


def wrote(plugin: Plugin, file: str | None) -> None:
    """Record the file, or the package's folder, that contains a plugin."""
    if file:
        path = Path(file)
        package = path.stem == "__init__"
        _CODE[f"{path.parent}{os.sep}" if package else str(path)] = plugin


def blame(error: BaseException) -> str:
    """The plugin in whose code an exception was raised, with its line; "" if in rft's.

    An exception in a library that a plugin calls is the plugin's; one in rft is not.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for code, plugin in _CODE.items():
            if frame.filename.startswith(code):
                kind, text = type(error).__name__, in_short(error)
                named = f"{kind}: {text}" if text else kind
                return f"{plugin} failed: {named} ({frame.filename} line {frame.lineno})"
        if frame.filename.startswith(OURS[1]):
            return ""
    return ""
