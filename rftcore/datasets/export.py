"""Rows of a table, written once to the cache folder as JSON lines with their images as files.

So a table is read like any file of rows: a row by its byte offset, an image when a batch needs
it. An image's file is named by the hash of its bytes, which makes it its own key. Images beside a
table that also has images within are copied; if one of these files changes, the table is written
again.
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
from rftcore.datasets.image_paths import is_outside, misplaced
from rftcore.datasets.rows.faults import Fault, FaultFound, names_of
from rftcore.datasets.rows.fields import DIALOGUE, FILE, alias
from rftcore.datasets.streams import Raw, unreadable
from rftcore.errors import DataError, closest
from rftcore.progress import Bar
from rftcore.regular_files import content, special

VERSION = 2  # of what is written: another one exports again
ROWS, IMAGES = "rows.jsonl", "images"
BESIDE = ".beside"  # the end of a file that lists the images beside a table
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
            return Row(raw.number, raw.start, raw.end, None, (Fault(*fault),))
        return super()._row(raw)


def exported(source: Source, columns: Mapping[str, str]) -> Path:
    """The folder with the rows of a table, written now unless it exists.

    `columns` names the column of a field, such as {"answer": "label"}; `answers.0` is the first
    item of a list, `objects.bbox` a field of an object. Processes that start together export once.

    Raises: DataError if a column does not exist, CacheError if the folder cannot be written.
    """
    beside = os.path.realpath(source.folder) if source.embedded else ""
    key = [VERSION, source.key(), beside, sorted(columns.items())]
    _check_columns(source, columns)
    place = cache_folder("tables") / _hash(key)
    with keeping(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(place.with_suffix(".lock")):
            return _existing(place) or _written(place, source, columns)


def _existing(place: Path) -> Path | None:
    """The folder with the rows of a table, unless a file beside the table has changed."""
    try:
        files = json.loads(place.with_suffix(BESIDE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    folder = _folder(place, {file: _state(Path(file)) for file in files})
    return folder if (folder / ROWS).exists() else None


def _written(place: Path, source: Source, columns: Mapping[str, str]) -> Path:
    part, files = place.with_suffix(".part"), place.with_suffix(f"{BESIDE}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir()
    states = _Writer(source, columns, part).write()
    folder = _folder(place, states)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    files.write_text(json.dumps(list(states)), encoding="utf-8")
    files.replace(place.with_suffix(BESIDE))
    return folder


def _folder(place: Path, beside: Mapping[str, object]) -> Path:
    """Where the rows of a table are, by the states of the files beside it."""
    return place.with_name(f"{place.name}-{_hash(list(beside.items()))}") if beside else place


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]


def _state(file: Path) -> object:
    """What changes if a file does, or what its name leads to; None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return [os.path.realpath(file), found.st_mode, found.st_size, found.st_mtime_ns]


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
                f"{closest(column, there)} Columns: {names_of(there, most=None)}",
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
                f"{names_of(there, most=None)}",
                origin=source.name,
            )


@dataclass(frozen=True)
class _Writer:
    source: Source
    columns: Mapping[str, str]
    folder: Path
    beside: dict[str, object] = field(default_factory=dict)

    def write(self) -> Mapping[str, object]:
        """Write all rows; line N is row N, and rows that are not there are empty lines.

        Returns: the files beside the table that its rows name, and their states.
        """
        line, total = 1, self.source.total()
        bar = Bar(total, f"reading {self.source.name}", "row", show=total > 0)
        with (self.folder / ROWS).open("w", encoding="utf-8") as file, bar:
            for number, cells in self.source.rows():
                fields = self._row(cells)
                file.write("\n" * (number - line) + json.dumps(fields) + "\n")
                line = number + 1
                bar.update()
        return self.beside

    def _row(self, cells: Mapping[str, Any] | str) -> dict[str, Any]:
        """The fields of a row, or its fault."""
        if isinstance(cells, str):
            return {_FAULT: Fault("wrong field", cells)}
        try:
            return self._fields(cells)
        except FaultFound as found:
            return {_FAULT: found.fault}

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
        placed = self.source.absolute and isinstance(value, dict) and Path(path).is_absolute()
        if is_outside(path) and not placed:
            return value
        file = self.source.folder / path
        within = None if placed else self.source.folder
        try:
            self.beside[str(file.absolute())] = _state(file)
            if fault := misplaced(file, within):
                raise FaultFound("path", f"image {path!r} is {fault}")
            return content(file, within)
        except (OSError, ValueError):  # no path: the reader of the row reports what it is
            return value

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
