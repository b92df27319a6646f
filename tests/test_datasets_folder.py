"""A folder in the paper's layout: its samples, the roles of its files, and its faults."""

import io
import json
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image as Pil

from rftcore import builtin, cli, parsers, prompts, regular_files, rewards, tags
from rftcore.config import load_recipe
from rftcore.datasets import CsvDataset, JsonlDataset, ReasonRftDataset
from rftcore.datasets.audit import audit
from rftcore.datasets.checks import check
from rftcore.datasets.rows.record import record
from rftcore.datasets.slices import take
from rftcore.errors import DataError, PluginError, RecipeError, SampleError
from rftcore.training.rows import Rows
from rftcore.types import Task, Term

# The names in the public listing of the paper's data.
FILES = {
    "counting": {
        "train": "train_jsons/A3-Visual-Counting-train-35k-cot.json",
        "test": "test_jsons/Visual-Counting-id-test-1k.json",
        "ood-test": "test_jsons/Visual-Counting-ood-test-1k.json",
    },
    "structure": {
        "train": "train_jsons/A2-Structure-Perception-train-4k5-cot.json",
        "test": "test_jsons/Structure-Perception-id-test-820.json",
        "ood-test": "test_jsons/Structure-Perception-ood-test-800.json",
    },
    "transformation": {
        "train": "train_jsons/A1-Spatial-Transformation-train-60k-cot.json",
        "test": "test_jsons/Spatial-Transformation-id-test-1k.json",
        "ood-left": "test_jsons/Spatial-Transformation-ood-left-test-1k.json",
        "ood-right": "test_jsons/Spatial-Transformation-ood-right-test-1k.json",
    },
}
EXTRAS = ("train_jsons/Geometry3K-train-3794-cot.json", "train_jsons/AI2D-train-1467-cot.json")
GOLDS = {"counting": "3", "structure": "B", "transformation": "change_size(3, 'large')"}
REQUEST = "First think in <think> </think> tags, then answer in <answer> </answer> tags."
TRAIN_ROWS, TEST_ROWS = 40, 5
Row = dict[str, Any]


class AnyText:
    """Stands in for the parser of a task that is not installed here."""

    def parse(self, completion: str) -> Any:
        return self.gold(completion)

    def gold(self, text: str) -> Any:
        from rftcore.types import Parsed

        return Parsed(text)

    def show(self, value: Any) -> str:
        return str(value)


PARSERS = {"counting": parsers.Integer(0, 99), "structure": parsers.Choice()}


