"""A dataset from one file: one JSON object a line, pictures beside it.

    {"id": "a1", "question": "How many cubes?", "answer": 3, "image": "a1.png", "split": "rl"}

Nothing is read before it is needed, and every fault names the file and the row.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rftcore.datasets.pictures import RowImage, leaves
from rftcore.errors import DataError, SampleError, closest
from rftcore.types import OOD_PREFIX, STANDARD_SPLITS, Image, Sample

_OWN = ("id", "question", "answer", "cot", "image", "images", "split")  # the rest is meta


@dataclass(frozen=True)
class JsonlDataset:
    """Samples from a JSON-lines file (UTF-8; empty lines are skipped).

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
        found = self._rows
        known = [split for split in STANDARD_SPLITS if split in found]
        return (*known, *sorted(set(found) - set(known)))

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
        return RowImage(key=str(path), read=path.read_bytes, origin=origin)

    @cached_property
    def _rows(self) -> "dict[str, list[_Row]]":
        ids: dict[str, _Row] = {}
        contents: dict[str, _Row] = {}
        splits: dict[str, list[_Row]] = {}
        for row in _read(Path(self.path)):
            if row.id in ids:
                raise SampleError(f"{row.origin}: id {row.id!r} is taken by {ids[row.id].origin}")
            twin = contents.setdefault(row.content, row)
            if twin.split != row.split:
                raise SampleError(
                    f"{row.origin}: the same question, answer and images as {twin.origin}, but "
                    f"in split {row.split!r} and not {twin.split!r}: splits must not overlap"
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
        parts = [self.fields["question"], str(self.fields["answer"]), *self.images]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    @property
    def split(self) -> str:
        given = self.fields.get("split")
        if given is not None:
            return str(given)
        tenth = int(self.content, 16) % 10
        if tenth < 2:
            return ("val", "test")[tenth]
        return "sft" if "cot" in self.fields and tenth < 6 else "rl"


def _read(path: Path) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, number, f"{path} row {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _row(line: str, number: int, origin: str) -> _Row:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SampleError(f"{origin}: not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise SampleError(f"{origin}: a {type(fields).__name__}, but a row is a JSON object")
    fault = _fault(fields)
    if fault:
        raise SampleError(f"{origin}: {fault}")
    return _Row(fields, number, origin)


def _fault(fields: Mapping[str, Any]) -> str:
    """What is wrong with a row, or ""."""
    for name in ("question", "answer"):
        if name not in fields:
            return f"no {name!r}.{closest(name, fields)}"
    if not _is_text(fields["question"]):
        return f"question {fields['question']!r} is not text"
    answer = fields["answer"]
    if isinstance(answer, bool) or not (isinstance(answer, int | float) or _is_text(answer)):
        return f"answer {answer!r} is neither text nor a number"
    if "cot" in fields and not _is_text(fields["cot"]):
        return f"cot {fields['cot']!r} is not text"
    if not isinstance(fields.get("id", ""), str | int):
        return f"id {fields['id']!r} is neither text nor a number"
    return _split_fault(fields.get("split")) or _image_fault(fields)


def _split_fault(split: object) -> str:
    if split is None or split in STANDARD_SPLITS:
        return ""
    if isinstance(split, str) and split.startswith(OOD_PREFIX) and split != OOD_PREFIX:
        return ""
    hint = closest(split, STANDARD_SPLITS) if isinstance(split, str) else ""
    return f"split {split!r}: use {', '.join(STANDARD_SPLITS)} or {OOD_PREFIX}...{hint}"


def _image_fault(fields: Mapping[str, Any]) -> str:
    if ("image" in fields) == ("images" in fields):
        return "give either 'image' or 'images'"
    images = fields["images"] if "images" in fields else [fields["image"]]
    if not isinstance(images, list) or not images:
        return f"images {images!r} is not a list of paths"
    for name in images:
        if not _is_text(name) or "\0" in name:
            return f"image {name!r} is not a path"
        if leaves(name):
            return f"image {name!r}: use a path relative to the file that stays inside its folder"
    return ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
