"""Whether a parsed value can be compared, which every law and every reward requires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

from rftcore.testing.digests import shown


def value_fault(value: Any) -> str:
    """Why a value does not equal itself, or "": a NaN in it, or `==` that fails.

    A list with a NaN in it equals itself by identity, so every part is checked.
    """
    try:
        for part in _parts(value):
            if (fault := _not_equal(part, part)) is not None:
                return f"holds {shown(part)}, which does not equal itself{fault}"
        if (fault := _not_equal(value, deepcopy(value))) is not None:
            return f"does not equal a copy of itself{fault}"
    except RecursionError:
        return "is nested too deeply to be compared"
    except Exception as error:
        return f"cannot be copied: {type(error).__name__}: {error}"
    return ""


def _not_equal(one: Any, two: Any) -> str | None:
    """Why `one == two` is not True, as the end of a sentence; None if it is True."""
    try:
        return None if one == two else ""
    except Exception as error:
        return f": == raises {type(error).__name__}: {error}"


def _parts(value: Any) -> Iterator[Any]:
    """The values inside of containers and dataclasses, however deep, and plain ones themselves."""
    if isinstance(value, str | bytes | bytearray):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _parts(key)
            yield from _parts(one)
    elif isinstance(value, Sequence | Set):
        for one in value:
            yield from _parts(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            if f.compare:
                yield from _parts(getattr(value, f.name))
    else:
        yield value