def picture(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pil.new("RGB", (6, 4), (shade % 256, shade // 256, 7)).save(path)


def meta(task: str, name: str, at: int) -> Row:
    """A record as the listing describes it; two images for transformations."""
    folder = "train_images" if "train" in name else "test_images"
    stem = f"{folder}/{Path(name).stem}-{at}"
    two = task == "transformation"
    image = [f"{stem}-0.png", f"{stem}-1.png"] if two else f"{stem}.png"
    return {
        "id": f"{Path(name).stem}-{at}",
        "image": image,
        "problem": f"How many in {Path(name).stem} {at}?",
        "cot": f"One, two, three of {at}.",
        "answer": GOLDS[task],
    }


def evaluated(task: str, name: str, at: int) -> Row:
    """A test record: with its level and type, without reasoning."""
    row = meta(task, name, at)
    del row["cot"]
    return {**row, "level": at % 3, "type": "count", "problem_no_prompt": row["problem"]}


def rl(row: Row) -> Row:
    answer = f"<answer> {row['answer']} </answer>"
    return {"id": row["id"], "image": row["image"], "problem": row["problem"], "solution": answer}


def dialogue(row: Row, *, tagged: bool = True) -> Row:
    images = row["image"] if isinstance(row["image"], list) else [row["image"]]
    text = f"Look closely. {REQUEST}\n{'<image>' * len(images)}\n{row['problem']}"
    target = tags.write(row["cot"], row["answer"]) if tagged else row["answer"]
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": target}]
    return {"id": row["id"], "images": images, "messages": turns}


def rows_of(task: str, role: str, name: str) -> list[Row]:
    size = TRAIN_ROWS if role == "train" else TEST_ROWS
    return [(meta if role == "train" else evaluated)(task, name, at) for at in range(size)]


def write(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text(json.dumps(rows, indent=1))


def make(folder: Path, tasks=("counting",), change: Callable[[Row], Row] = lambda row: row) -> Path:
    """A miniature of the paper's folder, with images; `change` is for training rows."""
    shade = 0
    for task in tasks:
        for role, name in FILES[task].items():
            rows = rows_of(task, role, name)
            for row in rows:
                for image in row["image"] if isinstance(row["image"], list) else [row["image"]]:
                    picture(folder / "images" / image, shade := shade + 1)
            write(folder / name, [change(row) for row in rows] if role == "train" else rows)
    return folder


def task_files(task: str) -> dict[str, Any]:
    """Options of a task's plugin for its files in the paper's folder."""
    if task not in FILES:
        return {}
    return dict(getattr(pytest.importorskip(f"rft_{task}"), task)().files)


def dataset(folder: Path, task: str = "counting", **options: Any) -> ReasonRftDataset:
    return ReasonRftDataset(folder, task, **{**task_files(task), "sft_rows": 16, **options})


def task_of(made: ReasonRftDataset) -> Task:
    return Task(
        name=made.task,
        dataset=made,
        prompt=prompts.think_then_answer("Answer with one number."),
        parser=PARSERS.get(made.task, AnyText()),
        rewards={"accuracy": Term(rewards.exact)},
    )


def report(folder: Path, task: str = "counting", **options: Any):
    made = task_of(dataset(folder, task, **options))
    return audit(made.dataset, made.parser, made.prompt, progress=False)


def ids(made: ReasonRftDataset, split: str) -> list[str]:
    return [made.sample(split, at).id for at in range(made.size(split))]


@pytest.fixture(scope="session")
def paper(tmp_path_factory) -> Path:
    """All three tasks and two of the extras, as they lie in the paper's folder."""
    folder = make(tmp_path_factory.mktemp("paper"), tuple(FILES))
    for name in EXTRAS:
        write(folder / name, rows_of("structure", "train", name))
    return folder


@pytest.fixture
def folder(paper: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(paper, tmp_path / "data"))


# --- good folders ---------------------------------------------------------------


@pytest.mark.parametrize("task", FILES)
def test_the_papers_folder_gives_its_files_to_the_task_that_asks(paper, task):
    layout = dataset(paper, task).layout

    assert {r: p.relative_to(paper).as_posix() for r, p in layout.files.items()} == FILES[task]
    assert not layout.missing
    assert {Path(name).name for name in EXTRAS} <= {path.name for path in layout.unused}


@pytest.mark.parametrize("task", FILES)
def test_the_papers_folder_has_nothing_wrong(paper, task):
    found = report(paper, task)

    assert found.findings == []
    assert {split.split for split in found.splits} == set(dataset(paper, task).splits)


@pytest.mark.parametrize("task", FILES)
def test_training_accepts_the_papers_folder(paper, task):
    made = task_of(dataset(paper, task))
    parts = [take(made, split) for split in made.dataset.splits]

    assert set(check(made, parts, progress=False).fingerprints) == set(made.dataset.splits)


def test_a_row_becomes_a_sample(paper):
    sample = dataset(paper).sample("test", 1)

    assert (sample.question, sample.gold, sample.cot) == (
        "How many in Visual-Counting-id-test-1k 1?",
        "3",
        None,
    )
    assert sample.meta == {"level": 1, "type": "count", "problem_no_prompt": sample.question}
    assert sample.origin.endswith("Visual-Counting-id-test-1k.json row 2")
    assert sample.images[0].open().size == (6, 4)


def test_a_transformation_shows_the_first_state_and_then_the_last(paper):
    images = dataset(paper, "transformation").sample("sft", 0).images

    assert [Path(image.key).stem[-1] for image in images] == ["0", "1"]


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row,
        lambda row: {**row, "cot": f"<think>\n{row['cot']}\n</think>"},
        lambda row: {**row, "cot": tags.write(row["cot"], row["answer"])},
        lambda row: {**row, "cot": f"{row['cot']}</think><answer>{row['answer']}</answer>"},
        lambda row: {**row, "answer": f"<answer>{row['answer']}</answer>"},
        lambda row: {**row, "answer": int(row["answer"])},
        lambda row: {**row, "solution": f"<answer>{row['answer']}</answer>"},
        lambda row: {**row, "image": [row["image"]]},
        lambda row: {**row, "image": f"images/{row['image']}"},
        lambda row: {**row, "image": Path(row["image"]).name},
        lambda row: {**row, "problem": f"<image>{row['problem']} {REQUEST}"},
        lambda row: {**row, "problem": f"{REQUEST}<image>\n{row['problem']}"},
        lambda row: dialogue(row),
        lambda row: {"image": row["image"], "messages": dialogue(row)["messages"]},
    ],
)
def test_every_way_to_write_a_row_gives_the_same_sample(tmp_path, change):
    plain = meta("counting", FILES["counting"]["train"], 0)
    sample = dataset(make(tmp_path, change=change)).sample("sft", 0)

    assert (sample.question, sample.gold, sample.cot) == (plain["problem"], "3", plain["cot"])
    assert sample.images[0].key == f"images/{plain['image']}"
    assert prompts.sft_target(sample) == tags.write(plain["cot"], "3")


@pytest.mark.parametrize("change", [rl, lambda row: dialogue(row, tagged=False)])
def test_rows_without_reasoning_are_all_for_phase_2(tmp_path, change):
    made = dataset(make(tmp_path, change=change))

    assert made.splits == ("rl", "val", "test", "ood-test")
    assert made.size("rl") + made.size("val") == TRAIN_ROWS
    assert made.sample("rl", 0).gold == "3"


def test_json_lines_give_the_same_samples_as_an_array(folder):
    name = FILES["counting"]["train"]
    known = dataset(folder)
    before = [known.sample("rl", at).content_hash() for at in range(known.size("rl"))]
    write((folder / name).with_suffix(".jsonl"), json.loads((folder / name).read_text()))
    (folder / name).unlink()
    made = dataset(folder)

    assert [made.sample("rl", at).content_hash() for at in range(made.size("rl"))] == before


def test_files_of_ones_own_need_no_name_of_the_paper(tmp_path):
    for name in ("train", "val", "test", "ood-dark"):
        picture(tmp_path / f"{name}.png", len(name))
        row = {"problem": name, "answer": 1, "image": f"{name}.png", "cot": "1"}
        write(tmp_path / f"{name}.jsonl", [{**row, "problem": f"{name} {at}"} for at in range(3)])
    made = ReasonRftDataset(tmp_path, "my-task", sft_rows=2)

    assert made.splits == ("sft", "rl", "val", "test", "ood-dark")
    assert (made.size("sft"), made.size("rl")) == (2, 1)


def test_a_task_of_ones_own_has_what_the_papers_tasks_have(fakes, tmp_path):
    for name in ("train", "mine-train", "bar-charts-train"):
        picture(tmp_path / f"{name}.png", len(name))
        row = {"answer": 1, "image": f"{name}.png", "cot": "1"}
        write(tmp_path / f"{name}.jsonl", [{**row, "problem": f"{name} {at}"} for at in range(3)])

    def chart_qa(files=None) -> Task:
        return replace(counting(), name="chart-qa", files=files or {})

    def origin(files: dict[str, Any]) -> tuple[str, int]:
        catalogue = fakes.load({"charts": fakes.tasks(charts=partial(chart_qa, files))})
        made = catalogue.task_of(
            load_recipe(("", {"task": "charts"}), overrides=[f"dataset.path={tmp_path}"])
        )
        return Path(made.dataset.sample("rl", 0).origin).stem, made.dataset.size("rl")

    assert origin({"names": ["Bar charts"], "words": ["mine"]})[0] == "bar-charts-train"
    assert origin({"words": ["mine"], "rl_rows": "all"}) == ("mine-train", 3)
    with pytest.raises(RecipeError, match=r"Task\.files of 'chart-qa'.*Did you mean 'words'"):
        origin({"wordz": ["charts"]})
    with pytest.raises(PluginError, match="its files are 'charts'"):
        origin("charts")


def test_files_can_be_named_if_their_names_do_not_show_their_role(folder):
    shutil.copy(folder / FILES["counting"]["test"], folder / "mine.json")
    made = dataset(folder, test="mine.json", ood={"mine": FILES["counting"]["ood-test"]})

    assert made.sample("test", 0).origin.startswith(str(folder / "mine.json"))
    assert "ood-mine" in made.splits


def test_phase_files_of_ones_own_win_over_the_training_file(folder):
    rows = json.loads((folder / FILES["counting"]["train"]).read_text())
    write(folder / "Visual-Counting-sft-1k6.json", [dialogue(row) for row in rows[:10]])
    write(folder / "Visual-Counting-rl.json", [rl(row) for row in rows])
    made = dataset(folder)

    assert made.size("sft") == 10
    assert not set(ids(made, "val")) & set(ids(made, "sft"))
    assert made.size("rl") + made.size("val") == TRAIN_ROWS
    assert report(folder).findings == []


# --- splits -----------------------------------------------------------------------


@pytest.mark.parametrize(("task", "again"), [("counting", False), ("structure", True)])
def test_phase_2_goes_on_after_phase_1_and_structure_sees_all_again(paper, task, again):
    made = dataset(paper, task)

    assert ids(made, "sft") == [f"{Path(FILES[task]['train']).stem}-{at}" for at in range(16)]
    assert (set(ids(made, "sft")) <= set(ids(made, "rl"))) == again


def test_which_rows_phase_2_uses_can_be_set(paper):
    assert dataset(paper, rl_rows="all").size("rl") > dataset(paper).size("rl")
    assert dataset(paper, "structure", rl_rows="rest").size("rl") == dataset(paper).size("rl")


# The group of each row: rows of a group share images.
rows_in = st.lists(st.integers(0, 12) | st.none(), max_size=60)


@example([0, *range(30)], 1, "rest", 10)  # the first to be held out, were it not in sft
@given(rows_in, st.integers(0, 40), st.sampled_from(["rest", "all"]), st.integers(0, 10))
def test_val_is_never_trained_on_and_no_row_is_lost(paper, contents, first, again, most):
    made = ReasonRftDataset(paper, "counting", sft_rows=first, rl_rows=again, val_rows=most)
    dealt = made.assign({"train": contents}, [True] * len(contents))
    trained = {contents[at] for split in ("sft", "rl") for at in dealt[split]}
    held = {contents[at] for at in dealt["val"]}

    assert not held & trained
    assert set(dealt["sft"]) <= set(range(first))
    assert None not in held
    assert {*dealt["sft"], *dealt["rl"], *dealt["val"]} == set(range(len(contents)))
    assert len(dealt["val"]) <= min(most, len(contents) // 10)


def test_val_is_the_same_whatever_the_order_of_the_rows(folder):
    before = sorted(ids(dataset(folder, sft_rows=0), "val"))
    path = folder / FILES["counting"]["train"]
    write(path, json.loads(path.read_text())[::-1])

    assert sorted(ids(dataset(folder, sft_rows=0), "val")) == before != []


def test_the_sample_is_the_same_in_another_process_and_another_place(paper, folder):
    one, other = dataset(paper), pickle.loads(pickle.dumps(dataset(folder)))

    hashes = [[d.sample("rl", at).content_hash() for at in range(5)] for d in (one, other)]
    assert hashes[0] == hashes[1]


def test_rows_that_an_evaluation_asks_too_can_be_left_out(folder):
    path = folder / FILES["counting"]["train"]
    test = json.loads((folder / FILES["counting"]["test"]).read_text())
    write(path, [*json.loads(path.read_text()), {**test[0], "cot": "x"}])
    leaky, clean = task_of(dataset(folder)), task_of(dataset(folder, drop_leaks=True))

    with pytest.raises(DataError, match="make the splits disjoint"):
        check(leaky, [take(leaky, s) for s in leaky.dataset.splits], progress=False)
    check(clean, [take(clean, s) for s in clean.dataset.splits], progress=False)


# --- the questions ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("How many?", "How many?"),
        ("<image>How many?", "How many?"),
        ("<image>\n<image>\nHow many?", "How many?"),
        (f"How many? {REQUEST}", "How many?"),
        (f"{REQUEST}\nHow many?", "How many?"),
        (f"Rules. {REQUEST}<image>How many?", "How many?"),
        ("Look at <image> and count 3.5 cm.", "Look at image 1 and count 3.5 cm."),
        (f"(0, cube, red)\n(1, ball, blue)\n{REQUEST} Go.", "(0, cube, red)\n(1, ball, blue) Go."),
    ],
)
def test_a_question_loses_requests_that_the_tasks_prompt_repeats(given_, kept):
    images = ["a.png"] * max(1, given_.count("<image>"))
    told, faults = record({"problem": given_, "image": images, "answer": 1})

    assert not faults
    assert told.question == kept


def test_instructions_can_be_kept(paper):
    told, _ = record({"problem": f"Go. {REQUEST}", "image": "a", "answer": 1}, strip=False)

    assert told.question == f"Go. {REQUEST}"


texts = st.text(max_size=60) | st.sampled_from(["<think>", "</answer>", REQUEST, "<image>"])
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
NAMES = ["id", "image", "images", "problem", "answer", "solution", "cot", "messages"]


@given(st.dictionaries(st.sampled_from(NAMES), jsons) | jsons)
def test_a_row_is_a_record_or_has_faults_and_nothing_crashes(fields):
    told, faults = record(fields)

    assert (told is None) == bool(faults)
    if told:
        assert told.question.strip()
        assert told.gold == told.gold.strip() != ""
        assert not tags.has_tags(told.gold + (told.cot or ""))


# --- broken folders -------------------------------------------------------------------


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


ROW = 21  # of the training file: in split rl


def broken(**changes: Any) -> Callable[[Path], None]:
    """Change fields of one training row; None removes one."""

    def apply(folder: Path) -> None:
        path = folder / FILES["counting"]["train"]
        rows = json.loads(path.read_text())
        row = {**rows[ROW - 1], **changes}
        rows[ROW - 1] = {name: value for name, value in row.items() if value is not None}
        write(path, rows)

    return apply


def image_of(folder: Path) -> Path:
    row = json.loads((folder / FILES["counting"]["train"]).read_text())[ROW - 1]
    return folder / "images" / row["image"]


def replaced(content: bytes) -> Callable[[Path], None]:
    return lambda folder: image_of(folder).write_bytes(content)


def flipped(folder: Path) -> None:
    data = bytearray(image_of(folder).read_bytes())
    data[-14] ^= 0xFF  # in the checksum of the chunk, which decoding passes over
    image_of(folder).write_bytes(data)


def linked_out(folder: Path) -> None:
    image_of(folder).rename(folder.parent / "outside.png")
    image_of(folder).symlink_to(folder.parent / "outside.png")


def leaked(folder: Path) -> None:
    """A test question again, its image under another name."""
    test = json.loads((folder / FILES["counting"]["test"]).read_text())[0]
    shutil.copy(folder / "images" / test["image"], folder / "images/again.png")
    broken(problem=test["problem"], answer=test["answer"], image="again.png")(folder)


def repeated(folder: Path) -> None:
    """A test row again, its image under another name."""
    path = folder / FILES["counting"]["test"]
    test = json.loads(path.read_text())
    shutil.copy(folder / "images" / test[0]["image"], folder / "images/again.png")
    write(path, [*test, {**test[0], "id": "again", "image": "again.png"}])


def no_cot_in_sft(folder: Path) -> None:
    """A file for phase 1 whose third row has no reasoning."""
    rows = json.loads((folder / FILES["counting"]["train"]).read_text())
    del rows[2]["cot"]
    write(folder / "Visual-Counting-sft.json", rows[:16])


def not_json(folder: Path) -> None:
    path = folder / FILES["counting"]["train"]
    rows = json.loads(path.read_text())
    path.write_text("[" + ",".join(map(json.dumps, rows[: ROW - 1])) + ', {"id": }]')


SECOND = [Pil.new("L", (2, 2), 9)]
ANIMATED = encoded(Pil.new("L", (2, 2)), "GIF", save_all=True, append_images=SECOND)
TRANSPARENT = encoded(Pil.new("RGBA", (2, 2)), "PNG")
BROKEN = [
    (broken(image="nowhere.png"), ROW, "missing image", "nowhere.png: No such file"),
    (replaced(b"not an image"), ROW, "corrupt image", "not an image in any"),
    (replaced(b"\x89PNG\r\n\x1a\n"), ROW, "corrupt image", ""),
    (flipped, ROW, "corrupt image", ""),
    (replaced(ANIMATED), ROW, "several frames", "2 frames"),
    (replaced(TRANSPARENT), ROW, "nothing visible", "alpha is 0"),
    (lambda f: Pil.new("L", (9000, 9000)).save(image_of(f)), ROW, "image too large", "9000 x 9000"),
    (broken(answer="three"), ROW, "gold", "cannot read 'three'"),
    (broken(answer="<answer>3"), ROW, "gold", "unclosed"),
    (broken(solution="4"), ROW, "gold", "differ"),
    (broken(answer=True), ROW, "wrong field", "answer True"),
    (broken(cot="<think>a</think><answer>4</answer>"), ROW, "cot", "ends with answer '4'"),
    (broken(cot="<think>a<think>b</think>"), ROW, "cot", "several think blocks"),
    (broken(cot=7), ROW, "wrong field", "cot 7"),
    (broken(problem="<image><image>Which?"), ROW, "placeholders", "2 <image> in the text"),
    (broken(problem=None), ROW, "missing field", "no 'problem'"),
    (broken(answer=None), ROW, "missing field", "no 'answer'"),
    (broken(image=None, img="a.png"), ROW, "missing field", "no 'image'. Did you mean 'img'?"),
    (broken(image={"bytes": ""}), ROW, "wrong field", "is not a path"),
    (broken(image="../secret.png"), ROW, "path", "is outside the folder"),
    (broken(image="/etc/passwd"), ROW, "path", "is outside the folder"),
    (broken(image="C:\\a.png"), ROW, "path", "is outside the folder"),
    (linked_out, ROW, "path", "link out of"),
    (broken(id="A3-Visual-Counting-train-35k-cot-0"), ROW, "duplicate id", "the id of row 1"),
    (broken(messages=[]), ROW, "wrong field", "got no turns"),
    (leaked, None, "leak", "the same question, answer and images"),
    (repeated, None, "repeated", "so it counts twice"),
    (not_json, ROW, "not JSON", "the rest was not read"),
]


@pytest.mark.parametrize(("fault", "row", "kind", "expected"), BROKEN)
def test_a_fault_is_reported_by_file_and_row(folder, fault, row, kind, expected):
    fault(folder)
    found = report(folder).findings

    assert [finding.kind for finding in found] == [kind]
    assert found[0].file in (FILES["counting"]["train"], FILES["counting"]["test"])
    assert row in (None, found[0].row)
    assert expected in found[0].text


def test_all_faults_of_a_row_come_at_once(folder):
    broken(image="../x.png", answer=None, cot=7)(folder)

    kinds = [f.kind for f in report(folder).findings]
    assert kinds == ["path", "missing field", "wrong field"]


def test_training_stops_at_the_first_broken_row_with_file_and_row(folder):
    broken(answer=None)(folder)

    with pytest.raises(SampleError, match=rf"35k-cot\.json row {ROW}: missing field: no 'answer'"):
        dataset(folder).size("rl")


def test_a_corrupt_image_is_an_error_only_when_it_is_read(folder):
    replaced(b"no")(folder)
    made = dataset(folder, val_rows=0)

    with pytest.raises(SampleError, match=rf"row {ROW}: .*not an image"):
        made.sample("rl", ROW - 1 - 16).images[0].open()


def test_a_missing_image_next_to_its_archive_gets_a_hint(folder):
    shutil.rmtree(folder / "images")
    (folder / "train_images.zip").write_bytes(b"")

    assert "train_images.zip exists: unpack it" in report(folder).findings[0].text


def test_two_files_for_one_role_are_an_error_that_names_the_option(folder):
    shutil.copy(folder / FILES["counting"]["test"], folder / "Visual-Counting-id-test-v2.json")

    with pytest.raises(DataError, match=r"several files could be test .*--set dataset\.test=FILE"):
        dataset(folder)


@pytest.mark.parametrize("task", ["counting", "my-task"])
def test_the_files_of_another_task_are_never_taken(tmp_path, task):
    make(tmp_path, ("transformation",))

    with pytest.raises(DataError, match=f"no data of task {task!r}"):
        dataset(tmp_path, task)


def test_the_error_for_a_folder_without_data_lists_what_was_expected(tmp_path):
    write(tmp_path / "info.json", [])

    with pytest.raises(DataError, match=r"no JSON file has train.*info\.json"):
        dataset(tmp_path)


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["parts.csv", "images/1.png"], r"tables: parts\.csv\. Give the file .*/parts\.csv$"),
        (["b.parquet", "a/1.TSV"], r"tables: a/1\.TSV, b\.parquet\. Give one .*dataset\.use=hf$"),
        (["metadata.csv", "1.png"], r"image folder of Hugging Face with --set dataset\.use=hf$"),
        (["metadata.jsonl", "1.png"], r"dataset\.train=FILE, or read .* dataset\.use=hf$"),
        (["info.json", "a.csv"], r"dataset\.train=FILE, or give the file in .*/a\.csv$"),
        (["a/1.png", "a/2.png", "rows.xlsx"], r"it has 2 \.png, 1 \.xlsx\. Write questions"),
        (["images/1.png"], "it has no files"),
    ],
)
def test_a_folder_without_json_for_the_task_names_what_it_has_and_how_to_read_it(
    names, hint, tmp_path
):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    with pytest.raises(DataError, match=hint):
        dataset(tmp_path)


