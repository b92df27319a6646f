"""Write JSON that any parser can read, and read JSON strictly.

JSON has no NaN or infinity: they are written as null. Lone surrogates, which UTF-8 cannot
encode, and characters at which some readers end a line are written as escapes, so that a file is
valid UTF-8 and has one value per line.
"""

from __future__ import annotations

import json
import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

BOM = "\ufeff"  # a byte order mark; any number of them at the start of a file mean nothing
# DEL, C1 controls, line separators (`str.splitlines` splits at some of these), lone surrogates.
# The encoder escapes control characters below a space itself.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def dumps(value: object, *, indent: int | None = None) -> str:
    """The JSON text of a value, without a line break at its end.

    NaN and infinities become null. Mappings, sequences, sets (sorted) and numbers of any type, such
    as NumPy's, become their JSON counterparts; any other object becomes its `str`.
    """
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def line(value: object) -> str:
    """A value as one line of a JSON Lines file."""
    return dumps(value) + "\n"


def lines(values: Iterable[object]) -> str:
    """The text of a JSON Lines file."""
    return "".join(map(line, values))


def loads(text: str | bytes) -> Any:
    """Read JSON text strictly. Raises `ValueError` for anything else, NaN and 1e999 included."""
    try:
        return json.loads(text, parse_constant=_not_json, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def plain(value: object) -> Any:
    """The value in JSON's own types."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, Set):  # in one order: that of a set of texts changes between processes
        return sorted(map(plain, value), key=dumps)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(each) for each in value]
    return str(value)


def _key(key: object) -> str:
    made = plain(key)
    return made if isinstance(made, str) else json.dumps(made)


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large for a number")
    return number
