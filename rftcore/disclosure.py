"""Leave out of settings and commands what should not leave the machine: tokens and folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

HIDDEN = "(not shown)"
_SECRET = re.compile(r"(^|[._-])(token|secret|password|passwd|api_?key|credentials?)$", re.I)
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")  # https://user:password@host


def without_secrets(value: Any, name: str = "") -> Any:
    """A setting, or settings of any depth, with each token and password replaced."""
    if isinstance(value, Mapping):
        return {key: without_secrets(each, str(key)) for key, each in value.items()}
    if value is not None and _SECRET.search(name):
        return HIDDEN
    if isinstance(value, list | tuple):
        return [without_secrets(each) for each in value]
    return _LOGIN.sub("", value) if isinstance(value, str) else value


def without_folders(value: Any) -> Any:
    """A setting with absolute paths shortened to their last part."""
    if isinstance(value, Mapping):
        return {key: without_folders(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(each) for each in value]
    if isinstance(value, str) and (value.startswith(("/", "~")) or re.match(r"[A-Za-z]:\\", value)):
        return PurePath(value).name
    return value


def shown_command(words: Sequence[str]) -> list[str]:
    """A command with its program's name alone, without secrets and folders."""
    if not words:
        return []
    program = PurePath(words[0]).name
    return ["rft" if program == "__main__.py" else program, *map(_word, words[1:])]


def _word(word: str) -> str:
    name, given, value = word.rpartition("=")
    hidden = without_folders(without_secrets(value, name))
    return f"{name}{given}{hidden}"