def test_a_data_file_that_links_out_of_the_folder_is_an_error(folder):
    path = folder / FILES["counting"]["test"]
    path.rename(folder.parent / "outside.json")
    path.symlink_to(folder.parent / "outside.json")

    with pytest.raises(DataError, match="link out of"):
        dataset(folder)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sft_rows": -1}, r"sft_rows = -1: use 0 or more"),
        ({"test": "nowhere.json"}, "no such file"),
        ({"test": "../x.json"}, "without .."),
        ({"train": "/etc/passwd"}, "without .."),
    ],
)
def test_a_wrong_option_is_an_error(paper, options, expected):
    with pytest.raises((RecipeError, DataError), match=expected):
        dataset(paper, **options)


def test_an_unknown_split_is_an_error_with_a_suggestion(paper):
    with pytest.raises(DataError, match="Did you mean 'ood-test'"):
        dataset(paper).size("ood-tset")
    with pytest.raises(IndexError):
        dataset(paper).sample("test", TEST_ROWS)


# --- from a recipe and the command line -----------------------------------------------


def counting(**options: Any) -> Task:
    """A task like the counting task, without its images."""
    return Task(
        name="counting",
        dataset="jsonl",
        prompt=prompts.think_then_answer("Answer with one number."),
        parser=parsers.Integer(0, 99),
        rewards={"accuracy": Term(rewards.exact)},
        files=task_files("counting"),
    )


