"""Byte order marks at the start of a file mean nothing, however many tools have written one."""

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from rftcore.config import read_recipe_file
from rftcore.datasets import CsvDataset, JsonlDataset, ParquetDataset, ReasonRftDataset
from rftcore.errors import SampleError
from rftcore.types import Dataset

ROWS = [{"id": f"r{at}", "question": f"{at} ü?", "answer": "5", "split": "test"} for at in range(3)]
LINES = "\n".join(map(json.dumps, ROWS))
CSV = "\n".join(",".join(row) for row in (ROWS[0], *(each.values() for each in ROWS)))


def ids(dataset: Dataset) -> list[str]:
    return [dataset.sample("test", at).id for at in range(dataset.size("test"))]


FILES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "JSON lines": ("test.jsonl", LINES, lambda file: ids(JsonlDataset(file))),
    "an array": ("test.json", json.dumps(ROWS), lambda file: ids(JsonlDataset(file))),
    "a folder": ("test.jsonl", LINES, lambda file: ids(ReasonRftDataset(file.parent))),
    "CSV": ("rows.csv", CSV, lambda file: ids(CsvDataset(file))),
    "quoted CSV": ("rows.csv", CSV.replace("id", '"id"'), lambda file: ids(CsvDataset(file))),
    "a recipe": ("run.yaml", "task: counting\n", lambda file: dict(read_recipe_file(file))),
}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("name", "text", "read"), FILES.values(), ids=FILES)
def test_a_file_reads_as_it_does_without_marks(name, text, read, count, tmp_path):
    (tmp_path / name).write_bytes(text.encode())
    plain = read(tmp_path / name)
    (tmp_path / name).write_bytes(codecs.BOM_UTF8 * count + text.encode())

    assert read(tmp_path / name) == plain


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_csv_file_in_utf_16_may_have_several_marks(encoding, tmp_path):
    (tmp_path / "rows.csv").write_bytes(f"\ufeff\ufeff{CSV}".encode(encoding))

    assert ids(CsvDataset(tmp_path / "rows.csv")) == ["r0", "r1", "r2"]


@pytest.mark.parametrize("kind", [JsonlDataset, ParquetDataset])
def test_a_mark_that_another_program_took_for_a_part_of_a_name_is_an_error(kind, tmp_path):
    found = [{f"\ufeff{name}" if name == "id" else name: v for name, v in r.items()} for r in ROWS]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, found)))
    pandas.DataFrame(found).to_parquet(tmp_path / "rows.parquet")
    name = "rows.jsonl" if kind is JsonlDataset else "rows.parquet"

    with pytest.raises(SampleError, match=rf"{name} row 1: .*'\\ufeffid' begins with .*'id'"):
        ids(kind(tmp_path / name))
