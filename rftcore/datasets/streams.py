"""Rows of a JSON file one at a time, each with the bytes it stands in.

A file holds one array, or one value a line (JSON lines); its first character
says which. A file of 200 MB is never held whole: a window of it is, and the
bytes of a row are enough to read that row again.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rftcore.errors import DataError

CHUNK = 1 << 20  # bytes read at once
LONGEST = 1 << 24  # bytes of a row: more is a quote or bracket that nobody closed
_SPACE = re.compile(r"[ \t\r\n]*+")
_ENDED = re.compile(r"[ \t\r\n,\]]")  # what may stand behind a whole number
BOM = "\ufeff".encode()


class Twice(dict[str, Any]):
    """An object in which a name is twice, so that its value is anyone's guess."""

    def __init__(self, value: dict[str, Any], name: str) -> None:
        super().__init__(value)
        self.name = name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    names = [name for name, _ in pairs]
    return Twice(value, next(name for name in names if names.count(name) > 1))


_decoder = json.JSONDecoder(object_pairs_hook=_object)


@dataclass(frozen=True, slots=True)
class Raw:
    """One row: its value, or the fault that stands in its place.

    `number` counts from 1: the place in an array, or the line of the file.
    The row is `end - start` bytes long and starts at byte `start`.
    """

    number: int
    start: int
    end: int
    value: Any = None
    fault: str = ""


def rows(path: Path, chunk: int = CHUNK) -> Iterator[Raw]:
    """Every row of a file, in order; in an array the first broken row is the last.

    Raises: DataError if the file cannot be opened or read.
    """
    try:
        with path.open("rb") as stream:
            yield from read(stream, chunk)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def read(stream: BinaryIO, chunk: int = CHUNK) -> Iterator[Raw]:
    """`rows` of an open binary stream that can seek."""
    start = len(BOM) if stream.read(len(BOM)) == BOM else 0
    stream.seek(start)
    opening = _first(stream)
    stream.seek(start)
    if opening == b"[":
        yield from _elements(_Window(stream, start, chunk))
    elif opening == b"{" and (fault := _spread(stream, start, chunk)):
        yield Raw(1, start, start, fault=fault)
    else:
        stream.seek(start)
        yield from _lines(stream, start)


def row_at(path: Path, start: int, end: int) -> Any:
    """The value that `rows` found at these bytes. Raises: DataError if it is gone."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return _decoder.decode(stream.read(end - start).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} changed while it was in use: {error}") from error


def _first(stream: BinaryIO) -> bytes:
    """The first byte that is not white space."""
    while (byte := stream.read(1)) and byte.isspace():
        pass
    return byte


def _spread(stream: BinaryIO, start: int, chunk: int) -> str:
    """The fault of a file that begins with an object over several lines; "" for any other."""
    while (line := stream.readline(LONGEST)) and not line.strip():
        pass
    try:
        json.loads(line)
        return ""
    except (ValueError, RecursionError):
        stream.seek(start)
    window = _Window(stream, start, chunk)
    try:
        window.peek()
        begin, value = window.byte, window.value()
        end, after = window.byte, window.peek()
    except (ValueError, RecursionError):
        return ""
    stream.seek(begin)
    if b"\n" not in stream.read(end - begin):
        between = stream.read(window.byte - end)
        more = {"{": "another object", ",": "a comma"}.get(after, repr(after))
        what = "lines end in CR alone" if b"\r" in between else f"{more} after the first object"
        return f"not JSON lines: {what}. {_LINES}"
    rows = [key for key, of in value.items() if isinstance(of, list) and of]
    hold = f" whose keys {', '.join(rows[:5])} hold lists" if rows else ""
    return (
        f"not JSON lines: an object over several lines{hold}. {_LINES}; "
        'a row names its split as "split": "test", or each split has a file of its own'
    )


_LINES = "Write one array, or one object per line"


# --- JSON lines ---------------------------------------------------------------


def _lines(stream: BinaryIO, start: int) -> Iterator[Raw]:
    number = 0
    while line := stream.readline(LONGEST + 1):
        number += 1
        end = start + len(line)
        if len(line) > LONGEST:
            yield Raw(number, start, end, fault=_too_long())
            return
        if line.strip():
            yield _line(number, start, line)
        start = end


def _line(number: int, start: int, line: bytes) -> Raw:
    end = start + len(line)
    try:
        return Raw(number, start, end, _decoder.decode(line.decode()))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeDecodeError):
            return Raw(number, start, end, fault=f"not JSON: {_not_utf8(error)}")
        hint = " (a file is one JSON array, or one object per line)" if number == 1 else ""
        return Raw(number, start, end, fault=f"not JSON: {error}{hint}")


# --- an array -----------------------------------------------------------------


class _Window:
    """A piece of a UTF-8 stream as text, which knows the byte that it stands at."""

    def __init__(self, stream: BinaryIO, byte: int, chunk: int) -> None:
        self.byte = byte
        self._stream, self._chunk = stream, chunk
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._done = "", 0, False

    def peek(self) -> str:
        """The next character that is not white space, "" at the end of the stream."""
        while True:
            self._pass(_SPACE.match(self._text, self._at).end())  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        """Pass the character that `peek` gave."""
        self._pass(self._at + 1)

    def value(self) -> Any:
        """The JSON value that starts here. Raises: ValueError, RecursionError."""
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
            except ValueError:  # cut off, or broken: more text will tell
                if len(self._text) - self._at > LONGEST:
                    raise ValueError(_too_long()) from None
                if not self._more():
                    raise
                continue
            # behind the window may be the rest of a number: of 1 .5, 1. 5, 1e 5, 1e+ 5
            if isinstance(value, int | float) and len(self._text) - end <= 2 and self._more():
                continue
            if isinstance(value, int | float) and not _ENDED.match(self._text, end):
                raise ValueError("a value that is broken, or cut off at the end of the file")
            self._pass(end)
            return value

    def _pass(self, to: int) -> None:
        self.byte += _size(self._text[self._at : to])
        self._at = to

    def _more(self) -> bool:
        """Read on; twice as much each time, so that a long row is not tried too often."""
        if self._done:
            return False
        kept = self._text[self._at :]
        data = self._stream.read(max(self._chunk, len(kept)))
        self._done = not data
        self._text, self._at = kept + self._decoder.decode(data, final=self._done), 0
        return True


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _elements(window: _Window) -> Iterator[Raw]:
    number = 1
    try:
        window.peek()
        window.skip()  # the opening bracket
        if window.peek() == "]":
            window.skip()
        else:
            closed = False
            while not closed:
                window.peek()
                start, value = window.byte, window.value()
                yield Raw(number, start, window.byte, value)
                number += 1
                closed = _closes(window)
        if window.peek():
            raise ValueError("there is more after the closing bracket")
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        if isinstance(error, UnicodeDecodeError):
            reason = _not_utf8(error)
        fault = f"not JSON from byte {window.byte} on: {reason}; what follows was not read"
        yield Raw(number, window.byte, window.byte, fault=fault)


def _closes(window: _Window) -> bool:
    """Pass the comma or the bracket after an element; whether it was the bracket."""
    mark = window.peek()
    if mark not in (",", "]"):
        found = repr(mark) if mark else "the end of the file: it was cut off"
        raise ValueError(f"expected ',' or ']' but found {found}")
    window.skip()
    return mark == "]"


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"not UTF-8 ({error.reason}): save the file as UTF-8"


def _too_long() -> str:
    return f"longer than {LONGEST >> 20} MB: is a quote or a bracket missing?"