def of_recipe(fakes, *settings: str, factory: Callable[..., Task] = counting) -> Task:
    catalogue = fakes.load({"rft-counting": fakes.tasks(counting=factory)})
    return catalogue.task_of(load_recipe(("", {"task": "counting"}), overrides=settings))


def test_the_kind_of_path_decides_the_reader(fakes, paper, tmp_path):
    row = {"question": "How many?", "answer": 1, "image": "a.png"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (tmp_path / "rows.json").write_text(json.dumps([row], indent=2))

    assert of_recipe(fakes, f"dataset.path={paper}").dataset == ReasonRftDataset(
        str(paper), "counting", **task_files("counting")
    )
    for name in ("rows.jsonl", "rows.json"):
        made = of_recipe(fakes, f"dataset.path={tmp_path / name}").dataset
        assert isinstance(made, JsonlDataset)
        assert sum(map(made.size, made.splits)) == 1


def test_options_of_the_reader_are_set_beside_the_path(fakes, paper):
    other = FILES["structure"]["test"]
    made = of_recipe(fakes, f"dataset.path={paper}", "dataset.sft_rows=3", f"dataset.ood.x={other}")

    assert (made.dataset.sft_rows, made.dataset.ood) == (3, {"x": other})


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("dataset.path=nowhere", "there is no such file or folder"),
        ("dataset.path=3", "set where the data is"),
        ("dataset.sft_rows=3", "set where the data is"),
        (f"dataset.path={__file__}", "a folder of JSON files with images, or a .jsonl"),
    ],
)
def test_a_path_without_a_reader_is_an_error_with_the_next_step(fakes, setting, expected):
    with pytest.raises(RecipeError, match=expected):
        of_recipe(fakes, setting)


