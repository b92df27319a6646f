"""Rows that share an image are in one split; where the data assigns them to two, it is reported."""

import json
import shutil
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image as Pil

from rftcore import parsers, prompts, rewards
from rftcore.datasets import JsonlDataset, ReasonRftDataset, checks, sample_check, slices
from rftcore.datasets.audit import audit
from rftcore.datasets.grouping import assign, copies, groups
from rftcore.errors import DataError
from rftcore.splits import TRAINING
from rftcore.types import Task, Term

PROMPT = prompts.think_then_answer("Answer with one integer.")


def save(folder: Path, *names: str) -> None:
    """Images that all differ."""
    for name in names:
        color = zlib.crc32(name.encode()).to_bytes(4, "big")
        Pil.new("RGB", (1, 1), tuple(color[:3])).save(folder / name, "PNG")


def rows(images: int, questions: int, **fields) -> list[dict]:
    """Several questions per image, as charts and documents have them."""
    return [
        {"question": f"How many of {q}?", "answer": q, "image": f"{n}.png", "cot": "So.", **fields}
        for n in range(images)
        for q in range(questions)
    ]


def write(folder: Path, **files: list[dict]) -> Path:
    for name, found in files.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, found)))
    return folder


READERS = {
    "one file": lambda folder, found: JsonlDataset(write(folder, rows=found) / "rows.jsonl"),
    "train": lambda folder, found: ReasonRftDataset(write(folder, train=found), sft_rows=200),
    "sft and rl": lambda folder, found: ReasonRftDataset(
        write(folder, sft=found[::3], rl=[row for at, row in enumerate(found) if at % 3])
    ),
}
reader = pytest.mark.parametrize("reader", READERS)


def images(dataset) -> dict[str, set[str]]:
    """The keys of the images that each split shows."""
    samples = {s: [dataset.sample(s, at) for at in range(dataset.size(s))] for s in dataset.splits}
    return {s: {i.key for row in found for i in row.images} for s, found in samples.items()}


def shared(dataset) -> set[str]:
    """The images that are trained on and measured on."""
    shown = images(dataset)
    trained = [found for split, found in shown.items() if split in TRAINING]
    measured = [found for split, found in shown.items() if split not in TRAINING]
    return set().union(*trained) & set().union(*measured)


ORDERS = {
    "by image": lambda found: found,
    "backwards": lambda found: found[::-1],
    "by question": lambda found: sorted(found, key=lambda row: row["question"]),
}


@reader
@pytest.mark.parametrize("order", ORDERS)
def test_no_image_is_trained_on_and_measured_on(reader, order, tmp_path):
    dataset = READERS[reader](tmp_path, ORDERS[order](rows(120, 5)))

    assert "val" in dataset.splits
    assert shared(dataset) == set()


@reader
def test_several_images_of_a_row_tie_its_images_together(reader, tmp_path):
    found = [
        {**row, "image": None, "images": [f"{n}.png", f"{n // 4}-of-four.png"]}
        for n, row in enumerate(rows(240, 1))
    ]
    dataset = READERS[reader](tmp_path, found)

    assert "val" in dataset.splits
    assert shared(dataset) == set()


@reader
def test_copies_of_an_image_are_one_image(reader, tmp_path):
    for n in range(60):
        save(tmp_path, f"{n}.png")
        shutil.copy(tmp_path / f"{n}.png", tmp_path / f"{n + 60}.png")
    dataset = READERS[reader](tmp_path, rows(120, 3))
    shown = images(dataset)
    trained = {int(Path(key).stem) % 60 for s in TRAINING for key in shown.get(s, ())}
    measured = {int(Path(key).stem) % 60 for s in {*shown} - {*TRAINING} for key in shown[s]}

    assert measured
    assert not trained & measured


def split_of(dataset) -> dict[str, str]:
    """The split of each row, by its id; sft and rl, which follow the order of rows, as one."""
    every = ((s, dataset.sample(s, at).id) for s in dataset.splits for at in range(dataset.size(s)))
    return {name: "train" if split in TRAINING else split for split, name in every}


@pytest.mark.parametrize("reader", ["one file", "train"])
def test_the_split_of_a_row_does_not_depend_on_the_order_of_rows(reader, tmp_path):
    found = [{**row, "id": str(n), "cot": None} for n, row in enumerate(rows(60, 4))]
    one, other = (split_of(READERS[reader](tmp_path, f)) for f in (found, found[::-1]))

    assert one == other
    assert "val" in one.values()


