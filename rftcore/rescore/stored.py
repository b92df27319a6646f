"""Read stored completions, one JSON object per line or an array of them, for scoring.

A row has a `completion` and one of two references to its sample: the `gold` answer, text or a
number (with a `question` if a reward needs it), or a `split` with the `index` or `id` of the
task's own sample, which also has images and `meta`. `tokens`, the length of the completion, and
`group`, equal for siblings, are optional. Other keys are ignored. As in the readers of datasets,
null counts as absent and a byte order mark is skipped.

A row with a `schema` was written by rft (`rftcore.completions`): by an evaluation, GRPO or
`rft score --json`. It is scored against its own gold, with the images of the task's sample if
that sample has not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from rftcore import jsontext, meta
from rftcore.completions import ScoredCompletion
from rftcore.datasets.slices import Slice, take
from rftcore.errors import DataError
from rftcore.prompts import made
from rftcore.scoring import Score
from rftcore.types import Sample, Task

TEXTS = ("completion", "question", "split")


@dataclass(frozen=True)
class Stored:
    """One row; `number` counts from 1. Rows of equal `group` are siblings."""

    number: int
    completion: str
    sample: Sample
    tokens: int | None = None
    group: Any = None
    split: str | None = None
    index: int | None = None

    def record(self, score: Score, step: int | None) -> ScoredCompletion:
        """The row with its score. step: the step that was passed to the rewards."""
        return score.record(
            self.sample,
            self.completion,
            split=self.split,
            index=self.index,
            step=step,
            tokens=self.tokens,
        )


def read_rows(lines: Iterable[str], name: str, task: Task) -> list[Stored]:
    """The rows of the file `name`. Raises: `DataError` that names the faulty row."""
    reader = _Reader(task)
    rows = [
        _row(value, number, f"{name} row {number}", reader)
        for number, value in _values("".join(lines).lstrip(jsontext.BOM), name)
    ]
    if not rows:
        raise DataError(
            f"{name} has no rows: write one JSON object per line, with a completion each"
        )
    return rows


def _values(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """Each row's number, from 1, and value: an element of an array, or a line."""
    if text.lstrip().startswith("["):
        with suppress(ValueError):  # not one array: read it by line, to name the faulty one
            yield from enumerate(jsontext.loads(text), 1)
            return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                value = jsontext.loads(line)
            except ValueError as error:
                raise DataError(f"{name} row {number} is not JSON: {error}") from error
            yield number, value


def lengths(rows: Sequence[Stored], name: str) -> list[int] | None:
    """The tokens of every row, or None if no row has them. Raises `DataError` if only some do."""
    known = [row.tokens for row in rows if row.tokens is not None]
    if known and len(known) < len(rows):
        missing = next(row.number for row in rows if row.tokens is None)
        raise DataError(
            f"{name} row {missing} has no `tokens`, others have: give it in every row or in none"
        )
    return known or None


def groups(rows: Sequence[Stored]) -> list[int] | None:
    """A number per row, equal within a group; None if no row has a group."""
    if all(row.group is None for row in rows):
        return None
    names = [("group", str(row.group)) if row.group is not None else row.number for row in rows]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _row(value: Any, number: int, place: str, reader: _Reader) -> Stored:
    if not isinstance(value, dict):
        raise DataError(f"{place} is {type(value).__name__}: write a JSON object")
    if "schema" in value:
        return _written(value, number, place, reader)
    row = {key: each for key, each in value.items() if each is not None}
    _check(row, place)
    sample = reader.sample(row, place)
    return Stored(
        number,
        row["completion"],
        sample,
        tokens=row.get("tokens"),
        group=row.get("group"),
        split=row.get("split"),
        index=row.get("index"),
    )


def _written(value: Mapping[str, Any], number: int, place: str, reader: _Reader) -> Stored:
    """A row that rft wrote: an answer of an evaluation, a rollout, or a row of `rft score`."""
    try:
        row = ScoredCompletion.from_json(value)
    except ValueError as fault:
        raise DataError(f"{place} {fault}") from None
    group = value.get("group") if row.step is None else (row.step, row.index)
    return Stored(
        number,
        row.completion,
        reader.written(row, place),
        tokens=row.tokens,
        group=group,
        split=row.split,
        index=row.index,
    )


def _check(row: Mapping[str, Any], place: str) -> None:
    """Raise `DataError` unless a row has what it needs, as text and whole numbers."""
    if "completion" not in row or not ("gold" in row or "split" in row):
        missing = "completion" if "completion" not in row else "gold"
        other = " or `split` with `index` or `id`" if missing == "gold" else ""
        raise DataError(f"{place} has no `{missing}`{other}. It has {', '.join(row) or 'nothing'}")
    for key in TEXTS:
        if not isinstance(row.get(key, ""), str):
            raise DataError(f"{place}: `{key}` is {_short(row[key])}, but it must be text")
    gold = row.get("gold", "")
    if isinstance(gold, bool) or not isinstance(gold, str | int | float):
        raise DataError(f"{place}: `gold` is {_short(gold)}, but it must be text or a number")
    for key in ("index", "tokens"):
        value = row.get(key)
        if value is not None and (type(value) is not int or value < 0):
            raise DataError(
                f"{place}: `{key}` is {_short(value)}, but it must be a whole number, from 0"
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


class _Reader:
    """Looks up the samples that rows refer to."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._ids: dict[str, dict[str, int]] = {}

    def sample(self, row: Mapping[str, Any], place: str) -> Sample:
        if "gold" in row:
            name = str(row.get("id", place))
            return Sample(name, row.get("question", ""), str(row["gold"]), origin=place)
        return replace(self._own(row, place), origin=place)

    def written(self, row: ScoredCompletion, place: str) -> Sample:
        """The task's own sample, if it is still what the row has of it; else what the row has.

        Its images and what no file can hold are in the task's own sample alone.
        """
        stored = Sample(row.id, row.question, row.gold, meta=row.meta, origin=place)
        if row.split is None or row.index is None:
            return stored
        try:
            own = replace(self._at(row.split, row.index, place), origin=place)
            same = self._facts(own) == row.of_sample
        except DataError:  # written for another task, or for other data
            return stored
        return own if same else stored

    def _facts(self, own: Sample) -> dict[str, Any]:
        """What a completion of a sample has of it, now."""
        images = made(self._task.prompt, own).images
        return {
            "id": str(own.id),
            "question": own.question,
            "gold": own.gold,
            "meta": meta.stored(own.meta)[0],
            "images": [image.key for image in images],
        }

    def _own(self, row: Mapping[str, Any], place: str) -> Sample:
        index = row.get("index")
        if index is None and "id" in row:
            index = self._index(row, place)
        if index is None:
            raise DataError(f"{place} names a split but no sample: give its `index` or its `id`")
        return self._at(row["split"], index, place)

    def _at(self, split: str, index: int, place: str) -> Sample:
        part = self._split(split, place)
        if index >= len(part):
            raise DataError(
                f"{place}: index {index} is out of range: split {split!r} has samples 0 to "
                f"{len(part) - 1}"
            )
        return part[index]

    def _split(self, split: str, place: str) -> Slice:
        try:
            return take(self._task, split)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error

    def _index(self, row: Mapping[str, Any], place: str) -> int:
        split = row["split"]
        if split not in self._ids:
            part = self._split(split, place)
            self._ids[split] = {sample.id: at for at, sample in enumerate(part)}
        try:
            return self._ids[split][str(row["id"])]
        except KeyError:
            raise DataError(f"{place}: split {split!r} has no sample {row['id']!r}") from None
