"""One file of rows in a folder with pictures: what each row says, and where it stands.

The index of a file holds some thirty bytes a row; a row is parsed again when
its sample is asked for.
"""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rftcore.datasets import streams
from rftcore.datasets.pictures import RowImage, links_out
from rftcore.datasets.records import Fault, Record, record
from rftcore.errors import SampleError
from rftcore.types import Sample


@dataclass(frozen=True)
class Row:
    """One row as it was read: a record and its pictures' paths, or what is wrong with it."""

    number: int
    start: int
    end: int
    record: Record | None
    faults: tuple[Fault, ...]
    images: tuple[Path, ...] = ()
    split: str = ""  # if the row itself says it


@dataclass(frozen=True)
class Index:
    """Where the rows are, and what must be known of all of them: parallel arrays."""

    numbers: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    starts: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    ends: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    contents: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    reasoned: array = field(default_factory=lambda: array("B"))  # type: ignore[type-arg]


@dataclass(frozen=True)
class RowFile:
    """A JSON or JSON-lines file of `folder`; `role` says what it is for."""

    path: Path
    folder: Path
    role: str
    strip: bool = True

    def rows(self) -> Iterator[Row]:
        """Every row in order, broken ones too. Raises: DataError if the file cannot be read."""
        for raw in streams.rows(self.path):
            yield self._row(raw)

    @cached_property
    def index(self) -> Index:
        """Where every row is. Raises: SampleError for the first that is broken."""
        index = Index()
        for row in self.rows():
            sample = self.sample(row)
            index.numbers.append(row.number)
            index.starts.append(row.start)
            index.ends.append(row.end)
            index.contents.append(content_of(sample))
            index.reasoned.append(bool(sample.cot))
        return index

    def sample_at(self, position: int) -> Sample:
        """The sample of a row, read from the file again."""
        start, end = self.index.starts[position], self.index.ends[position]
        value = streams.row_at(self.path, start, end)
        raw = streams.Raw(self.index.numbers[position], start, end, value)
        return self.sample(self._row(raw))

    def sample(self, row: Row) -> Sample:
        """A row as a sample, its pictures unread. Raises: SampleError if it is broken."""
        origin = self.origin(row.number)
        if row.record is None or row.faults:
            said = "; ".join(f"{kind}: {text}" for kind, text in row.faults)
            raise SampleError(f"{origin}: {said}. `rft data check` lists every fault")
        told = row.record
        return Sample(
            id=told.id or f"{self.path.stem}-{row.number}",
            question=told.question,
            gold=told.gold,
            images=tuple(self._image(path, origin) for path in row.images),
            cot=told.cot,
            meta=told.meta,
            origin=origin,
        )

    def origin(self, number: int) -> str:
        """What an error calls a row."""
        return f"{self.path} row {number}"

    def _row(self, raw: streams.Raw) -> Row:
        if raw.fault:
            return Row(raw.number, raw.start, raw.end, None, (Fault("not JSON", raw.fault),))
        told, faults = record(raw.value, strip=self.strip)
        images = tuple(map(self._locate, told.images)) if told else ()
        for path in images:
            if links_out(path, self.folder):
                name = path.relative_to(self.folder).as_posix()
                faults.append(Fault("path", f"image {name!r} links out of {self.folder}"))
        return Row(raw.number, raw.start, raw.end, told, tuple(faults), images)

    def _locate(self, name: str) -> Path:
        """The first place where the picture is; the first of all if it is nowhere."""
        places = [f"{base}/{name}" for base in self._bases]  # 60,000 times: text is quicker
        return Path(next((p for p in places if os.access(p, os.F_OK)), places[0]))

    @cached_property
    def _bases(self) -> tuple[Path, ...]:
        """The folder, images/, the folder of this phase's pictures, the file's own folder."""
        images = self.folder / "images"
        training = self.role in ("train", "sft", "rl", "val")
        phase = images / ("train_images" if training else "test_images")
        return tuple(dict.fromkeys((self.folder, images, phase, self.path.parent)))

    def _image(self, path: Path, origin: str) -> RowImage:
        # the same on every machine, wherever the folder lies
        key = path.relative_to(self.folder).as_posix()
        return RowImage(key=key, read=path.read_bytes, origin=origin)


def content_of(sample: Sample) -> int:
    """64 bits of the content hash: enough to tell the rows of a dataset apart."""
    return int(sample.content_hash()[:16], 16)
