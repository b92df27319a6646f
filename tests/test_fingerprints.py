"""Hashes of data and prompts in the manifest change with the content, and only with it."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image as Pil

from rftcore import parsers, prompts, rewards
from rftcore.datasets import JsonlDataset, ReasonRftDataset, checks, slices
from rftcore.errors import DataError, RunError, SampleError
from rftcore.images import Image
from rftcore.pipeline import preflight
from rftcore.pipeline.job import Job
from rftcore.pipeline.plan import Plan
from rftcore.runs import task_file
from rftcore.types import Prompt, Sample, Task, Term

ROWS = [
    {"id": str(n), "question": f"How many {n}?", "answer": n, "image": f"im/{n}.png", "cot": "So."}
    for n in range(3)
]


def write(folder: Path, rows=ROWS) -> Path:
    """Rows as one file and as a folder's `test` file, and their images."""
    (folder / "im").mkdir(parents=True, exist_ok=True)
    for n in range(3):
        Pil.new("RGB", (4, 4), (n, 0, 0)).save(folder / "im" / f"{n}.png")
    given = [{k: v for k, v in row.items() if v is not None} for row in rows]
    lines = "\n".join(json.dumps({**row, "split": "test"}) for row in given)
    (folder / "rows-test.jsonl").write_text(lines)
    return folder


READERS: dict[str, Callable[[str], object]] = {
    "file": lambda folder: JsonlDataset(f"{folder}/rows-test.jsonl"),
    "folder": ReasonRftDataset,
}
reader = pytest.mark.parametrize("reader", READERS)


@dataclass(frozen=True)
class Samples:
    """A dataset of one split."""

    rows: tuple[Sample, ...]
    splits: tuple[str, ...] = ("test",)

    def size(self, split):
        return len(self.rows)

    def sample(self, split, index):
        return self.rows[index]


def task(dataset, prompt=None, **fields) -> Task:
    prompt = prompt or prompts.think_then_answer("Answer with one integer.")
    terms = {"accuracy": Term(rewards.exact)}
    return Task("t", dataset, prompt, parsers.Integer(), terms, **fields)


def checked(made: Task, **options) -> checks.Checked:
    parts = [slices.take(made, split) for split in made.dataset.splits]
    return checks.check(made, parts, progress=False, **options)


def fingerprint(dataset) -> str:
    return checked(task(dataset)).fingerprints["test"]


def identity(dataset) -> tuple:
    """All that claims to identify the data."""
    found = checked(task(dataset))
    rows = [dataset.sample("test", at) for at in range(dataset.size("test"))]
    return found.fingerprints, found.prompt_hash, [row.content_hash() for row in rows]


@reader
def test_data_is_the_same_however_its_path_is_written_and_wherever_it_is(
    reader, tmp_path, monkeypatch
):
    here = write(tmp_path / "here")
    there = shutil.copytree(here, tmp_path / "other" / "there")
    monkeypatch.chdir(here)
    folders = [".", "./", "../here", str(here), f"{here}/im/..", "../other/there", str(there)]

    known = identity(READERS[reader](folders[0]))
    assert all(identity(READERS[reader](folder)) == known for folder in folders)


@reader
@pytest.mark.parametrize("spelling", ["./im/{}.png", "im//{}.png", "im/./{}.png"])
def test_data_is_the_same_however_its_rows_write_a_path(reader, spelling, tmp_path):
    spelt = [{**row, "image": spelling.format(row["id"])} for row in ROWS]
    folders = [write(tmp_path / "a"), write(tmp_path / "b", spelt)]

    one, two = (identity(READERS[reader](folder)) for folder in folders)
    assert one == two


def one_pixel(folder: Path) -> None:
    with Pil.open(folder / "im/1.png") as image:
        image.putpixel((3, 3), (1, 0, 1))
        image.save(folder / "im/1.png")


def rows(*changed: dict) -> Callable[[Path], object]:
    return lambda folder: write(folder, list(changed))


CHANGES = {
    "a pixel": one_pixel,
    "an answer": rows(ROWS[0], {**ROWS[1], "answer": 7}, ROWS[2]),
    "a question": rows(ROWS[0], {**ROWS[1], "question": "How many 1 ?"}, ROWS[2]),
    "a cot": rows(ROWS[0], {**ROWS[1], "cot": "So!"}, ROWS[2]),
    "no cot": rows(ROWS[0], {**ROWS[1], "cot": None}, ROWS[2]),
    "a field that goes into meta": rows(ROWS[0], {**ROWS[1], "level": 2}, ROWS[2]),
    "the order": rows(ROWS[1], ROWS[0], ROWS[2]),
    "a row less": rows(*ROWS[:2]),
    "an image more": rows(
        ROWS[0], {**ROWS[1], "image": None, "images": ["im/1.png", "im/2.png"]}, ROWS[2]
    ),
}


@reader
@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_of_the_data_changes_its_fingerprint(reader, change, tmp_path):
    known = fingerprint(READERS[reader](write(tmp_path)))
    CHANGES[change](tmp_path)

    assert fingerprint(READERS[reader](tmp_path)) != known


