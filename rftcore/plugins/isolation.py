"""Load a plugin's code so that it cannot change, for others, what all code of the process shares.

A plugin may end Python, hang, print or change global state while it is imported. An import has a
deadline, what it prints goes to standard error, and what it changed is put back and named.
Environment variables and `sys.path` stay changed, since plugins set them for their own libraries;
the law `plugin-no-side-effects` reports them. What ends the process itself (`os._exit`, a crash in
C) cannot be caught here: `rft plugins doctor` loads each plugin in a process of its own.
"""

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

from rftcore.deadlines import deadline
from rftcore.errors import PluginError
from rftcore.plugins.guard import guard
from rftcore.plugins.offers import Plugin

logger = logging.getLogger(__name__)

VARIABLE = "RFT_PLUGIN_TIMEOUT"
LOAD_S = 120.0  # of the clock: a busy machine, or a slow disk, may need long


class NoEnd(BaseException):
    """Loading did not end within its deadline. Not an `Exception`: code may not catch it."""

    def __str__(self) -> str:
        return f"no end within {limit():g} s ({VARIABLE} sets the limit)"


@contextmanager
def isolated(plugin: Plugin, what: str) -> Iterator[None]:
    """Around the import of a plugin, or a call of a hook that offers components.

    Raises: PluginError that names the plugin, for whatever its code raises.
    """
    with unchanged(plugin, what), guard(plugin, what, wrap_all=True), deadline(limit(), NoEnd):
        yield


@contextmanager
def unchanged(plugin: Plugin, what: str) -> Iterator[None]:
    """Put back what the block changes, with a warning; what it prints goes to standard error."""
    before = {name: get() for name, (get, _) in SHARED.items()}
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        changed = [name for name, value in before.items() if _restored(name, value)]
        if changed:
            text = "%s of %s changed %s, which all plugins share: put back"
            logger.warning(text, what, plugin, " and ".join(changed))


def limit() -> float:
    """Seconds that loading may take. Raises: PluginError if the variable is no positive number."""
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else LOAD_S
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise PluginError(f"{VARIABLE}={text}: set a positive number of seconds")
    return seconds


def _restored(name: str, value: Any) -> bool:
    get, put = SHARED[name]
    with suppress(OSError):  # such as a folder that was deleted
        if get() == value:
            return False
    with suppress(OSError):
        put(value)
    return True


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  as chdir takes it
    except OSError:  # it was deleted
        return ""


def _put_folder(folder: str) -> None:
    if folder:
        os.chdir(folder)


def _umask() -> int:
    now = os.umask(0o77)
    os.umask(now)
    return now


def _put_locale(name: str) -> None:
    locale.setlocale(locale.LC_ALL, name)


_SIGNALS = [getattr(signal, f"SIG{name}") for name in ("HUP", "INT", "TERM", "CHLD", "PIPE")]


def _handlers() -> list[Any]:
    return [signal.getsignal(number) for number in _SIGNALS]


def _put_handlers(handlers: list[Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            signal.signal(number, handler)


def _streams() -> list[Any]:
    return [sys.stdin, sys.stdout, sys.stderr]


def _put_streams(streams: list[Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams


def _logs() -> tuple[int, int, list[logging.Handler]]:
    return logging.root.manager.disable, logging.root.level, [*logging.root.handlers]


def _put_logs(value: tuple[int, int, list[logging.Handler]]) -> None:
    logging.disable(value[0])
    logging.root.setLevel(value[1])
    logging.root.handlers[:] = value[2]


def _filters() -> list[Any]:
    """The warning filters that hold for every warning, or make errors of some everywhere."""
    return [f for f in warnings.filters if f[2] is Warning or (f[0] == "error" and not f[3])]


def _put_filters(known: list[Any]) -> None:
    new = [each for each in _filters() if each not in known]
    warnings.filters[:] = [f for f in warnings.filters if f not in new]  # type: ignore[index]
    warnings.filters[:0] = [f for f in known if f not in warnings.filters]  # type: ignore[index]
    with warnings.catch_warnings():  # its end drops what is cached of the filters
        pass


def _put_hook(hook: Any) -> None:
    sys.excepthook = hook


def _put_gc(enabled: bool) -> None:
    gc.enable() if enabled else gc.disable()


# What is read before a plugin's code runs, and put back after it.
SHARED: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the working folder": (_folder, _put_folder),
    "the umask": (_umask, os.umask),
    "the locale": (lambda: locale.setlocale(locale.LC_ALL), _put_locale),
    "the state of random": (random.getstate, random.setstate),
    "signal handlers": (_handlers, _put_handlers),
    "the standard streams": (_streams, _put_streams),
    "what logging shows": (_logs, _put_logs),
    "the warning filters": (_filters, _put_filters),
    "the recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "sys.excepthook": (lambda: sys.excepthook, _put_hook),
    "garbage collection": (gc.isenabled, _put_gc),
}
