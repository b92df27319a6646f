"""Rows of Parquet files and of Hugging Face datasets, a batch at a time.

pyarrow and datasets are requirements of TRL; they are imported when a table is read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rftcore.datasets.export import stat_of
from rftcore.errors import DataError, one_line

BATCH = 32  # rows that are in memory at once, with their images


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file, such as pandas or `datasets` write; a row counts from 1."""

    path: Path
    absolute: bool = False

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    @property
    def folder(self) -> Path:
        """The file's folder."""
        return self.path.parent

    @property
    def embedded(self) -> bool:
        """Whether a column contains bytes, alone or in a struct as `datasets` writes images."""
        return any("binary" in str(kind) for kind in self._schema.types)

    def key(self) -> list[object]:
        """The file."""
        return ["parquet", *stat_of(self.path)]

    def columns(self) -> list[str]:
        """The names of its columns."""
        return [*self._schema.names]

    def total(self) -> int:
        """The number of its rows."""
        with self._file() as file:
            return int(file.metadata.num_rows)

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        """Every row, a batch at a time."""
        import pyarrow as pa

        labels, number = _labels(self._schema.metadata or {}), 0
        try:
            with self._file() as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, _labeled(row, labels)
        except (pa.ArrowException, OSError, UnicodeError) as error:
            where = f"{self.path} row {number + 1}"
            raise DataError(f"cannot read it: {one_line(error)}", origin=where) from error

    @cached_property
    def _schema(self) -> Any:
        with self._file() as file:
            return file.schema_arrow

    def _file(self) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        stat_of(self.path)
        try:
            return parquet.ParquetFile(self.path, pre_buffer=False)  # or all of it is in memory
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} is not a Parquet file: {one_line(error)}") from error


def _labels(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of labels that `datasets` stores beside a column of their numbers."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError):
        return {}
    kinds = {n: kind for n, kind in features.items() if isinstance(kind, dict)}
    return {n: k["names"] for n, k in kinds.items() if k.get("_type") == "ClassLabel"}


def _labeled(row: Mapping[str, Any], labels: Mapping[str, list[str]]) -> Mapping[str, Any]:
    """A row with the names of its labels in place of their numbers; -1 is no label."""
    named = {
        name: names[row[name]] if 0 <= row[name] < len(names) else None
        for name, names in labels.items()
        if isinstance(row.get(name), int)
    }
    return {**row, **named}


@dataclass(frozen=True)
class HubSource:
    """A dataset of the Hugging Face hub, or a folder that `datasets` reads.

    `splits` has the split of rft for each split that is read, "" for one to divide. Rows are
    numbered through all of them.
    """

    path: str
    config: str | None
    revision: str | None
    splits: Mapping[str, str]
    tables: Mapping[str, Any] = field(repr=False)  # a datasets.Dataset by its split
    embedded: bool = True
    absolute: bool = True

    @property
    def name(self) -> str:
        """The name on the hub, or the folder."""
        return self.path

    @property
    def folder(self) -> Path:
        """The folder, if it is one."""
        return Path(self.path)

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Each split that is read, and the number of rows before it."""
        counts = [(name, len(self.tables[name])) for name in self.splits]
        return tuple((n, sum(c for _, c in counts[:at])) for at, (n, _) in enumerate(counts))

    def key(self) -> list[object]:
        """The files in which `datasets` keeps the rows."""
        files = [
            [name, [stat_of(Path(file["filename"])) for file in table.cache_files], len(table)]
            for name, table in self.tables.items()
        ]
        return ["hf", self.path, self.config, self.revision, [*self.splits.items()], files]

    def columns(self) -> list[str]:
        """The names of all columns."""
        return [*dict.fromkeys(n for table in self.tables.values() for n in table.column_names)]

    def total(self) -> int:
        """The number of rows of all splits that are read."""
        return sum(len(self.tables[name]) for name in self.splits)

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
        """Every row of every split, its images as bytes or paths."""
        number = 0
        for name, split in self.splits.items():
            table = self.tables[name]
            for column, kind in table.features.items():
                if (raw := _undecoded(kind)) != kind:
                    table = table.cast_column(column, raw)
            labels = {n: k.names for n, k in table.features.items() if hasattr(k, "int2str")}
            for row in table:
                number += 1
                yield number, {**_labeled(row, labels), "split": split or None}


def _undecoded(kind: Any) -> Any:
    """A feature whose images stay bytes and paths."""
    from datasets import Image, List

    if isinstance(kind, Image):
        return Image(decode=False)
    if isinstance(kind, List):
        return List(_undecoded(kind.feature), length=kind.length)
    if isinstance(kind, Mapping):
        return {name: _undecoded(one) for name, one in kind.items()}
    return kind


def hub_source(
    path: str,
    config: str | None,
    revision: str | None,
    given: Mapping[str, str],
    known: Mapping[str, str],
) -> HubSource:
    """Open a dataset.

    given: the split of the source by the split of rft, "train" for one to divide; no other is
        read. If it is empty, all are, by their usual names.
    known: the split of rft by the usual name, "" for one to divide.

    Raises: DataError if it cannot be loaded, or a split has no counterpart.
    """
    tables = _load(path, config, revision)
    there = ", ".join(tables)
    if not given:
        if odd := [name for name in tables if name not in known]:
            raise DataError(
                f"what is split {odd[0]!r}? Name each split to read, such as --set "
                f"dataset.test={odd[0]}. Splits: {there}",
                origin=path,
            )
        return HubSource(path, config, revision, {n: known[n] for n in tables}, tables)
    for split, name in given.items():
        if name not in tables:
            raise DataError(
                f"{split}={name!r}: there is no such split. Splits: {there}", origin=path
            )
    if len({*given.values()}) < len(given):
        raise DataError("one split of the source is read as two: splits must differ", origin=path)
    chosen = {name: "" if split == "train" else split for split, name in given.items()}
    return HubSource(path, config, revision, chosen, {n: tables[n] for n in chosen})


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` of `datasets` wrote a folder."""
    return (folder / "dataset_dict.json").exists() or any(folder.glob("*.arrow"))


def _load(path: str, config: str | None, revision: str | None) -> dict[str, Any]:
    import datasets

    quiet = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        if is_saved(Path(path)):
            loaded = datasets.load_from_disk(path)
        else:
            loaded = datasets.load_dataset(path, config, revision=revision)
    except Exception as error:  # of the network, of every file format
        what = "folder" if Path(path).is_dir() else "dataset of the hub (or the network is missing)"
        raise DataError(
            f"`datasets` cannot load this {what}: {type(error).__name__}: {one_line(error)}",
            origin=path,
        ) from error
    finally:
        if not quiet:
            datasets.enable_progress_bars()
    return dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
