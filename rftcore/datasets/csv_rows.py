"""Rows of a CSV file: every cell is text, and an empty cell is absent.

Nothing is guessed: "007" stays text, NA is a text, and a file in another encoding, or with
another delimiter, is an error that names the setting.
"""

import codecs
import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from rftcore.datasets.export import stat_of
from rftcore.datasets.streams import LONGEST, unreadable
from rftcore.errors import DataError
from rftcore.jsontext import BOM

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHERS = "\t;|,"
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that were not decoded


@dataclass(frozen=True)
class CsvSource:
    """A CSV file. The header is row 1, as in a spreadsheet; blank rows are skipped."""

    path: Path
    delimiter: str = ""
    encoding: str = ""
    embedded: bool = False
    absolute: bool = False

    def __post_init__(self) -> None:
        if len(self.delimiter) > 1:
            raise DataError(
                f"delimiter={self.delimiter!r}: use one character, such as ';'", origin=self.name
            )

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    @property
    def folder(self) -> Path:
        """The file's folder."""
        return self.path.parent

    def key(self) -> list[object]:
        """The file and how it is read."""
        return ["csv", *stat_of(self.path), self.delimiter, self.encoding]

    def columns(self) -> list[str]:
        """The names in the header."""
        return [name for name in self._names(next(self._records(), (1, []))[1]) if name]

    def total(self) -> int:
        """Not known: a file of text is read at once."""
        return 0

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        """Every row after the header; nothing after one whose quotes are broken."""
        records = self._records()
        _, header = next(records, (1, []))
        names = self._names(header)
        for number, cells in records:
            if isinstance(cells, str):
                yield number, cells
            elif cells:
                yield number, self._row(names, cells)

    def _row(self, names: list[str], cells: list[str]) -> Mapping[str, Any] | str:
        extra = cells[len(names) :]
        if len(cells) < len(names) or any(extra):
            return (
                f"{len(cells)} cells, but the header has {len(names)}: put cells that contain "
                f"{self._delimiter!r}, quotes or line breaks in double quotes"
            )
        row = dict(zip(names, cells, strict=False))
        unnamed = row.pop("", "")
        if unnamed.strip() and names[0]:
            return f"the cell {unnamed!r:.40} is in a column without a name: name it in the header"
        return {name: _cell(name, cell) for name, cell in row.items() if cell.strip()}

    def _names(self, header: list[str] | str) -> list[str]:
        if isinstance(header, str):
            raise DataError(header, origin=f"{self.path} row 1")
        names = [name.strip() for name in header]
        while names and not names[-1]:
            names.pop()
        if not names:
            raise DataError(f"{self.path} has no header: name the columns in its first row")
        if len(names) == 1 and (other := next((c for c in _OTHERS if c in names[0]), "")):
            raise DataError(
                f"the header is one column, {names[0]!r:.60}: its delimiter seems to be {other!r}; "
                f"--set 'dataset.delimiter={json.dumps(other)}'",
                origin=str(self.path),
            )
        twice = next((name for name in names if name and names.count(name) > 1), "")
        if twice:
            raise DataError(f"two columns are named {twice!r}: rename one", origin=str(self.path))
        return names

    @property
    def _delimiter(self) -> str:
        return self.delimiter or ("\t" if self.path.suffix.lower() == ".tsv" else ",")

    def _records(self) -> Iterator[tuple[int, list[str] | str]]:
        """The number and the cells of each record, or the reason why the rest cannot be read."""
        number = 0
        before = csv.field_size_limit(LONGEST)
        try:
            with self.path.open(encoding=self._encoding(), newline="") as file:
                lines = chain([file.readline().lstrip(BOM)], file)
                reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
                for number in count(1):
                    yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, f"not CSV: {error}; the rest was not read. Is a quote missing?"
        except UnicodeError as error:
            hint = "--set dataset.encoding=cp1252 reads a file of Windows in western Europe"
            raise DataError(
                f"not {self._encoding()} ({getattr(error, 'reason', error)}): "
                f"save the file as UTF-8, or name its encoding: {hint}",
                origin=f"{self.path}{self._undecoded()}",
            ) from error
        except LookupError as error:
            raise DataError(f"encoding: {error}; use utf-8", origin=self.name) from error
        except OSError as error:
            raise unreadable(self.path, error) from error
        finally:
            csv.field_size_limit(before)

    def _undecoded(self) -> str:
        """The first row with bytes that the encoding lacks, as " row N"; "" if none is found."""
        encoding = self._encoding()
        try:
            with self.path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
                reader = csv.reader(file, delimiter=self._delimiter)
                rows = (n for n, cells in enumerate(reader, 1) if _ESCAPED.search("".join(cells)))
                return next((f" row {number}" for number in rows), "")
        except (csv.Error, UnicodeError):  # encodings of several bytes cannot be escaped
            return ""

    def _encoding(self) -> str:
        """The encoding that is set, that of a byte-order mark, or UTF-8."""
        with self.path.open("rb") as file:
            head = file.read(3)
        marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")
        return marked or self.encoding or "utf-8"


def _cell(name: str, cell: str) -> Any:
    """The text of a cell; a list of paths in the column `images`."""
    if name == "images" and cell.lstrip().startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell
