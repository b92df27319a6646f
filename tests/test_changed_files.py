"""Images that change after the rows were read: each way of reading finds what the first one would.

A dataset is read, an image of it is replaced, and the dataset, a new one and the data check read
it again in the same process.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets as hf
import pandas
import pytest
from PIL import Image as pil

from rftcore import parsers, prompts
from rftcore.datasets import (
    CsvDataset,
    HfDataset,
    JsonlDataset,
    ParquetDataset,
    ReasonRftDataset,
)
from rftcore.datasets.audit import audit
from rftcore.errors import DataError, SampleError
from rftcore.images import Image
from rftcore.types import Dataset, Sample

NAME = "part/a.png"
ROWS = [
    {"question": "How many?", "answer": "5", "image": NAME, "split": "test"},
    {"question": "How many?", "answer": "6", "image": "b.png", "split": "test"},
]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with two images, and one outside."""
    folder = tmp_path / "data"
    (folder / "part").mkdir(parents=True)
    places = (folder / NAME, folder / "b.png", tmp_path / "a.png")
    for place, color in zip(places, ("red", "blue", "green"), strict=True):
        pil.new("RGB", (4, 4), color).save(place)
    return folder


def lines(folder: Path) -> Path:
    text = "\n".join(map(json.dumps, ROWS))
    (folder / "test.jsonl").write_text(text)
    return folder / "test.jsonl"


def table(folder: Path) -> Path:
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)
    return folder / "rows.csv"


def parquet(folder: Path, *images: object) -> Path:
    """A Parquet file; with images in the place of the paths."""
    found = [r | {"image": i} for r, i in zip(ROWS, images, strict=True)] if images else ROWS
    pandas.DataFrame(found).to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def mixed(folder: Path) -> Path:
    """A Parquet file with a path beside an embedded image."""
    data = (folder / "b.png").read_bytes()
    return parquet(folder, {"path": NAME, "bytes": None}, {"path": None, "bytes": data})


def saved(folder: Path) -> Path:
    table = hf.Dataset.from_list([{k: v for k, v in r.items() if k != "split"} for r in ROWS])
    hf.DatasetDict(test=table).save_to_disk(folder / "saved")
    (folder / "saved" / "part").mkdir()
    (folder / NAME).rename(folder / "saved" / NAME)
    (folder / "b.png").rename(folder / "saved" / "b.png")
    return folder / "saved"


READERS: dict[str, tuple[Callable[[Path], Dataset], Callable[[Path], Path]]] = {
    "lines": (JsonlDataset, lines),
    "csv": (CsvDataset, table),
    "parquet": (ParquetDataset, parquet),
    "mixed": (ParquetDataset, mixed),
    "saved": (HfDataset, saved),
    "folder": (ReasonRftDataset, lambda folder: lines(folder).parent),
}
COPIED = ("mixed", "saved")  # their images are in the cache folder once they were read


def link(image: Path) -> None:
    image.unlink()
    image.symlink_to(image.parents[2] / "a.png")


def linked_folder(image: Path) -> None:
    shutil.rmtree(image.parent)
    image.parent.symlink_to(image.parents[2])


def pipe(image: Path) -> None:
    image.unlink()
    os.mkfifo(image)


def device(image: Path) -> None:
    image.unlink()
    image.symlink_to("/dev/zero")


def other_folder(image: Path) -> None:
    image.unlink()
    image.mkdir()


CHANGES = {
    "gone": Path.unlink,
    "a link out": link,
    "in a link out": linked_folder,
    "a pipe": pipe,
    "a device": device,
    "a folder": other_folder,
    "no bytes": lambda image: image.write_bytes(b""),
}
changed = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def pixels(sample: Sample) -> bytes:
    return sample.images[0].open().tobytes()


def opener(reader: str, folder: Path) -> tuple[Callable[[], Dataset], Path]:
    """Opens the rows of a folder anew; and where the images are."""
    kind, write = READERS[reader]
    path = write(folder)
    return lambda: kind(path), path if path.is_dir() else path.parent


def sample(dataset) -> Sample:
    """The one with the image that is changed."""
    found = (dataset.sample("test", at) for at in range(dataset.size("test")))
    return next(each for each in found if each.gold == "5")


def found(dataset) -> list[str]:
    """What the data check reports."""
    prompt = prompts.think_then_answer("Answer with one integer.")
    return [f.kind for f in audit(dataset, parsers.Integer(), prompt, progress=False).findings]


@changed
@pytest.mark.parametrize("reader", READERS)
def test_an_image_that_changed_after_the_rows_were_read_is_an_error_when_they_are_read_again(
    reader, change, folder
):
    make, place = opener(reader, folder)
    made, whole = make(), pixels(sample(make()))
    assert (found(made), pixels(sample(made))) == ([], whole)
    change(place / NAME)

    for dataset in (make(), *([made] if reader not in COPIED else [])):
        with pytest.raises(SampleError, match=r"row [12]|a\.png"):
            pixels(sample(dataset))
    assert len(found(make())) == 1


@changed
def test_a_sample_that_was_made_before_its_image_changed_reads_nothing_else(change, folder):
    held = [sample(JsonlDataset(lines(folder))), sample(CsvDataset(table(folder)))]
    change(folder / NAME)

    for each in held:
        with pytest.raises(SampleError, match="row "):
            pixels(each)


@pytest.mark.parametrize("reader", COPIED)
def test_an_image_beside_an_embedded_one_that_is_added_or_changed_is_read(reader, folder):
    make, place = opener(reader, folder)
    (place / NAME).rename(folder / "later.png")
    assert found(make()) == ["missing image"]
    (folder / "later.png").rename(place / NAME)
    assert found(make()) == []
    before = pixels(sample(make()))
    pil.new("RGB", (8, 8), "yellow").save(place / NAME)

    assert pixels(sample(make())) != before


@pytest.mark.parametrize("kind", [pipe, device])
def test_an_image_of_a_plugin_is_no_pipe_or_device(kind, folder):
    kind(folder / NAME)

    with pytest.raises(SampleError, match=r"a\.png: it is a (pipe|device), not a file"):
        Image.from_path(folder / NAME).open()


def test_a_file_of_rows_that_became_a_pipe_is_an_error(folder):
    made = JsonlDataset(lines(folder))
    assert sample(made).gold == "5"
    pipe(folder / "test.jsonl")

    with pytest.raises(DataError, match=r"changed while.*a pipe"):
        sample(made)


def test_a_link_that_leads_elsewhere_now_is_followed_where_it_leads_now(folder):
    """The part `data` found it: a link to nothing within the folder, then one out of it."""
    make, _ = opener("csv", folder)
    for target, reason in (("none.png", "No such file"), ("../../a.png", "link out of")):
        (folder / NAME).unlink()
        (folder / NAME).symlink_to(target)
        with pytest.raises(SampleError, match=reason):
            pixels(sample(make()))
