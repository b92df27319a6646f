"""Check the arguments of rft's functions, where the command line checks its options.

A wrong type is one error that names the argument, before anything is done. Numbers and arrays of
NumPy are taken as Python's.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from rftcore.errors import PluginError, RecipeError

WORKER = "rft-reward-worker"  # the name of a process that runs rewards

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which raises `RecipeError` for an argument of another type than it declares."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        _require_a_process_of_its_own(function.__name__)
        given = signature.bind(*args, **kwargs)
        hints = _hints(function)
        for name, value in given.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                given.arguments[name] = tuple(_checked(name, one, hints[name]) for one in value)
            else:
                given.arguments[name] = _checked(name, value, hints[name])
        return function(*given.args, **given.kwargs)

    return call


def names(argument: str, value: Sequence[str] | None) -> Sequence[str]:
    """The names in a list, or in a text with commas between them; none if it was left out.

    Raises: RecipeError for an empty list, which would otherwise mean all.
    """
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    found = [name for part in parts if (name := part.strip())]
    if not found:
        raise RecipeError(f"{argument}={value!r} names nothing: leave it out for all")
    return found


def _require_a_process_of_its_own(name: str) -> None:
    """Raise `PluginError` in a worker process, which runs the script that started it once more."""
    if multiprocessing.current_process().name == WORKER:
        raise PluginError(
            f"a worker process for rewards runs this script again, up to rft.{name}: put what the "
            'script does below `if __name__ == "__main__":`'
        )


@functools.cache
def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    return get_type_hints(function)


def _checked(name: str, value: Any, hint: Any) -> Any:
    value = _plain(value)
    if not _fits(value, hint):
        kind = type(value).__name__
        raise RecipeError(f"{name}={value!r:.60} ({kind}): give {_told(hint)}")
    if Path in get_args(hint) and isinstance(value, str | Path) and not _can_be_a_path(value):
        raise RecipeError(f"{name}={value!r:.60}: no path has a null byte or a lone surrogate")
    return value


def _can_be_a_path(value: str | Path) -> bool:
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _plain(value: Any) -> Any:
    """Python's own numbers in place of NumPy's, also in what is passed as a list or a mapping."""
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if type(value) is dict:
        return {key: _plain(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Sequence:  # one text may stand for a list of one
        return isinstance(value, Sequence) and all(_fits(one, inner[0]) for one in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(key, inner[0]) for key in value)
    if origin is Callable:
        return callable(value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _told(hint: Any) -> str:
    """What fits, in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        *some, last = dict.fromkeys(map(_told, inner))
        return f"{', '.join(some)} or {last}" if some else last
    if origin is Sequence:
        return f"a list of {'texts' if inner[0] is str else 'whole numbers'}"
    if origin is Mapping:
        return "a mapping with texts as keys"
    if origin is Callable:
        return "a function"
    words = {str: "text", int: "a whole number", float: "a number", bool: "True or False"}
    return words.get(hint) or ("None" if hint is type(None) else f"a {hint.__name__}")
