"""One file of rows in a folder with images: what each row means, and where it is.

The index of a file holds some fifty bytes per row and the path of each image; a row is
parsed again when its sample is read.
"""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rftcore.datasets import streams
from rftcore.datasets.grouping import identity
from rftcore.datasets.image_paths import RowImage, links_out
from rftcore.datasets.layout import TRAIN
from rftcore.datasets.records import FOLDER, Fault, Form, Record, record
from rftcore.errors import DataError, SampleError
from rftcore.splits import RL, SFT, VAL
from rftcore.types import Sample


@dataclass(frozen=True)
class Row:
    """One row as it was read: a record and its images' paths, or what is wrong with it."""

    number: int
    start: int
    end: int
    record: Record | None
    faults: tuple[Fault, ...]
    images: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Index:
    """Where the rows are, and what must be known of all of them: a list per fact.

    `links` has the identities of each row's images, or of its texts if it has none;
    `images` the files of those identities.
    """

    numbers: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    starts: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    ends: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    contents: array = field(default_factory=lambda: array("Q"))  # type: ignore[type-arg]
    reasoned: array = field(default_factory=lambda: array("B"))  # type: ignore[type-arg]
    splits: list[str] = field(default_factory=list)  # "" where a row names none
    links: list[tuple[int, ...]] = field(default_factory=list)
    images: dict[int, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class RowFile:
    """A JSON or JSON-lines file of `folder`; `role` is what it is for.

    `form` is how its rows are written. Rows of a folder look for their images in several
    places, and their ids may repeat; those of a file by itself in one, and must not.
    """

    path: Path
    folder: Path
    role: str = ""
    strip: bool = True
    form: Form = FOLDER

    def rows(self) -> Iterator[Row]:
        """Every row in order, broken ones too. Raises: DataError if the file cannot be read."""
        for raw in streams.rows(self.path):
            yield self._row(raw)

    @cached_property
    def index(self) -> Index:
        """Where every row is. Raises: SampleError for the first that is broken."""
        index, ids = Index(), dict[str, str]()
        for row in self.rows():
            sample = self.sample(row)
            if not self._in_folder and (first := ids.get(sample.id)):
                raise SampleError(f"{sample.origin}: id {sample.id!r} is taken by {first}")
            ids[sample.id] = sample.origin
            index.numbers.append(row.number)
            index.starts.append(row.start)
            index.ends.append(row.end)
            index.contents.append(content_of(sample))
            index.reasoned.append(bool(sample.cot))
            index.splits.append(row.record.split if row.record else "")
            index.links.append(self.links(row))
            index.images.update(zip(index.links[-1], row.images, strict=False))
        return index

    def links(self, row: Row) -> tuple[int, ...]:
        """What ties a row to others: its images, or, if it has none, its own texts."""
        if row.record is None:
            return ()
        if not row.images:
            return (identity("text", row.record.question, row.record.gold),)
        return tuple(identity("image", self._name(path)) for path in row.images)

    def sample_at(self, position: int) -> Sample:
        """The sample of a row, read from the file again.

        Raises: DataError if the row is another one by now.
        """
        start, end = self.index.starts[position], self.index.ends[position]
        value = streams.row_at(self.path, start, end)
        raw = streams.Raw(self.index.numbers[position], start, end, value)
        sample = self.sample(self._row(raw))
        if content_of(sample) != self.index.contents[position]:
            raise DataError(f"{sample.origin} changed while it was in use: start again")
        return sample

    def sample(self, row: Row) -> Sample:
        """A row as a sample, its pictures unread. Raises: SampleError if it is broken."""
        origin = self.origin(row.number)
        if row.record is None or row.faults:
            said = "; ".join(f"{kind}: {text}" for kind, text in row.faults)
            raise SampleError(f"{origin}: {said}. `rft data check` lists every fault")
        told = row.record
        return Sample(
            id=told.id or f"{self.path.stem if self._in_folder else 'row'}-{row.number}",
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
        told, faults = record(raw.value, form=self.form, strip=self.strip)
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

    @property
    def _in_folder(self) -> bool:
        return self.form == FOLDER

    @cached_property
    def _bases(self) -> tuple[Path, ...]:
        """The folder, images/, the folder of this phase's images, the file's own folder."""
        if not self._in_folder:
            return (self.folder,)
        images = self.folder / "images"
        training = self.role in (TRAIN, SFT, RL, VAL)
        phase = images / ("train_images" if training else "test_images")
        return tuple(dict.fromkeys((self.folder, images, phase, self.path.parent)))

    def _image(self, path: Path, origin: str) -> RowImage:
        return RowImage(key=self._name(path), read=path.read_bytes, origin=origin)

    def _name(self, path: Path) -> str:
        """An image's path in the folder: the same on every machine, wherever the folder is."""
        return path.relative_to(self.folder).as_posix()


def content_of(sample: Sample) -> int:
    """64 bits of the content hash: enough to distinguish the rows of a dataset."""
    return int(sample.content_hash()[:16], 16)
