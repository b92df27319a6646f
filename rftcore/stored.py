"""Completions that somebody has kept, one JSON object a line, ready to be scored.

A row has a `completion`, and either the `gold` answer as text (with a `question`, if a
reward wants it) or a `split` with the `index` or `id` of the task's own sample, whose
pictures and facts a reward may need. It may have `tokens`, the completion's length, and
`group`: rows of one group are one another's siblings. Other keys mean nothing here, so
the answers that an evaluation writes are rows as they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rftcore import jsontext
from rftcore.data import dataset_of, take
from rftcore.errors import DataError
from rftcore.types import Sample, Task

TEXTS = ("completion", "gold", "question", "split")


@dataclass(frozen=True)
class Stored:
    """One row; `number` counts lines from 1."""

    number: int
    completion: str
    sample: Sample
    tokens: int | None = None
    group: Any = None


def write_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of a file with these rows, one a line."""
    return "".join(map(jsontext.line, rows))


def read_rows(lines: Iterable[str], name: str, task: Task) -> list[Stored]:
    """Read what a file called `name` holds. Raises `DataError` that names the row at fault."""
    reader = _Reader(task)
    rows = [
        _row(line, number, f"{name} row {number}", reader)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not rows:
        raise DataError(f"{name} has no rows: write one JSON object a line, with a completion each")
    return rows


def lengths(rows: Sequence[Stored], name: str) -> list[int] | None:
    """The tokens of every row, or None if no row tells. Raises `DataError` if only some do."""
    known = [row.tokens for row in rows if row.tokens is not None]
    if known and len(known) < len(rows):
        silent = next(row.number for row in rows if row.tokens is None)
        raise DataError(
            f"{name} row {silent} has no `tokens`, but others have: say it of all or of none"
        )
    return known or None


def groups(rows: Sequence[Stored]) -> list[int] | None:
    """A number per row, equal within a group, or None if no row tells; one without is alone."""
    if all(row.group is None for row in rows):
        return None
    names = [("group", str(row.group)) if row.group is not None else row.number for row in rows]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _row(line: str, number: int, place: str, reader: _Reader) -> Stored:
    try:
        row = jsontext.loads(line)
    except ValueError as error:
        raise DataError(f"{place} is not JSON: {error}") from error
    _check(row, place)
    sample = reader.sample(row, place)
    return Stored(number, row["completion"], sample, row.get("tokens"), row.get("group"))


def _check(row: Any, place: str) -> None:
    """Raise `DataError` unless a row has what it needs, as text and whole numbers."""
    if not isinstance(row, dict):
        raise DataError(f"{place} is {type(row).__name__}: write a JSON object")
    if "completion" not in row or not ("gold" in row or "split" in row):
        missing = "completion" if "completion" not in row else "gold"
        other = " or `split` with `index` or `id`" if missing == "gold" else ""
        raise DataError(f"{place} has no `{missing}`{other}. It has {', '.join(row) or 'nothing'}")
    for key in TEXTS:
        if not isinstance(row.get(key, ""), str):
            raise DataError(f"{place}: `{key}` is {row[key]!r}, but it must be text")
    for key in ("index", "tokens"):
        value = row.get(key)
        if value is not None and (type(value) is not int or value < 0):
            raise DataError(f"{place}: `{key}` is {value!r}, but it must be a whole number, from 0")


class _Reader:
    """Finds the samples that rows speak of."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._ids: dict[str, dict[str, int]] = {}

    def sample(self, row: Mapping[str, Any], place: str) -> Sample:
        if "gold" in row:
            name = str(row.get("id", place))
            return Sample(name, row.get("question", ""), row["gold"], origin=place)
        return replace(self._own(row, place), origin=place)

    def _own(self, row: Mapping[str, Any], place: str) -> Sample:
        try:
            part = take(self._task, row["split"])
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        index = row.get("index")
        if index is None:
            index = self._index(row, place)
        if index >= len(part):
            raise DataError(
                f"{place}: split {row['split']!r} has {len(part)} samples, from 0, none {index}"
            )
        return part[index]

    def _index(self, row: Mapping[str, Any], place: str) -> int:
        split = row["split"]
        if "id" not in row:
            raise DataError(f"{place} names a split but no sample: give its `index` or its `id`")
        if split not in self._ids:
            dataset = dataset_of(self._task)
            found = (dataset.sample(split, at).id for at in range(dataset.size(split)))
            self._ids[split] = {name: at for at, name in enumerate(found)}
        try:
            return self._ids[split][str(row["id"])]
        except KeyError:
            raise DataError(f"{place}: split {split!r} has no sample {row['id']!r}") from None