def test_options_without_a_path_are_those_of_the_tasks_own_dataset(fakes, tmp_path):
    text = "Frage,answer\nWie groß?,5\n"
    (tmp_path / "q.csv").write_text(text, encoding="cp1252")

    def quiz(data: str = "q.csv"):
        return replace(fakes.numbers(), dataset=CsvDataset(data, columns={"question": "Frage"}))

    given = f"task_options.data={tmp_path / 'q.csv'}", "dataset.encoding=cp1252"
    made = of_recipe(fakes, *given, factory=quiz).dataset

    assert made.file.sample_at(0).question == "Wie groß?"
    with pytest.raises(RecipeError, match=r"dataset\.encodng .* Did you mean 'encoding'"):
        of_recipe(fakes, "dataset.encodng=cp1252", factory=quiz)
    with pytest.raises(RecipeError, match=r"^task_options\.data .* since dataset\.path = 'q\.csv'"):
        of_recipe(fakes, "dataset.path=q.csv", given[0], factory=quiz)


def test_options_for_a_dataset_that_has_none_name_those_of_the_task(fakes):
    with pytest.raises(
        RecipeError, match=r"own, Numbers, with .*task_options\.NAME: low, high\. To"
    ):
        of_recipe(fakes, "dataset.encoding=cp1252", factory=fakes.numbers)


