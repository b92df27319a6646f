"""Between rft and a plugin's code: whatever that raises is told with the plugin's name."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from rftcore.errors import PluginError, RftError
from rftcore.plugins.offers import Plugin


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
    """Kind and message of an error on one line."""
    text = textwrap.shorten(str(error), 300)
    if isinstance(error, RftError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
