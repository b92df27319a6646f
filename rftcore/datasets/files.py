"""One file of rows in a folder with images: records, images and byte offsets.

The index of a file takes some fifty bytes per row and the path of each image; a row is
parsed again when its sample is read.
"""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from rftcore.datasets import streams
from rftcore.datasets.grouping import identity
from rftcore.datasets.image_paths import RowImage, misplaced, similar_hint
from rftcore.datasets.layout import TRAIN
from rftcore.datasets.rows.faults import Fault
from rftcore.datasets.rows.fields import FOLDER, Form
from rftcore.datasets.rows.record import Record, record
from rftcore.errors import DataError, SampleError
from rftcore.regular_files import content
from rftcore.splits import RL, SFT, VAL
from rftcore.types import Sample


@dataclass(frozen=True)
class Row:
    """One row: a record and the paths of its images, or the faults of the row."""

    number: int
    start: int
    end: int
    record: Record | None
    faults: tuple[Fault, ...]
    images: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Index:
    """Byte offsets of all rows, and what the split of a row depends on.

    `links` has the identities of each row's images, or of its texts if it has none;
    `images` has the files of those identities.
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
    """A JSON or JSON-lines file of `folder`; `role` is its use: train, test, ...

    `form` is the form of its rows. For a file in a folder of the paper's layout (`FOLDER`),
    images are searched in several places and ids may repeat; for a single file (`FILE`), images
    are relative to its folder and ids are unique.
    """

    path: Path
    folder: Path
    role: str = ""
    strip: bool = True
    form: Form = FOLDER

    @property
    def name(self) -> str:
        """Its path in the folder."""
        return self.path.relative_to(self.folder).as_posix()

    def rows(self) -> Iterator[Row]:
        """Every row in order, broken ones too. Raises: DataError if the file cannot be read."""
        for raw in streams.rows(self.path):
            yield self._row(raw)

    @cached_property
    def index(self) -> Index:
        """The index. Raises: SampleError for the first broken row."""
        index, ids = Index(), dict[str, str]()
        for row in self.rows():
            sample = self.sample(row)
            if not self._in_folder and (first := ids.get(sample.id)):
                raise SampleError(
                    f"id {sample.id!r} is also the id of {first}", origin=sample.origin
                )
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
        """The identities of the row's images, or of its texts if it has none."""
        if row.record is None:
            return ()
        if not row.images:
            return (identity("text", row.record.question, row.record.gold),)
        return tuple(identity("image", self._name(path)) for path in row.images)

    def sample_at(self, position: int) -> Sample:
        """The sample of a row, read from the file again.

        Raises: DataError if the row has changed.
        """
        start, end = self.index.starts[position], self.index.ends[position]
        value = streams.row_at(self.path, start, end)
        raw = streams.Raw(self.index.numbers[position], start, end, value)
        sample = self.sample(self._row(raw))
        if content_of(sample) != self.index.contents[position]:
            raise DataError(
                "the row changed while it was in use: start the run again", origin=sample.origin
            )
        return sample

    def sample(self, row: Row) -> Sample:
        """A row as a sample, its images unread. Raises: SampleError if it is broken."""
        origin = self.origin(row.number)
        if row.record is None or row.faults:
            faults = "; ".join(f"{fault.kind}: {fault.text}" for fault in row.faults)
            raise SampleError(f"{faults}. `rft data check` lists every fault", origin=origin)
        record = row.record
        return Sample(
            id=record.id or f"{self.path.stem if self._in_folder else 'row'}-{row.number}",
            question=record.question,
            gold=record.gold,
            images=tuple(self._image(path, origin) for path in row.images),
            cot=record.cot,
            meta=record.meta,
            origin=origin,
        )

    def origin(self, number: int) -> str:
        """The name of a row in messages."""
        return f"{self.path} row {number}"

    def _row(self, raw: streams.Raw) -> Row:
        if raw.fault:
            return Row(raw.number, raw.start, raw.end, None, (Fault("not JSON", raw.fault),))
        found, faults = record(raw.value, form=self.form, strip=self.strip)
        faults = [self._placed(fault) for fault in faults]
        images = tuple(map(self._locate, found.images)) if found else ()
        for path in images:
            if fault := misplaced(path, self.folder):
                faults.append(Fault("path", f"image {self._name(path)!r} is {fault}"))
        return Row(raw.number, raw.start, raw.end, found, tuple(faults), images)

    def _placed(self, fault: Fault) -> Fault:
        """A fault of a path outside the folder, with the file inside it that may be meant."""
        hint = similar_hint(fault.outside, self.folder) if fault.outside else ""
        return Fault(fault.kind, f"{fault.text}{hint}")

    def _locate(self, name: str) -> Path:
        """The first place where the image exists; the first of all if there is none."""
        places = [f"{base}/{name}" for base in self._bases]  # text is faster than Path
        return Path(next((p for p in places if os.access(p, os.F_OK)), places[0]))

    @property
    def _in_folder(self) -> bool:
        return self.form == FOLDER

    @cached_property
    def _bases(self) -> tuple[Path, ...]:
        """Where images are searched: the folder, images/, its train_images/ or test_images/, ..."""
        if not self._in_folder:
            return (self.folder,)
        images = self.folder / "images"
        training = self.role in (TRAIN, SFT, RL, VAL)
        phase = images / ("train_images" if training else "test_images")
        return tuple(dict.fromkeys((self.folder, images, phase, self.path.parent)))

    def _image(self, path: Path, origin: str) -> RowImage:
        read = partial(content, path, self.folder)
        return RowImage(key=self._name(path), read=read, path=path, origin=origin)

    def _name(self, path: Path) -> str:
        """An image's path in the folder: the same on every machine, wherever the folder is."""
        return path.relative_to(self.folder).as_posix()


def content_of(sample: Sample) -> int:
    """64 bits of the content hash, enough to distinguish the rows of a dataset."""
    return int(sample.content_hash()[:16], 16)