def test_another_question_about_an_image_moves_no_row(tmp_path):
    found = [{**row, "id": str(n)} for n, row in enumerate(rows(60, 2))]
    before = split_of(READERS["one file"](tmp_path, found))
    more = {**found[0], "id": "new", "question": "And now?"}
    after = split_of(READERS["one file"](tmp_path, [*found, more]))

    assert after == {**before, "new": before["0"]}


# --- groups -----------------------------------------------------------------------------

tied = st.lists(st.lists(st.integers(0, 15), max_size=3).map(tuple), max_size=20)


@example([(0, 1), (2, 3), (1, 2)], [])
@given(tied, st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=3))
def test_groups_are_the_connected_components(found, same):
    grouped = groups(found, same)
    parts = [set(row) for row in found if row] + [{*pair} for pair in same]
    merged = True
    while merged:  # the truth, slowly
        merged = False
        for one in range(len(parts)):
            for other in range(one):
                if parts[one] & parts[other]:
                    parts[other] |= parts.pop(one)
                    merged = True
                    break
            if merged:
                break

    for row, group in zip(found, grouped, strict=True):
        assert group == (min(next(p for p in parts if row[0] in p)) if row else None)


splits = st.sampled_from(["", "", "", "sft", "rl", "val", "test", "ood-x"])


@given(st.lists(st.tuples(st.integers(0, 40), splits, st.booleans()), min_size=1, max_size=20))
def test_a_row_without_a_split_never_leaks(found):
    together, named, reasoned = map(list, zip(*found, strict=True))
    assigned = assign(Path("x"), named, together, reasoned)

    for group in {*together}:
        rows = [at for at, other in enumerate(together) if other == group]
        if len({named[at] in TRAINING for at in rows if named[at]}) < 2:
            assert len({assigned[at] in TRAINING for at in rows}) == 1
    for old, new, cot in zip(named, assigned, reasoned, strict=True):
        assert new == old if old else cot or new != "sft"


def test_files_of_equal_bytes_are_copies_and_missing_ones_are_not(tmp_path):
    contents = {0: b"a" * 9000, 1: b"a" * 9000, 2: b"a" * 8999 + b"b", 3: b"a", 4: b"a", 5: None}
    for name, content in contents.items():
        if content is not None:
            (tmp_path / str(name)).write_bytes(content)

    assert sorted(copies({n: tmp_path / str(n) for n in contents})) == [(0, 1), (3, 4)]


def test_an_image_in_most_rows_is_one_error_that_asks_for_splits(tmp_path):
    found = [{**row, "image": None, "images": ["key.png", row["image"]]} for row in rows(30, 1)]
    path = write(tmp_path, rows=found) / "rows.jsonl"

    with pytest.raises(DataError, match=r"30 of 30 rows .* Give every row a `split`"):
        JsonlDataset(path).splits  # noqa: B018
    named = [{**row, "split": "rl"} for row in found]
    assert JsonlDataset(write(tmp_path, rows=named) / "rows.jsonl").splits == ("rl",)


def test_equal_rows_may_be_in_sft_and_rl_but_nowhere_else(tmp_path):
    one = rows(1, 1)[0]
    both = [{**one, "split": "sft"}, {**one, "split": "rl"}]

    assert JsonlDataset(write(tmp_path, rows=both) / "rows.jsonl").splits == ("sft", "rl")
    both[1]["split"] = "val"
    with pytest.raises(DataError, match="splits must not overlap"):
        JsonlDataset(write(tmp_path, rows=both) / "rows.jsonl").splits  # noqa: B018


# --- what a folder deals ----------------------------------------------------------------


def test_val_is_of_images_that_sft_does_not_show_where_there_are_enough(tmp_path):
    dataset = ReasonRftDataset(write(tmp_path, train=rows(100, 2)), sft_rows=50)

    assert [dataset.sample("sft", at).origin.split()[-1] for at in (0, 49)] == ["1", "50"]
    assert dataset.size("val") == 14  # a tenth of 150, in whole images


def test_rows_without_reasoning_are_not_for_phase_1(tmp_path):
    found = [{**row, "cot": "So." if n % 3 == 0 else ""} for n, row in enumerate(rows(90, 1))]
    dataset = ReasonRftDataset(write(tmp_path, train=found), sft_rows=20)

    assert dataset.size("sft") == 20
    assert all(dataset.sample("sft", at).cot for at in range(20))
    assert dataset.size("sft") + dataset.size("rl") + dataset.size("val") == 90
    assert audit(dataset, parsers.Integer(), PROMPT, progress=False).kinds == {"missing image": 90}