def test_a_misspelled_option_of_the_reader_gets_a_suggestion(fakes, paper):
    with pytest.raises(RecipeError, match="Did you mean 'sft_rows'"):
        of_recipe(fakes, f"dataset.path={paper}", "dataset.sft_row=3")


def test_every_phase_asks_the_same_question_in_the_tasks_words(fakes, tmp_path):
    make(tmp_path, change=lambda row: {**row, "problem": f"<image>{row['problem']} {REQUEST}"})
    made = of_recipe(fakes, f"dataset.path={tmp_path}", "dataset.sft_rows=16")
    shown = {s: made.prompt(made.dataset.sample(s, 0)).text for s in ("sft", "rl", "test")}

    assert all(text.count("<think>") == 1 for text in shown.values())
    assert all("<image>" not in text for text in shown.values())


@pytest.fixture
def rft(fakes, monkeypatch):
    points = [
        fakes.point("rftcore", builtin),
        fakes.point("rft-counting", fakes.tasks(counting=counting)),
    ]
    fakes.install(points, monkeypatch)

    def run(*arguments: object):
        return CliRunner().invoke(cli.main, ["data", *map(str, arguments)])

    return run


def test_check_lists_the_files_it_read(rft, paper):
    done = rft("check", paper, "--task", "counting", "--set", "dataset.sft_rows=16")

    assert done.exit_code == 0, done.output
    assert "no faults" in done.output
    assert "A3-Visual-Counting-train-35k-cot.json" in done.output
    assert "AI2D" in done.output.partition("not used: ")[2]


