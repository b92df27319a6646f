"""Rows of a JSON file one at a time, each with its byte offsets.

A file contains one array, or one value per line (JSON lines); its first character decides.
Only a window of the file is in memory, and a row can be read again by its offsets.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rftcore.errors import DataError
from rftcore.regular_files import opened

CHUNK = 1 << 20  # bytes read at once
LONGEST = 1 << 24  # bytes of a row: more means an unclosed quote or bracket
_SPACE = re.compile(r"[ \t\r\n]*+")
_ENDED = re.compile(r"[ \t\r\n,\]]")  # what may follow a number


class DuplicateKey(dict[str, Any]):
    """An object with a duplicate key, whose value is ambiguous; `name` is the key."""

    def __init__(self, value: dict[str, Any], name: str) -> None:
        super().__init__(value)
        self.name = name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    names = [name for name, _ in pairs]
    return DuplicateKey(value, next(name for name in names if names.count(name) > 1))


_decoder = json.JSONDecoder(object_pairs_hook=_object)


@dataclass(frozen=True, slots=True)
class Raw:
    """One row: its value, or a fault in place of it.

    `number` counts from 1: the index in an array, or the line of the file.
    The row is `end - start` bytes long and starts at byte `start`.
    """

    number: int
    start: int
    end: int
    value: object = None
    fault: str = ""


def rows(path: Path, chunk: int = CHUNK) -> Iterator[Raw]:
    """Every row of a file, in order; in an array, nothing after the first broken row.

    Raises: DataError if the file cannot be opened or read.
    """
    try:
        with opened(path) as stream:
            yield from read(stream, chunk)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that cannot be read; a relative path names the working folder."""
    here = "" if path.is_absolute() else f" (from the working folder {Path.cwd()})"
    return DataError(f"cannot read {path}: {error.strerror or error}{here}")


def read(stream: BinaryIO, chunk: int = CHUNK) -> Iterator[Raw]:
    """`rows` of an open, seekable binary stream."""
    opening = stream.read(len(codecs.BOM_UTF8))
    if opening.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield Raw(1, 0, 0, fault="not UTF-8 (but UTF-16): save the file as UTF-8")
        return
    start = 0
    while opening == codecs.BOM_UTF8:
        start += len(opening)
        opening = stream.read(len(opening))
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


def row_at(path: Path, start: int, end: int) -> object:
    """The value that `rows` found at these bytes. Raises: DataError if it is not there anymore."""
    try:
        with opened(path) as stream:
            stream.seek(start)
            return _decoder.decode(stream.read(end - start).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} changed while it was being read: {error}") from error


def _first(stream: BinaryIO) -> bytes:
    """The first byte that is not white space."""
    while (byte := stream.read(1)) and byte.isspace():
        pass
    return byte


def _spread(stream: BinaryIO, start: int, chunk: int) -> str:
    """The fault of a file that begins with an object on several lines; "" for any other."""
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
    items = value.items() if isinstance(value, dict) else ()
    rows = [key for key, of in items if isinstance(of, list) and of]
    hold = f" whose keys {', '.join(rows[:5])} contain lists" if rows else ""
    return (
        f"not JSON lines: an object on several lines{hold}. {_LINES}; "
        'give each row its split as "split": "test", or write one file per split'
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
    """A piece of a UTF-8 stream as text; `byte` is the offset of its next character."""

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
        """Skip the character that `peek` returned."""
        self._pass(self._at + 1)

    def value(self) -> object:
        """The JSON value that starts here. Raises: ValueError, RecursionError."""
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
            except ValueError:  # cut off or broken: read more to find out
                if len(self._text) - self._at > LONGEST:
                    raise ValueError(_too_long()) from None
                if not self._more():
                    raise
                continue
            # the rest of a number may follow the window: of 1 .5, 1. 5, 1e 5, 1e+ 5
            if isinstance(value, int | float) and len(self._text) - end <= 2 and self._more():
                continue
            if isinstance(value, int | float) and not _ENDED.match(self._text, end):
                raise ValueError("a value is broken, or cut off at the end of the file")
            if end - self._at > LONGEST:
                raise ValueError(_too_long())
            self._pass(end)
            return value

    def _pass(self, to: int) -> None:
        self.byte += _size(self._text[self._at : to])
        self._at = to

    def _more(self) -> bool:
        """Read more; twice as much each time, so that a long row is not parsed too often."""
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
                closed = _closes(window)
                number += 1
        if window.peek():
            raise ValueError("there is more after the closing bracket")
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        if isinstance(error, UnicodeDecodeError):
            reason = _not_utf8(error)
        fault = f"not JSON from byte {window.byte} on: {reason}; the rest was not read"
        yield Raw(number, window.byte, window.byte, fault=fault)


def _closes(window: _Window) -> bool:
    """Skip the comma or bracket after an element. Returns whether it was the bracket."""
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
