"""A fault of a row, and the short forms of values and names that its text shows."""

import reprlib
from collections.abc import Iterable
from typing import NamedTuple


class Fault(NamedTuple):
    """What is wrong with a row: its kind, a text, and the path of an image outside the folder."""

    kind: str
    text: str
    outside: str = ""


class FaultFound(Exception):  # noqa: N818 - `record` catches it
    """A part of a row has a fault; the others are read on."""

    def __init__(self, kind: str, text: str, outside: str = "") -> None:
        self.fault = Fault(kind, text, outside)


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60
_repr.maxlevel, _repr.maxdict, _repr.maxlist = 2, 3, 3


def short(value: object) -> str:
    """A value as Python writes it, of at most 90 characters."""
    text = _repr.repr(value)
    return text if len(text) <= 90 else f"{text[:87]}..."


def names_of(keys: Iterable[str], most: int | None = 8) -> str:
    """The first names of fields; long ones in short."""
    return ", ".join(_plain(key) for key in [*keys][:most])


def _plain(key: str) -> str:
    return key if key.isprintable() and len(key) <= 60 else short(key)