def test_check_lists_missing_files_of_the_paper(rft, folder):
    (folder / FILES["counting"]["ood-test"]).unlink()

    assert "not found: ood-test" in rft("check", folder, "--task", "counting").output


def test_check_ends_with_1_and_names_every_fault(rft, folder):
    broken(answer="three", image="nowhere.png")(folder)
    no_cot_in_sft(folder)
    done = rft("check", folder, "--task", "counting")

    assert done.exit_code == 1
    assert "Visual-Counting-sft.json row 3: missing field: no 'cot', but split sft" in done.output
    assert f"train-35k-cot.json row {ROW}: gold: " in done.output
    assert f"train-35k-cot.json row {ROW}: missing image: " in done.output


def test_check_gives_the_same_as_json(rft, folder):
    broken(answer="three")(folder)
    done = rft("check", folder, "--task", "counting", "--json")
    told = json.loads(done.stdout)

    assert done.exit_code == 1
    assert told["kinds"] == {"gold": 1}
    assert told["findings"][0]["row"] == ROW
    assert {split["split"] for split in told["splits"]} >= {"sft", "test", "ood-test"}


def test_check_has_an_option_for_the_largest_image(rft, paper):
    done = rft("check", paper, "--task", "counting", "--max-pixels", 23)

    assert done.exit_code == 1
    assert "more than 23 pixels" in done.output


def test_check_continues_after_a_row_at_which_training_would_stop(rft, folder):
    not_json(folder)
    (folder / FILES["counting"]["test"]).write_text("[]\n3")
    done = rft("check", folder, "--task", "counting")

    assert done.exit_code == 1
    assert done.output.count("not JSON from byte") == 2


GOOD = {"question": "How many?", "answer": 1, "image": "a.png", "cot": "One.", "split": "sft"}
WRONG_ROWS = {
    "missing field: no 'question'": {"question": None},
    "missing field: no 'answer'": {"answer": None},
    "missing field: no 'cot'": {"cot": ""},
    "wrong field: split 'stf'": {"split": "stf"},
    "path: image '../a.png'": {"image": "../a.png"},
    "path: image 'out/a.png' is a link out": {"image": "out/a.png"},
    "missing image: b.png": {"image": "b.png"},
    "corrupt image: c.png": {"image": "c.png"},
    "gold: the task's parser cannot read 'one'": {"answer": "one"},
    "cot '<think>One.<think>Two'": {"cot": "<think>One.<think>Two"},
    "duplicate id: 'a' is the id of row 1": {"id": "a"},
    "leak: in split test: the same question": {"question": "How many?", "split": "test"},
    "leak: in split val: the same": {"question": "How many?", "image": "d.png", "split": "val"},
}


