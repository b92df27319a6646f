"""Equality of samples and values, within a process and between processes."""

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import Any

from rftcore.types import Parser, Sample


def canonical(value: Any) -> str:
    """A value as text that does not depend on the order of sets or on memory addresses."""
    try:
        return _canonical(value)
    except Exception:  # nested too deeply, or a repr() that fails
        return _repr(value)


def _canonical(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = sorted(f"{_canonical(key)}: {_canonical(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, Set):
        return f"set({', '.join(sorted(map(_canonical, value)))})"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return f"[{', '.join(map(_canonical, value))}]"
    if is_dataclass(value) and not isinstance(value, type):
        parts = [
            f"{f.name}={_canonical(getattr(value, f.name))}" for f in fields(value) if f.compare
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    text = _repr(value)
    return type(value).__qualname__ if " at 0x" in text else text


def _repr(value: object) -> str:
    """`repr`, or the type alone where that fails: an integer of 5,000 digits, a deep nest."""
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__qualname__}, whose repr() raises {type(error).__name__}>"


def digest(sample: Sample) -> str:
    """Hash of all fields of a sample, with the keys of its images."""
    return hashlib.sha256(canonical(sample).encode("utf-8", "surrogatepass")).hexdigest()


def reading(parser: Parser, gold: str) -> list[str]:
    """The value that a parser reads of a gold, and how it shows that."""
    value = parser.gold(gold).value
    return [canonical(value), str(parser.show(value))]


def difference(one: Sample, two: Sample) -> str:
    """The first field in which two samples differ, with both values, or ""."""
    for f in fields(one):
        mine, other = (canonical(getattr(sample, f.name)) for sample in (one, two))
        if mine != other:
            return f"{f.name} is {shown(mine)} and then {shown(other)}"
    return ""


def shown(text: object, most: int = 160) -> str:
    """A value on one line, for messages; the middle of a long one is left out."""
    line = text if isinstance(text, str) and text.isprintable() else _repr(text)
    if len(line) <= most:
        return line
    half = most // 2
    return f"{line[:half]} ... {line[-half:]} ({len(line)} characters)"