@reader
def test_an_image_saved_in_another_file_format_is_the_same_image(reader, tmp_path):
    known = fingerprint(READERS[reader](write(tmp_path)))
    with Pil.open(tmp_path / "im/1.png") as image:
        image.save(tmp_path / "im/1.png", "BMP")

    assert fingerprint(READERS[reader](tmp_path)) == known


def test_parts_of_a_sample_cannot_pass_for_one_another():
    samples = [Sample("a", "x\x1fy", "1"), Sample("a", "x", "y\x1f1"), Sample("a", "x", "y")]

    assert len({sample.content_hash() for sample in samples}) == 3


@dataclass(frozen=True)
class Thing:
    """What a generator keeps in `meta`."""

    color: str


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Thing("red"), Thing("blue")),
        ({1: "a"}, {"1": "a"}),
        ([1, 2], [2, 1]),
        ({1, 2}, {1, 3}),
        (10**5000, 10**5000 + 1),
        (b"a", b"b"),
        (float("nan"), 0.0),
        (True, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_generator_keeps_in_meta_is_part_of_the_fingerprint(one, two):
    def of(value):
        return fingerprint(Samples((Sample("a", "?", "1", meta={"x": value}),)))

    assert of(one) == of(one) != of(two)


# --- prompts ----------------------------------------------------------------------------


def prompt_hash(*samples: Sample, prompt=None, direct=(), **fields) -> str:
    return checked(task(Samples(samples), prompt, **fields), direct=direct).prompt_hash


ASKED = [Sample(str(n), f"How many {n}?", str(n)) for n in range(3)]


@pytest.mark.parametrize("at", range(3))
def test_every_prompt_is_part_of_the_prompt_hash(at):
    other = list(ASKED)
    other[at] = replace(other[at], question="How many are there?")

    assert prompt_hash(*other) != prompt_hash(*ASKED) == prompt_hash(*ASKED)


def test_the_prompt_hash_does_not_depend_on_what_is_not_shown():
    assert prompt_hash(replace(ASKED[0], gold="7", cot="Seven.")) == prompt_hash(ASKED[0])


def test_the_direct_prompt_is_part_of_the_prompt_hash_where_it_is_used():
    hashes = [
        prompt_hash(*ASKED, direct_prompt=prompts.direct(words), direct=splits)
        for words in ("One.", "Two.")
        for splits in ((), ("test",))
    ]

    assert hashes[0] == hashes[2]
    assert len(set(hashes)) == 3


def solid(shade: int) -> Image:
    from io import BytesIO

    buffer = BytesIO()
    Pil.new("RGB", (2, 2), (shade, 0, 0)).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


@pytest.mark.parametrize("images", [(0,), (0, 0), (1, 0), (0, 1, 2)])
def test_the_images_that_a_prompt_shows_are_part_of_the_prompt_hash(images):
    pool = [solid(0), solid(1), solid(2)]
    sample = Sample("a", "?", "1", (pool[0], pool[1]))
    hashes = {
        prompt_hash(sample, prompt=lambda s, k=k: Prompt("?", tuple(pool[i] for i in k)))
        for k in (images, (0, 1))
    }

    assert len(hashes) == 2


def test_a_prompt_that_fails_names_the_row():
    with pytest.raises(SampleError, match=r"row 7: the task's prompt failed: KeyError: 'level'"):
        prompt_hash(replace(ASKED[0], origin="row 7"), prompt=lambda s: Prompt(s.meta["level"]))


# --- in a run ---------------------------------------------------------------------------


@dataclass
class Recipe:
    """Which task a run trains."""

    task: str


class Folder:
    """A run's manifest."""

    path = Path("runs/x")

    def __init__(self):
        self.facts = {}

    def manifest(self):
        return self.facts


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda task: task, None),
        (lambda task: replace(task, dataset=Samples(tuple(ASKED[:2]))), "data of split test"),
        (lambda task: replace(task, prompt=prompts.direct("Now.")), "the task's prompt"),
    ],
)
def test_a_run_whose_data_or_prompt_has_changed_does_not_go_on(change, found, monkeypatch):
    made, folder = task(Samples(tuple(ASKED))), Folder()
    began = checked(made)
    folder.facts = {"data": dict(began.fingerprints), "prompt_hash": began.prompt_hash}
    monkeypatch.setattr(preflight, "_checked", lambda job: checked(job.plan.task))
    job = Job(Plan(Recipe("t"), change(made), "nano", None, ()), folder)

    if found is None:
        preflight._same_data(job)
        return
    with pytest.raises(RunError, match=rf"{found}.* has changed since runs/x began"):
        preflight._same_data(job)


def test_the_file_of_a_task_without_a_version_is_identified_by_its_content(tmp_path):
    def known(content: str) -> str | None:
        (tmp_path / "mine.py").write_text(content)
        return task_file(f"{tmp_path}/mine.py:task")

    assert known("1") == known("1") != known("2")
    assert task_file("rft-x:counting") is None


def test_a_sample_is_known_again_by_its_pixels_under_any_name(tmp_path):
    Pil.new("RGB", (2, 2)).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    row = {"question": "How many?", "answer": 1, "cot": "One."}
    rows = [{**row, "image": "a.png", "split": "sft"}, {**row, "image": "b.png", "split": "test"}]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))

    with pytest.raises(DataError, match="make the splits disjoint"):
        checked(task(JsonlDataset(os.path.relpath(tmp_path / "r.jsonl"))))