@pytest.fixture
def one_file(tmp_path):
    """Writes a file of rows beside an image, its copy and a damaged one."""
    Pil.new("RGB", (6, 4), "red").save(tmp_path / "a.png")
    (tmp_path / "d.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "c.png").write_bytes(b"not an image")
    (tmp_path / "out").symlink_to("/etc")

    def write(name, *rows):
        path = tmp_path / name
        lines = name.endswith(".jsonl")
        path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows))
        return path

    return write


def trained_on(task: Task):
    """The checks of a run."""
    parts = [take(task, split) for split in task.dataset.splits]
    check(task, parts, progress=False, also=lambda sample, _: prompts.sft_target(sample))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
@pytest.mark.parametrize("expected", WRONG_ROWS)
def test_check_of_one_file_names_the_row_at_which_training_stops(
    rft, fakes, one_file, name, expected
):
    wrong = {**GOOD, "question": "How many now?", **WRONG_ROWS[expected]}
    wrong = {key: value for key, value in wrong.items() if value is not None}
    path = one_file(name, {**GOOD, "id": "a"}, wrong)
    done = rft("check", path, "--task", "counting")

    assert done.exit_code == 1, done.output
    assert f"{name} row 2: {expected}" in done.output
    assert f"{name} row 1: " not in done.output
    made = of_recipe(fakes, f"dataset.path={path}")
    with pytest.raises(DataError):
        trained_on(made)


def test_check_names_boxes_that_no_preview_draws(rft, one_file):
    done = rft("check", one_file("rows.jsonl", {**GOOD, "boxes": "abc"}), "--task", "counting")

    assert done.exit_code == 1
    assert "rows.jsonl row 1: boxes: 'boxes' is 'abc': write a list of objects" in done.output


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_check_of_one_file_lists_what_it_read(rft, one_file, name):
    rows = [GOOD, {**GOOD, "question": "How many now?", "split": "rl"}]
    done = rft("check", one_file(name, *rows), "--task", "counting")

    assert done.exit_code == 0, done.output
    assert "no faults" in done.output
    assert re.findall(r"^(\w+) +rows\.json", done.output, re.M) == ["sft", "rl"]
    assert "images: 1" in done.output


def test_check_reads_on_after_a_line_that_is_not_json(rft, one_file, tmp_path):
    path = one_file("rows.jsonl", GOOD)
    path.write_text("{\n" + path.read_text() + "\n\n{]")
    done = rft("check", path, "--task", "counting")

    assert done.output.count("not JSON: ") == 2
    assert "rows.jsonl row 4: not JSON" in done.output


def test_check_of_an_empty_file_ends_with_2(rft, one_file):
    assert rft("check", one_file("rows.json"), "--task", "counting").exit_code == 2


@pytest.mark.parametrize("arguments", [["nowhere"], ["nowhere", "--task", "counting"], ["."]])
def test_check_of_nothing_ends_with_2(rft, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert rft("check", *arguments).exit_code == 2


def test_time_shows_how_fast_images_and_rows_are(rft, paper):
    done = rft("time", "--task", "counting", "--set", f"dataset.path={paper}", "--count", 4)

    assert done.exit_code == 0, done.output
    assert "4 samples, 4 images" in done.output
    for line in ("images, first time", "images, again", "rows for training", "the same row"):
        assert line in done.output


def test_a_row_is_decoded_once_however_often_a_group_asks_for_it(paper, monkeypatch):
    made = task_of(dataset(paper))
    rows = Rows(take(made, "rl"), made.prompt)
    opened = []
    read = regular_files.opened
    monkeypatch.setattr(regular_files, "opened", lambda path: opened.append(path) or read(path))

    assert all(rows[0] == rows[0] for _ in range(8))
    assert len(opened) == 1


@pytest.mark.slow
def test_a_whole_smoke_run_trains_on_a_folder(tmp_path):
    pytest.importorskip("rft_nano")
    pytest.importorskip("rft_counting")
    folder, out = make(tmp_path / "data"), tmp_path / "run"
    options = ("dataset.sft_rows=16", "vision_check.min_shift=1e-9", f"dataset.path={folder}")
    words = ["train", "--smoke", "--task", "counting", *(f"--set={each}" for each in options)]
    done = CliRunner().invoke(cli.main, [*words, "--out", str(out)])

    assert done.exit_code == 0, done.output
    assert "ood-test (n=5)" in done.stdout
    assert (
        "How many in A3-Visual-Counting"
        in json.loads((out / "manifest.json").read_text())["prompt_example"]
    )
