"""Values of a row that JSON cannot represent, or that are ambiguous."""

import math
from collections.abc import Iterator
from typing import Any

from rftcore.datasets.rows.faults import Fault
from rftcore.datasets.streams import DuplicateKey

DEEPEST = 100  # levels of lists and objects in a row


def unfit(fields: dict[str, Any]) -> Iterator[Fault]:
    """Values that JSON cannot represent or that are ambiguous: lone surrogates, NaN, deep nesting,
    duplicate keys.
    """
    stack: list[tuple[str, Any, int]] = [("", fields, 0)]
    while stack:
        where, value, depth = stack.pop()
        if isinstance(value, str):
            if not value.isascii() and (bad := lone_surrogate(value)):
                yield Fault("wrong field", f"{where or 'a key'} contains a lone surrogate, {bad}")
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield Fault("wrong field", f"{where} is {value}: JSON has no such number, use null")
        elif depth > DEEPEST:
            yield Fault("wrong field", f"{where} is nested more than {DEEPEST} levels deep")
        elif isinstance(value, dict):
            if isinstance(value, DuplicateKey):
                yield Fault("wrong field", f"{value.name!a:.40} occurs twice in one object")
            stack += [("", key, depth) for key in value]
            named = ((where or f"{key!a:.40}", item) for key, item in value.items())
            stack += [(name, item, depth + 1) for name, item in reversed(list(named))]
        elif isinstance(value, list):
            stack += [(where, item, depth + 1) for item in reversed(value)]


def lone_surrogate(text: str) -> str:
    """The first lone surrogate (half of a surrogate pair) in a text, escaped; else ""."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[error.start].encode("ascii", "backslashreplace").decode()
    return ""