# --- what is reported -------------------------------------------------------------------


def task(dataset) -> Task:
    return Task("t", dataset, PROMPT, parsers.Integer(), {"accuracy": Term(rewards.exact)})


def checked(dataset) -> list[str]:
    made = task(dataset)
    found = checks.check(made, [slices.take(made, s) for s in dataset.splits], progress=False)
    return list(map(str, found.shared))


def found_by_check(dataset) -> list[str]:
    report = audit(dataset, parsers.Integer(), PROMPT, progress=False)
    return [str(finding) for finding in report.findings]


LEAKY = {
    "one file": lambda folder, train, test: JsonlDataset(
        write(
            folder,
            rows=[{**r, "split": "rl"} for r in train] + [{**r, "split": "test"} for r in test],
        )
        / "rows.jsonl"
    ),
    "folder": lambda folder, train, test: ReasonRftDataset(
        write(folder, train=train, test=test), val_rows=0, sft_rows=0
    ),
}


@pytest.mark.parametrize("reader", LEAKY)
@pytest.mark.parametrize("again", ["0.png", "copy.png", "saved-again.png"])
def test_an_image_of_training_in_an_evaluation_is_reported(reader, again, tmp_path):
    save(tmp_path, "0.png", "1.png", "2.png")
    shutil.copy(tmp_path / "0.png", tmp_path / "copy.png")
    with Pil.open(tmp_path / "0.png") as image:
        image.save(tmp_path / "saved-again.png", "BMP")
    [first, second, third] = rows(3, 1)
    test = [{**first, "image": again, "question": "And of 0?"}, third]
    dataset = LEAKY[reader](tmp_path, [first, second], test)

    [warning] = checked(dataset)
    assert warning.startswith("1 of 2 samples of 'test' show an image of training")
    [finding] = found_by_check(dataset)
    assert "image leak: in split test: shows an image that training also shows: " in finding
    assert "row 1 (rl)" in finding


@pytest.mark.parametrize("reader", LEAKY)
def test_splits_without_a_common_image_are_not_reported(reader, tmp_path):
    save(tmp_path, *(f"{n}.png" for n in range(4)))
    found = rows(4, 1)
    dataset = LEAKY[reader](tmp_path, found[:2], found[2:])

    assert checked(dataset) == found_by_check(dataset) == []


def test_rows_that_show_an_image_of_an_evaluation_can_be_left_out(tmp_path):
    save(tmp_path, *(f"{n}.png" for n in range(4)))
    found = rows(4, 1)
    test = [{**found[0], "question": "And now?"}]
    write(tmp_path, train=found, test=test)
    dataset = ReasonRftDataset(tmp_path, val_rows=0, drop_leaks=True)

    assert images(dataset)["sft"] == {"1.png", "2.png", "3.png"}
    assert checked(dataset) == found_by_check(dataset) == []


def test_a_gold_that_no_reward_can_use_is_a_fault_by_row(tmp_path):
    @rewards.reward(gold_fault=lambda gold: "it is odd" if gold % 2 else None)
    def even(x):
        return 1.0

    save(tmp_path, "0.png", "1.png")
    dataset = JsonlDataset(write(tmp_path, rows=rows(1, 2, split="rl")) / "rows.jsonl")
    made = Task("t", dataset, PROMPT, parsers.Integer(), {"even": Term(even)})
    report = audit(
        dataset,
        made.parser,
        PROMPT,
        unusable=lambda gold: sample_check.unusable(made, gold),
        progress=False,
    )

    [finding] = map(str, report.findings)
    assert finding == "rows.jsonl row 2: gold: '1': reward 'even' cannot use it: it is odd"
    with pytest.raises(DataError, match=r"row 2: gold '1': reward 'even' cannot use it: it is odd"):
        checks.check(made, [slices.take(made, "rl")], progress=False)


@pytest.mark.parametrize("split", ["rl", "sft", "test"])
def test_rows_with_and_without_images_are_a_fault_where_grpo_trains(split, tmp_path):
    save(tmp_path, "0.png")
    found = [
        *rows(1, 1, split=split),
        {"question": "And?", "answer": 1, "cot": "x", "split": split},
    ]
    dataset = JsonlDataset(write(tmp_path, rows=found) / "rows.jsonl")
    kinds = audit(dataset, parsers.Integer(), PROMPT, progress=False).kinds

    assert kinds == ({"mixed rows": 1} if split == "rl" else {})
