"""Rows of a table, written once to the cache folder as JSON lines with their images as files.

So a table is read like any file of rows: a row by its byte offset, an image when a batch needs
it. An image's file is named by the hash of its bytes, which makes it its own key.
"""

import fcntl
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rftcore.cache import cache_folder, keeping
from rftcore.datasets.files import Row, RowFile
from rftcore.datasets.image_paths import is_outside
from rftcore.datasets.rows.faults import Fault
from rftcore.datasets.rows.fields import DIALOGUE, FILE, alias
from rftcore.datasets.streams import Raw, special, unreadable
from rftcore.errors import DataError, closest
from rftcore.progress import Bar

VERSION = 1  # of what is written: another one exports again
ROWS, IMAGES = "rows.jsonl", "images"
_FAULT = "\0fault"  # the key of a row that could not be read; no column has such a name
_TYPES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "webp", b"BM": "bmp"}
_TYPES |= {b"II*\0": "tif", b"MM\0*": "tif"}


class Source(Protocol):
    """A table: its rows by number, and what its content depends on."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    @property
    def folder(self) -> Path:
        """Where the paths of its images start."""

    @property
    def embedded(self) -> bool:
        """Whether it contains the bytes of images."""

    @property
    def absolute(self) -> bool:
        """Whether `path` of an image is a place on this machine."""

    def total(self) -> int:
        """The number of its rows, 0 if that takes long to find out."""

    def key(self) -> list[object]:
        """What determines its rows, as JSON: paths, sizes, times of change, options."""

    def columns(self) -> list[str]:
        """The names of its columns."""

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        """The number of each row, and its cells or the reason why it cannot be read."""


@dataclass(frozen=True)
class ExportedFile(RowFile):
    """The rows of a table in the cache folder; messages name the table."""

    source: str = ""
    parts: tuple[tuple[str, int], ...] = ()  # the splits of the source, and where each starts

    @property
    def name(self) -> str:
        """The table."""
        return self.source

    def origin(self, number: int) -> str:
        """The name of a row in messages."""
        part = max((p for p in self.parts if p[1] < number), key=lambda p: p[1], default=None)
        within = f" ({part[0]} row {number - part[1]})" if part else ""
        return f"{self.source} row {number}{within}"

    def _row(self, raw: Raw) -> Row:
        if isinstance(raw.value, dict) and (fault := raw.value.get(_FAULT)):
            return Row(raw.number, raw.start, raw.end, None, (Fault("wrong field", fault),))
        return super()._row(raw)


def exported(source: Source, columns: Mapping[str, str]) -> Path:
    """The folder with the rows of a table, written now unless it exists.

    `columns` names the column of a field, such as {"answer": "label"}; `answers.0` is the first
    item of a list, `objects.bbox` a field of an object. Processes that start together export once.

    Raises: DataError if a column does not exist, CacheError if the folder cannot be written.
    """
    text = json.dumps([VERSION, source.key(), sorted(columns.items())])
    _check_columns(source, columns)
    folder = cache_folder("tables") / hashlib.sha256(text.encode()).hexdigest()[:32]
    with keeping(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")):
            if not (folder / ROWS).exists():
                part = folder.with_suffix(".part")
                shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
                part.mkdir()
                _Writer(source, columns, part).write()
                part.rename(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _check_columns(source: Source, columns: Mapping[str, str]) -> None:
    there = source.columns()
    for name, column in columns.items():
        if column not in there and column.partition(".")[0] not in there:
            raise DataError(
                f"dataset.columns.{name} = {column!r}: there is no such column."
                f"{closest(column, there)} Columns: {', '.join(there)}",
                origin=source.name,
            )
    fields = {*columns, *there}
    if fields & {*DIALOGUE}:
        return
    for name, names in (("question", FILE.question), ("answer", FILE.answer)):
        if there and not fields & {*names}:
            like = alias(there, name)
            if like and name == "question":  # a text or a dialogue: its rows decide
                return
            near = next((text for each in names if (text := closest(each, there))), "")
            raise DataError(
                f"no column is named {name} ({', '.join(names)}).{near} --set "
                f"dataset.columns.{name}={like or 'COLUMN'} names another. Columns: "
                f"{', '.join(there)}",
                origin=source.name,
            )


@dataclass(frozen=True)
class _Writer:
    source: Source
    columns: Mapping[str, str]
    folder: Path
    known: set[str] = field(default_factory=set)

    def write(self) -> None:
        """Write all rows; line N is row N, and rows that are not there are empty lines."""
        line, total = 1, self.source.total()
        bar = Bar(total, f"reading {self.source.name}", "row", show=total > 0)
        with (self.folder / ROWS).open("w", encoding="utf-8") as file, bar:
            for number, cells in self.source.rows():
                fields = {_FAULT: cells} if isinstance(cells, str) else self._fields(cells)
                file.write("\n" * (number - line) + json.dumps(fields) + "\n")
                line = number + 1
                bar.update()

    def _fields(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a row: renamed columns, then all others; a null is absent."""
        fields = {name: _at(cells, column) for name, column in self.columns.items()}
        moved = {column for name, column in self.columns.items() if column in cells}
        fields |= {n: cell for n, cell in cells.items() if n not in fields and n not in moved}
        if self.source.embedded:
            for name in ("image", "images"):
                fields[name] = self._copied(fields.get(name))
        plain = {name: self._plain(cell) for name, cell in fields.items()}
        return {name: value for name, value in plain.items() if value is not None}

    def _copied(self, value: Any) -> Any:
        """The image files of paths beside embedded images: all are in one folder then."""
        if isinstance(value, list):
            return [self._copied(one) for one in value]
        path = value.get("path") if isinstance(value, dict) and not value.get("bytes") else value
        if not isinstance(path, str):
            return value
        if is_outside(path) and not (self.source.absolute and isinstance(value, dict)):
            return value
        file = self.source.folder / path
        return file.read_bytes() if file.is_file() else value

    def _plain(self, value: Any) -> Any:
        """A cell as JSON; images become paths, NaN becomes null."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return None if math.isnan(value) else value
        if isinstance(value, bytes):
            return self._stored(value)
        if isinstance(value, Mapping):
            if "bytes" in value and {*value} <= {"bytes", "path"} and value["bytes"] is not None:
                return self._stored(value["bytes"])
            return {str(key): self._plain(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(one) for one in value]
        return str(value)  # a date, a time, a decimal

    def _stored(self, data: bytes) -> str:
        """The path of an image's file, by the hash of its bytes."""
        kind = next((kind for head, kind in _TYPES.items() if data.startswith(head)), "bin")
        digest = hashlib.sha256(data).hexdigest()
        name = f"{IMAGES}/{digest[:2]}/{digest}.{kind}"
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return name


def _at(cells: Mapping[str, Any], column: str) -> Any:
    """A cell, or a part of one: "answers.0", "objects.bbox"; None if it is not there."""
    if column in cells:
        return cells[column]
    value: Any = cells
    for step in column.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def stat_of(path: Path) -> list[object]:
    """What changes if a file does: its place, size and time of change.

    Raises: DataError if there is no such file.
    """
    try:
        if kind := special(path):
            raise DataError(f"cannot read {path}: it is {kind}, not a file")
        found = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return [os.fspath(path.resolve()), found.st_size, found.st_mtime_ns]
