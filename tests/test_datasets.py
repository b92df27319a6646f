"""A file of rows: its samples, and the errors of broken rows."""

import json
import pickle
from pathlib import Path

import pytest
from PIL import Image as Pil

from rftcore.datasets import JsonlDataset
from rftcore.errors import DataError, SampleError

ROW = {"id": "a", "question": "How many?", "answer": 5, "image": "a.png", "split": "rl"}


@pytest.fixture
def write(tmp_path: Path):
    Pil.new("RGB", (4, 4), "red").save(tmp_path / "a.png")

    def rows(*rows: object) -> JsonlDataset:
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
        return JsonlDataset(path)

    return rows


def row(**changes: object) -> dict:
    return {name: value for name, value in {**ROW, **changes}.items() if value is not None}


def test_a_row_becomes_a_sample(write):
    sample = write(row(cot="1, 2", level=3)).sample("rl", 0)

    assert (sample.id, sample.question, sample.gold, sample.cot) == ("a", "How many?", "5", "1, 2")
    assert sample.meta == {"level": 3}
    assert sample.origin.endswith("rows.jsonl row 1")
    assert sample.images[0].open().size == (4, 4)


def test_several_images_keep_their_order(write):
    images = write(row(image=None, images=["a.png", "b/c.png"])).sample("rl", 0).images

    assert [Path(image.key).name for image in images] == ["a.png", "c.png"]


def test_splits_come_in_their_usual_order(write):
    rows = [row(id=split, question=split, split=split) for split in ("ood-x", "test", "sft", "rl")]

    assert write(*rows).splits == ("sft", "rl", "test", "ood-x")


def test_rows_without_a_split_are_assigned_and_equal_rows_stay_together(write):
    rows = [
        row(id=None, split=None, question=f"{n % 100}?", image=f"{n % 100}.png", cot="x")
        for n in range(200)
    ]
    data = write(*rows)
    questions = [
        {data.sample(split, at).question for at in range(data.size(split))} for split in data.splits
    ]

    assert data.splits == ("sft", "rl", "val", "test")
    assert sum(data.size(split) for split in data.splits) == 200
    assert len(set.union(*questions)) == sum(map(len, questions)) == 100


def test_it_travels_between_processes_and_gives_the_same_samples(write):
    data = write(row())
    known = data.sample("rl", 0)

    assert pickle.loads(pickle.dumps(data)).sample("rl", 0) == known
    assert pickle.loads(pickle.dumps(known)).images[0].open().size == (4, 4)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "a row must be a JSON object"),
        (row(question=None, qestion="?"), "no 'question'. Did you mean 'qestion'"),
        (row(question=" "), "no 'question'"),
        (row(question=5), "question 5 must be text"),
        (row(answer=None), "no 'answer'"),
        (row(answer=True), "answer True"),
        (row(answer=[5]), "answer [5]"),
        (row(cot=3), "cot 3 must be text"),
        (row(id=["a"]), "id ['a']"),
        (row(image=None, imgae="a.png"), "no 'image'. Did you mean 'imgae'"),
        (row(images=["b.png"]), "'image' and 'images' differ"),
        (row(image=None, images=[None]), "image None is not a path"),
        (row(image=3), "image 3 is not a path"),
        (row(image="../a.png"), "is outside the folder"),
        (row(image="b/../../a.png"), "is outside the folder"),
        (row(image="/etc/passwd"), "is outside the folder"),
        (row(image="C:\\a.png"), "is outside the folder"),
        (row(image="..\\a.png"), "is outside the folder"),
        (row(split="tset"), "Did you mean 'test'"),
        (row(split="ood-"), "split 'ood-'"),
        (row(question="again"), "id 'a' is also the id of"),
        (row(id="b", split="test"), "splits must not overlap"),
    ],
)
def test_a_bad_row_is_named_with_its_reason(write, bad, reason: str):
    with pytest.raises(SampleError) as caught:
        write(row(), "", bad).size("rl")

    assert "rows.jsonl row 3: " in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "No such file or directory"),
        (b"", "not an image in any"),
        (b"not an image", "not an image in any"),
        (b"\x89PNG\r\n\x1a\n", "not an image in any"),
    ],
)
def test_a_missing_or_corrupt_image_is_named_with_its_row(write, tmp_path: Path, content, fault):
    data = write(row(image="b.png"))
    if content is not None:
        (tmp_path / "b.png").write_bytes(content)

    with pytest.raises(SampleError, match=rf"rows.jsonl row 1: .*b\.png: {fault}"):
        data.sample("rl", 0).images[0].open()


def test_a_truncated_image_is_named_with_its_row(write, tmp_path: Path):
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").unlink()
    data = write(row())
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(SampleError, match=r"rows\.jsonl row 1"):
        data.sample("rl", 0).images[0].open()


def test_a_link_does_not_lead_out_of_the_folder(write, tmp_path: Path):
    data = write(row(image="link/passwd"))
    (tmp_path / "link").symlink_to("/etc")

    with pytest.raises(SampleError, match="link out of"):
        data.sample("rl", 0)


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe{}"])
def test_a_file_without_rows_is_an_error_that_names_it(tmp_path: Path, content):
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DataError, match=r"rows\.jsonl"):
        JsonlDataset(path).splits  # noqa: B018


def test_an_unknown_split_is_an_error_with_a_suggestion(write):
    with pytest.raises(DataError, match="Did you mean 'rl'"):
        write(row()).size("r1")


@pytest.mark.parametrize("index", [-1, 1])
def test_an_index_outside_the_split_is_an_index_error(write, index: int):
    with pytest.raises(IndexError):
        write(row()).sample("rl", index)
