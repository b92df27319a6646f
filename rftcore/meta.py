"""The `meta` of a sample as a file can hold it: plain JSON, not too long.

Files of answers repeat the `meta` of every sample, so what a plugin puts there must not make
them unreadable, or larger than what was generated.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any

from rftcore import jsontext

MOST_BYTES = 4096  # of one sample's `meta` as JSON
MOST_LEVELS = 6


def stored(meta: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The `meta` in JSON's own types, and how many of its values are left out.

    Numbers of any type, paths, sequences and sets become their JSON counterparts. A value with
    anything else in it is left out, as is one that is nested too deeply, or that does not fit
    into `MOST_BYTES` with the values before it.
    """
    kept: dict[str, Any] = {}
    room = MOST_BYTES
    for key, value in meta.items():
        if not _fits(key, value):
            continue
        name = key if isinstance(key, str) else str(key)
        try:
            plain = jsontext.plain(value)
            size = len(jsontext.dumps({name: plain}).encode())
        except (OverflowError, ValueError):  # a number of thousands of digits
            continue
        if size <= room:
            kept[name] = plain
            room -= size
    return kept, len(meta) - len(kept)


def _fits(key: object, value: object) -> bool:
    return isinstance(key, str | int) and _is_plain(value, MOST_LEVELS)


def _is_plain(value: object, levels: int) -> bool:
    """Whether JSON has a counterpart of a value."""
    if value is None or isinstance(value, str | bool | numbers.Real | PurePath):
        return True
    if levels == 0 or isinstance(value, bytes | bytearray):
        return False
    if isinstance(value, Mapping):
        return all(_fits(key, None) and _is_plain(v, levels - 1) for key, v in value.items())
    if isinstance(value, Sequence | Set):
        return all(_is_plain(each, levels - 1) for each in value)
    return False
