"""Make the paths in a recipe absolute when a run starts: model, task file, data.

A run can then be resumed, forked and evaluated from any working directory.
"""

import os
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rftcore.plugins.offers import Offer

MARKS = (".", "~")  # a text that starts with one, or has a separator, may be a path


def located(
    value: Any, is_path: Callable[[tuple[str, ...]], bool] = lambda at: False, at: Any = ()
) -> Any:
    """`value` with absolute paths in place of relative ones that exist.

    A text may be a path if it starts with one of `MARKS`, has a separator, or if `is_path`
    returns True for its position `at`.
    """
    if isinstance(value, Mapping):
        return {key: located(one, is_path, (*at, key)) for key, one in value.items()}
    if isinstance(value, list):
        return [located(one, is_path, at) for one in value]
    if not isinstance(value, str) or not value:
        return value
    if is_path(at) or value.startswith(MARKS) or os.sep in value:
        return absolute(value)
    return value


def paths_by_default(offer: Offer) -> dict[str, str]:
    """The options of a factory whose default is a relative path that exists, as absolute paths."""
    defaults = {name: option.default for name, option in offer.options.items()}
    texts = {n: str(d) for n, d in defaults.items() if isinstance(d, str | Path)}
    found = located(texts, takes_path(offer))
    return {n: found[n] for n in texts if found[n] != texts[n] and texts[n].strip("./")}


def absolute(text: str) -> str:
    """The absolute path of a file or folder, or the text as it is if there is none."""
    path = Path(text).expanduser()
    try:
        return str(path.resolve()) if path.exists() else text
    except (OSError, ValueError):  # too long, or with a null byte: not a path
        return text


def task_name(name: str) -> str:
    """`./file.py:factory` with the file's absolute path; any other name as it is."""
    file, colon, factory = name.partition(":")
    return f"{absolute(file)}{colon}{factory}" if re.search(r"\.py$", file) else name


def takes_path(offer: Offer) -> Callable[[tuple[str, ...]], bool]:
    """Whether an option of a factory is declared as a path."""

    def is_path(at: tuple[str, ...]) -> bool:
        parameter = offer.options.get(at[0]) if len(at) == 1 else None
        declared = None if parameter is None else parameter.annotation
        return declared is Path or Path in typing.get_args(declared)

    return is_path
