"""A dataset from one file: one JSON object a line, or one array of them, pictures beside it.

    {"id": "a1", "question": "How many cubes?", "answer": 3, "image": "a1.png", "split": "rl"}

Nothing is read before it is needed, and every fault names the file and the row.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from rftcore.datasets import streams
from rftcore.datasets.files import Row
from rftcore.datasets.pictures import RowImage, leaves, links_out
from rftcore.datasets.records import Fault, Record
from rftcore.errors import DataError, SampleError, closest
from rftcore.types import OOD_PREFIX, STANDARD_SPLITS, Image, Sample

_OWN = ("id", "question", "answer", "cot", "image", "images", "split")  # the rest is meta


@dataclass(frozen=True)
class JsonlDataset:
    """Samples from a JSON-lines file (UTF-8; empty lines are skipped), or from a JSON array.

    A row has `question`, `answer` (text or a number) and `image`, or a list
    `images`: paths relative to the file that stay inside its folder. It may
    have `id`, `cot` (the reasoning to learn in SFT) and `split`. Every other
    key goes into `meta`. Rows without a split are dealt by the hash of their
    content: a tenth to val, a tenth to test, the rest to rl, of which half
    goes to sft where there is a cot. Equal rows always share a split.
    """

    path: str | Path

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have rows: the standard ones first."""
        return in_order(self._rows)

    def size(self, split: str) -> int:
        """How many rows `split` has."""
        return len(self._split(split))

    def sample(self, split: str, index: int) -> Sample:
        """The sample at `index`, in the order of the file; its images are not read yet.

        Raises: SampleError for an image outside the file's folder.
        """
        rows = self._split(split)
        if not 0 <= index < len(rows):
            raise IndexError(f"split {split!r} has samples 0 to {len(rows) - 1}, not {index}")
        row = rows[index]
        return Sample(
            id=row.id,
            question=row.fields["question"],
            gold=str(row.fields["answer"]),
            images=tuple(self._image(name, row.origin) for name in row.images),
            cot=row.fields.get("cot"),
            meta={key: value for key, value in row.fields.items() if key not in _OWN},
            origin=row.origin,
        )

    def _split(self, split: str) -> "list[_Row]":
        if split not in self._rows:
            raise DataError(
                f"{self.path} has no rows of split {split!r}.{closest(split, self._rows)} "
                f"It has: {', '.join(self.splits)}"
            )
        return self._rows[split]

    def _image(self, name: str, origin: str) -> Image:
        folder = Path(self.path).parent
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise SampleError(f"{origin}: image {name!r} links out of the folder of {self.path}")
        path = folder / name
        return RowImage(key=PurePosixPath(name).as_posix(), read=path.read_bytes, origin=origin)

    @property
    def file(self) -> "LineFile":
        """The file, for `rft data check`."""
        return LineFile(Path(self.path))

    @cached_property
    def _rows(self) -> "dict[str, list[_Row]]":
        ids: dict[str, _Row] = {}
        contents: dict[str, _Row] = {}
        splits: dict[str, list[_Row]] = {}
        for row in _sound(Path(self.path)):
            if row.id in ids:
                raise SampleError(f"{row.origin}: id {row.id!r} is taken by {ids[row.id].origin}")
            twin = contents.setdefault(row.content, row)
            if twin.split != row.split:
                raise SampleError(
                    f"{row.origin}: in split {row.split}: {_twin(twin)}: splits must not overlap"
                )
            ids[row.id] = row
            splits.setdefault(row.split, []).append(row)
        if not splits:
            raise DataError(f"{self.path} has no rows")
        return splits


@dataclass(frozen=True)
class _Row:
    """One checked line of the file."""

    fields: Mapping[str, Any]
    number: int
    origin: str

    @property
    def id(self) -> str:
        return str(self.fields.get("id", f"row-{self.number}"))

    @property
    def images(self) -> list[str]:
        images: list[str] = self.fields.get("images") or [self.fields["image"]]
        return images

    @cached_property
    def content(self) -> str:
        names = [PurePosixPath(name).as_posix() for name in self.images]
        parts = [self.fields["question"], str(self.fields["answer"]), *names]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def split(self) -> str:
        given = self.fields.get("split")
        if given is not None:
            return str(given)
        tenth = int(self.content, 16) % 10
        if tenth < 2:
            return ("val", "test")[tenth]
        return "sft" if "cot" in self.fields and tenth < 6 else "rl"


def in_order(splits: Collection[str]) -> tuple[str, ...]:
    """The standard splits first, then the others by name."""
    known = [split for split in STANDARD_SPLITS if split in splits]
    return (*known, *sorted(set(splits) - set(known)))


