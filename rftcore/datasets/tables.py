"""Datasets in CSV and Parquet files, and those of Hugging Face: a row is a sample.

The first use writes the rows to the cache folder (`rftcore.datasets.export`); from then on they
are read like a file of JSON lines, with the same fields, splits and errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rftcore.datasets.arrow_rows import HubSource, ParquetSource, hub_source
from rftcore.datasets.csv_rows import CsvSource
from rftcore.datasets.export import ROWS, ExportedFile, Source, exported
from rftcore.datasets.files import RowFile
from rftcore.datasets.jsonl import JsonlDataset
from rftcore.datasets.rows.fields import FILE
from rftcore.splits import RL, SFT, TEST, VAL, out_of_distribution

Columns = Mapping[str, str]
_HUB = {"train": "", "training": "", TEST: TEST, SFT: SFT, RL: RL}
_HUB |= dict.fromkeys((VAL, "validation", "valid", "dev"), VAL)


@dataclass(frozen=True)
class CsvDataset(JsonlDataset):
    """Samples from a CSV or TSV file with a header; images are paths beside it.

    The columns are the fields of a row of JSON lines: question, answer, image (or `images`, a
    JSON list of paths), id, cot, split; `columns` names others, such as {"answer": "label"}. Every
    cell is text, so the gold 007 stays 007; an empty cell is absent. `delimiter` is a comma, a
    tab for .tsv. `encoding` is UTF-8, or that of the byte-order mark.

    Raises: as `JsonlDataset`; errors count the header as row 1, as a spreadsheet does.
    """

    columns: Columns = field(default_factory=dict, hash=False)
    delimiter: str = ""
    encoding: str = ""

    @cached_property
    def file(self) -> RowFile:
        """The rows in the cache folder."""
        source = CsvSource(Path(self.path), self.delimiter, self.encoding)
        return _file(source, self.columns)


@dataclass(frozen=True)
class ParquetDataset(JsonlDataset):
    """Samples from a Parquet file, whose column `image` has bytes or paths beside the file.

    Images are bytes, or objects with `bytes` and `path` as `datasets` writes them, or lists of
    such. The columns are the fields of a row of JSON lines; `columns` names others. A NaN is a
    null, and a label of `datasets` is its name.

    Raises: as `JsonlDataset`; rows count from 1.
    """

    columns: Columns = field(default_factory=dict, hash=False)

    @cached_property
    def file(self) -> RowFile:
        """The rows in the cache folder."""
        return _file(ParquetSource(Path(self.path)), self.columns)


@dataclass(frozen=True)
class HfDataset(JsonlDataset):
    """Samples from a dataset of the Hugging Face hub, or from a folder that `datasets` reads.

    `path` is ORG/NAME or a folder: one of `save_to_disk`, of Parquet or CSV files, or an image
    folder. `config` and `revision` are those of the hub. Split `train` is divided: a tenth of its
    groups goes to `val`, and to `test`, if the source has none; the rest to `rl` or `sft`, as in
    `JsonlDataset`. `train`, `sft`, `rl`, `val`, `test` and `ood` (by name) choose splits of the
    source; if one is given, no other is read. The columns are the fields of a row of JSON lines;
    `columns` names others, such as {"answer": "answers.0"}.

    Only this dataset uses the network, if `path` is no folder and `datasets` has no copy of it.

    Raises: as `JsonlDataset`; rows are numbered through all splits.
    """

    config: str | None = None
    revision: str | None = None
    train: str | None = None
    sft: str | None = None
    rl: str | None = None
    val: str | None = None
    test: str | None = None
    ood: Columns = field(default_factory=dict, hash=False)
    columns: Columns = field(default_factory=dict, hash=False)

    @cached_property
    def source(self) -> HubSource:
        """The dataset as `datasets` loads it."""
        options = {n: getattr(self, n) for n in ("train", SFT, RL, VAL, TEST)}
        given = {name: split for name, split in options.items() if split is not None}
        given |= {out_of_distribution(name): split for name, split in self.ood.items()}
        return hub_source(str(self.path), self.config, self.revision, given, _HUB)

    @cached_property
    def file(self) -> RowFile:
        """The rows in the cache folder."""
        return _file(self.source, self.columns, self.source.parts)

    @property
    def held_out(self) -> tuple[str, ...]:
        """Those of val and test that the source does not have."""
        there = {*self.source.splits.values()}
        return tuple(split for split in (VAL, TEST) if split not in there)


def _file(
    source: Source, columns: Columns, parts: tuple[tuple[str, int], ...] = ()
) -> ExportedFile:
    folder = exported(source, columns)
    beside = folder if source.embedded else source.folder
    return ExportedFile(folder / ROWS, beside, form=FILE, source=source.name, parts=parts)