@dataclass(frozen=True)
class LineFile:
    """The file as `rft data check` reads it: every row, broken ones too."""

    path: Path

    @property
    def folder(self) -> Path:
        """Where the pictures are."""
        return self.path.parent

    def rows(self) -> Iterator[Row]:
        """Every row in order, with its faults. Raises: DataError if the file cannot be read."""
        contents: dict[str, _Row] = {}
        for raw, made, faults in _read(self.path):
            if made is None:
                yield Row(raw.number, raw.start, raw.end, None, tuple(faults))
                continue
            twin = contents.setdefault(made.content, made)
            if twin.split != made.split:
                faults = [Fault("leak", f"in split {made.split}: {_twin(twin)}")]
            images = tuple(self.folder / name for name in made.images)
            out = [name for name in made.images if links_out(self.folder / name, self.folder)]
            faults += [Fault("path", f"image {name!r} links out of {self.folder}") for name in out]
            told = self._record(made)
            yield Row(raw.number, raw.start, raw.end, told, tuple(faults), images, made.split)

    def sample(self, row: Row) -> Sample:
        """A row without faults as a sample."""
        assert row.record is not None, "rows with faults are no samples"
        told, origin = row.record, f"{self.path} row {row.number}"
        images = tuple(self._image(path, origin) for path in row.images)
        return Sample(str(told.id), told.question, told.gold, images, told.cot, told.meta, origin)

    def _image(self, path: Path, origin: str) -> RowImage:
        return RowImage(path.relative_to(self.folder).as_posix(), path.read_bytes, origin)

    def _record(self, row: "_Row") -> Record:
        fields = row.fields
        question, gold = fields["question"], str(fields["answer"])
        return Record(row.id, question, gold, tuple(row.images), fields.get("cot"))


def _twin(row: "_Row") -> str:
    return f"the same question, answer and images as row {row.number} ({row.split})"


def _read(path: Path) -> "Iterator[tuple[streams.Raw, _Row | None, list[Fault]]]":
    """Every row of the file: checked by itself, or None with what is wrong with it."""
    for raw in streams.rows(path):
        faults = [Fault("not JSON", raw.fault)] if raw.fault else list(_faults(raw.value))
        made = None if faults else _Row(raw.value, raw.number, f"{path} row {raw.number}")
        yield raw, made, faults


def _sound(path: Path) -> "Iterator[_Row]":
    """Every row. Raises: SampleError for the first that is broken."""
    for raw, row, faults in _read(path):
        if row is None:
            raise SampleError(f"{path} row {raw.number}: {faults[0].text}")
        yield row


def _faults(fields: object) -> Iterator[Fault]:
    """What is wrong with a row."""
    if not isinstance(fields, dict):
        kind = type(fields).__name__
        yield Fault("wrong field", f"a {kind}, but a row is a JSON object")
        return
    for name in ("question", "answer"):
        if name not in fields:
            yield Fault("missing field", f"no {name!r}.{closest(name, fields)}{_hint(fields)}")
    if not _is_text(fields.get("question", "?")):
        yield Fault("wrong field", f"question {fields['question']!r} is not text")
    answer = fields.get("answer", 0)
    if isinstance(answer, bool) or not (isinstance(answer, int | float) or _is_text(answer)):
        yield Fault("wrong field", f"answer {answer!r} is neither text nor a number")
    if "cot" in fields and not _is_text(fields["cot"]):
        yield Fault("wrong field", f"cot {fields['cot']!r} is not text")
    if not isinstance(fields.get("id", ""), str | int):
        yield Fault("wrong field", f"id {fields['id']!r} is neither text nor a number")
    if said := _split_fault(fields.get("split")):
        yield Fault("wrong field", said)
    if fault := _image_fault(fields):
        yield fault


def _hint(fields: Mapping[str, Any]) -> str:
    papers = "problem" in fields or "messages" in fields
    return " The paper's rows are read from their folder: give that" if papers else ""


def _split_fault(split: object) -> str:
    if split is None or split in STANDARD_SPLITS:
        return ""
    if isinstance(split, str) and split.startswith(OOD_PREFIX) and split != OOD_PREFIX:
        return ""
    hint = closest(split, STANDARD_SPLITS) if isinstance(split, str) else ""
    return f"split {split!r}: use {', '.join(STANDARD_SPLITS)} or {OOD_PREFIX}...{hint}"


def _image_fault(fields: Mapping[str, Any]) -> Fault | None:
    if ("image" in fields) == ("images" in fields):
        return Fault("missing field", "give either 'image' or 'images'")
    images = fields["images"] if "images" in fields else [fields["image"]]
    if not isinstance(images, list) or not images:
        return Fault("wrong field", f"images {images!r} is not a list of paths")
    for name in images:
        if not _is_text(name) or "\0" in name:
            return Fault("wrong field", f"image {name!r} is not a path")
        if leaves(name):
            inside = "use a path relative to the file that stays inside its folder"
            return Fault("path", f"image {name!r}: {inside}")
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
