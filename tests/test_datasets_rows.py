"""Both readers read a row in the same way, and report the same faults."""

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image as Pil

from rftcore import builtin, cli, parsers, prompts, rewards, tags
from rftcore.datasets import JsonlDataset, ReasonRftDataset
from rftcore.datasets.audit import audit
from rftcore.datasets.rows.fields import FILE, FOLDER
from rftcore.datasets.rows.marks import MARK, foreign, placed
from rftcore.datasets.rows.record import record
from rftcore.errors import RftError, SampleError
from rftcore.types import Prompt, Sample, Task, Term

Row = dict[str, Any]
ROW: Row = {"question": "How many?", "answer": 5, "image": "a.png"}
READERS = {
    "file": lambda folder: JsonlDataset(folder / "test.jsonl"),
    "folder": lambda folder: ReasonRftDataset(folder),
}
reader = pytest.mark.parametrize("reader", READERS)
prompt = prompts.think_then_answer("Answer with one integer.")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with two images."""
    folder = tmp_path_factory.mktemp("rows")
    for name, color in (("a.png", "red"), ("b.png", "blue")):
        Pil.new("RGB", (4, 4), color).save(folder / name)
    return folder


def write(folder: Path, *rows: object) -> Path:
    (folder / "test.jsonl").write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    )
    return folder


def read(reader: str, folder: Path, row: object) -> Sample:
    """The sample of the one row of a file."""
    dataset = READERS[reader](write(folder, row))
    [split] = dataset.splits
    return dataset.sample(split, 0)


def faults(reader: str, folder: Path, *rows: object) -> list[tuple[str, str]]:
    """What the data check finds."""
    dataset = READERS[reader](write(folder, *rows))
    found = audit(dataset, parsers.Integer(), prompt, progress=False).findings
    return [(finding.kind, str(finding)) for finding in found]


def content(sample: Sample) -> tuple:
    return sample.question, sample.gold, [image.key for image in sample.images], sample.cot


# --- files that are none --------------------------------------------------------------


@reader
def test_an_image_that_is_a_pipe_is_a_fault_and_is_not_read(reader, place):
    with suppress(FileExistsError):
        os.mkfifo(place / "pipe.png")

    [(kind, message)] = faults(reader, place, {**ROW, "image": "pipe.png"})
    assert (kind, "image 'pipe.png' is a pipe, not a file" in message) == ("path", True)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_a_file_of_rows_that_is_a_pipe_is_an_error_and_is_not_read(name, tmp_path):
    os.mkfifo(tmp_path / name)
    done = CliRunner().invoke(
        cli.main, ["data", "check", str(tmp_path / name), "--task", "counting"]
    )

    assert done.stderr == f"error: cannot read {tmp_path / name}: it is a pipe, not a file\n"


LONG: Row = {"answer": "9" * 50_000, "id": "i" * 50_000, "split": "s" * 50_000}
LONG |= {"image": "a.png" * 10_000, "cot": "<answer>1</answer>" * 5_000, "k" * 50_000: float("nan")}


@reader
@pytest.mark.parametrize("name", LONG)
def test_a_long_value_is_quoted_in_short(reader, name, place):
    for _, message in faults(reader, place, *[{**ROW, name: LONG[name]}] * 2):
        assert len(message) < 500
        assert len(" ".join(re.findall(r"(?:9|i|s|k)+", message))) < 200


@reader
@pytest.mark.parametrize("deep", [100, 1_950, 2_100, 3_000])
def test_a_path_of_any_length_is_a_fault_of_its_row(reader, deep, place):
    row = {**ROW, "image": "a/" * deep + "none.png"}

    [(kind, message)] = faults(reader, place, row)
    assert kind == ("missing image" if deep < 2_000 else "wrong field")
    assert "row 1" in message
    with pytest.raises(SampleError, match=r"row 1"):
        read(reader, place, row).images[0].open()


@reader
def test_a_hint_names_no_file_behind_a_link_out_of_the_folder(reader, tmp_path):
    (tmp_path / "data").mkdir()
    Pil.new("RGB", (4, 4), "red").save(tmp_path / "A.png")
    (tmp_path / "data" / "up").symlink_to("..")

    [(_, message)] = faults(reader, tmp_path / "data", {**ROW, "image": "UP/a.png"})
    assert "A.png" not in message


@pytest.mark.parametrize("zeros", [10, 5_000])
def test_a_header_of_zeros_is_named_with_escapes(zeros, tmp_path):
    (tmp_path / "rows.csv").write_bytes(bytes(zeros))
    done = CliRunner().invoke(
        cli.main, ["data", "check", str(tmp_path / "rows.csv"), "--task", "counting"]
    )

    assert (done.exit_code, "\0" in done.stderr, r"\x00" in done.stderr) == (2, False, True)
    assert len(done.stderr) < 500


def test_a_line_break_in_the_name_of_an_image_breaks_no_message(place):
    row = {**ROW, "image": "a\n\u202eb.png"}
    [(_, message)] = faults("file", place, row)
    with pytest.raises(RftError) as caught:
        read("file", place, row).images[0].open()

    assert len(message.splitlines()) == len(str(caught.value).splitlines()) == 1
    assert r"a\n\u202eb.png" in message
    assert r"a\n\u202eb.png" in str(caught.value)


# --- doubtful rows ----------------------------------------------------------------------


@reader
def test_a_contradiction_and_hidden_options_are_findings(reader, place):
    other = {**ROW, "answer": 6, "options": ["6 cubes"]}
    found = dict(faults(reader, place, ROW, other))

    assert "row 2: contradiction: gold '6', but test.jsonl row 1 has '5'" in found["contradiction"]
    assert "row 2: options: the row has 'options' with '6 cubes'" in found["options"]
    assert faults(reader, place, ROW, {**other, "answer": 5.0, "options": None}) == []


NAMES_OF_REASONING = ("reasoning", "reasoning_content", "rationale", "explanation", "think", "CoT")


@pytest.mark.parametrize("name", NAMES_OF_REASONING)
def test_reasoning_under_another_name_is_a_hint_and_no_wrong_suggestion(name, place):
    row = {**ROW, name: "one, two", "split": "sft"}
    [(_, message)] = faults("file", place, row)
    [(_, other)] = faults("file", place, {name: "one, two", "answer": 5})

    assert f"{name!r} is not read as the reasoning: rename it to 'cot'" in message
    assert "Did you mean" not in other
    assert faults("file", place, {**row, "split": "rl"}) == []
    assert faults("file", place, {**row, "cot": "one"}) == []


@reader
@pytest.mark.parametrize("tag", ["<thinking>", "</ Reasoning>", "<thought>", "<|end_of_thought|>"])
def test_a_tag_of_another_format_in_a_cot_is_a_fault(reader, tag, place):
    [(kind, message)] = faults(reader, place, {**ROW, "cot": f"I see {tag} 5."})

    assert kind == "cot"
    assert f"{tag!r} is a tag of another format" in message
    assert faults(reader, place, {**ROW, "cot": "a < b, thinking > c"}) == []


def test_reasoning_in_a_field_of_a_turn_is_a_fault(place):
    turns = [{"role": "user", "content": "?"}]
    turns.append({"role": "assistant", "content": "5", "reasoning_content": "one"})
    row = {"image": "a.png", "messages": turns}

    assert "'reasoning_content' of a turn is ignored" in faults("file", place, row)[0][1]
    assert faults("file", place, {**row, "cot": "one"}) == []


@pytest.mark.parametrize(
    ("make", "message"), [(lambda _: None, "return rft.Prompt"), (lambda _: Prompt("?"), "differ")]
)
def test_a_prompt_that_is_none_or_always_the_same_is_a_finding(make, message, place):
    rows = (ROW, {**ROW, "question": "How many red?"})
    found = audit(JsonlDataset(write(place, *rows) / "test.jsonl"), parsers.Integer(), make)

    assert {one.kind for one in found.findings} == {"prompt"}
    assert message in found.findings[0].text


# --- nulls ------------------------------------------------------------------------------

NAMES = ("id", "cot", "split", "images", "messages", "conversations", "solution", "query", "level")


@reader
@pytest.mark.parametrize("name", NAMES)
def test_a_null_is_absent(reader, name, place):
    one, other = (read(reader, place, row) for row in (ROW, {**ROW, name: None}))

    assert content(one) == content(other)
    assert one.id == other.id


@reader
@pytest.mark.parametrize("name", ["id", "cot", "split"])
def test_blank_text_is_absent_where_text_is_optional(reader, name, place):
    one, other = (read(reader, place, row) for row in (ROW, {**ROW, name: " "}))

    assert (content(one), one.id) == (content(other), other.id)


@reader
@pytest.mark.parametrize(
    "none", [{}, {"image": None}, {"images": []}, {"image": [], "images": None}]
)
def test_a_row_without_images_is_a_question_in_text(reader, none, place):
    row = {"question": "How many?", "answer": 5, **none}

    assert content(read(reader, place, row)) == ("How many?", "5", [], None)
    assert faults(reader, place, row) == []


@reader
@pytest.mark.parametrize("name", ["img", "imgae", "image_path", "picture", "image_url", "video"])
def test_an_image_under_another_name_is_not_a_question_in_text(reader, name, place):
    [(kind, text)] = faults(reader, place, {"question": "How many?", "answer": 5, name: "a.png"})

    assert kind == "missing field"
    assert f"Did you mean '{name}'" in text


HIDDEN = [
    "a.png",
    "sub/b.JPEG",
    ["a.png", "b.webp"],
    {"bytes": None, "path": "a"},
    "data:image/png",
]


@reader
@pytest.mark.parametrize("value", HIDDEN, ids=str)
def test_what_holds_an_image_is_one_whatever_its_name(reader, value, place):
    row = {"question": "How many?", "answer": 5, "file": value}

    assert ["Did you mean 'file'" in text for _, text in faults(reader, place, row)] == [True]
    assert faults(reader, place, {**row, "file": "about image.png files"}) == []


@reader
@pytest.mark.parametrize("name", ["image2", "image_1", "img 3"])
def test_an_image_in_a_numbered_field_is_not_left_out(reader, name, place):
    [(_, text)] = faults(reader, place, {**ROW, name: "b.png"})

    assert f"the image in '{name}' is ignored: list all paths in 'images'" in text
    assert faults(reader, place, {**ROW, name: None}) == []


SPELLED = {"A.PNG": "a.png", " a.png": "a.png", "in%20it/c.png": "in it/c.png"}
SPELLED |= {"IN IT\\c.png": "in it/c.png", "\u00c4.png": "\u00e4.png", "\u00e9.png": "e\u0301.png"}


@reader
@pytest.mark.parametrize("name", SPELLED)
def test_a_missing_image_of_another_spelling_is_named(reader, name, tmp_path):
    there = tmp_path / SPELLED[name]
    there.parent.mkdir(exist_ok=True)
    Pil.new("RGB", (4, 4), "red").save(there)
    [(kind, text)] = faults(reader, tmp_path, {**ROW, "image": name})

    shown = ascii if name == "\u00e9.png" else repr  # accents in NFD look like those in NFC
    assert (kind, f"A file {shown(SPELLED[name])} exists" in text) == ("missing image", True)


MOVED = {"parts/in/c.png": "in/c.png", "D:\\x\\in\\c.png": "in/c.png", "/x/y/c.png": "c.png"}
MOVED |= {"c.png": "in/c.png", "in/c.png": "png/in/c.png", "..\\in\\c.png": "in/c.png"}


@reader
@pytest.mark.parametrize("name", MOVED)
def test_a_missing_image_in_another_folder_is_named(reader, name, tmp_path):
    there = tmp_path / MOVED[name]
    there.parent.mkdir(parents=True, exist_ok=True)
    Pil.new("RGB", (4, 4), "red").save(there)
    [(kind, text)] = faults(reader, tmp_path, {**ROW, "image": name})

    assert kind in ("missing image", "path")
    assert text.endswith(f". A file {MOVED[name]!a} exists: if it is this image, use this name")


@reader
@pytest.mark.parametrize("name", ["../c.png", "..\\c.png", "%2e%2e/c.png", "..", "/", "a/.."])
def test_a_file_outside_the_folder_is_never_suggested(reader, name, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    Pil.new("RGB", (4, 4), "red").save(tmp_path / "c.png")
    [(_, text)] = faults(reader, inside, {**ROW, "image": name})

    assert "exists" not in text


@reader
def test_a_link_to_itself_is_a_missing_image(reader, tmp_path):
    (tmp_path / "a.png").symlink_to("a.png")
    [(kind, _)] = faults(reader, tmp_path, ROW)

    assert kind == "missing image"


@reader
@pytest.mark.parametrize("other", ["How many!", "How "])
def test_a_row_that_changes_while_it_is_in_use_is_an_error(reader, other, place):
    dataset = READERS[reader](write(place, ROW))
    [split] = dataset.splits
    assert dataset.size(split) == 1
    write(place, {**ROW, "question": other})

    with pytest.raises(RftError, match="changed while it was in use"):
        dataset.sample(split, 0)


# --- marks for images -------------------------------------------------------------------

TWO: Row = {"answer": 5, "images": ["a.png", "b.png"]}
PLACED = {
    "How many?": "How many?",
    "<image><image>Which is bigger?": "Which is bigger?",
    "<image>\n<image>\nWhich is bigger?": "Which is bigger?",
    "Which is bigger? <image> <image>": "Which is bigger?",
    "<image> Which is bigger? <image>": "Which is bigger?",
    "Look.\n<image><image>\nWhich is bigger?": "Look.\nWhich is bigger?",
    "Which of <image> and <image> is bigger?": "Which of image 1 and image 2 is bigger?",
    "Image A: <image>. Image B: <image>.": "Image A: image 1. Image B: image 2.",
    "Is<image>like<image>?": "Is image 1 like image 2?",
    "<image> and <image> differ. How?": "image 1 and image 2 differ. How?",
    "A: <image>\nB: <image>\nWhich?": "A: image 1\nB: image 2\nWhich?",
    "What is the difference between <image><image>": (
        "What is the difference between image 1 image 2"
    ),
}


@reader
@pytest.mark.parametrize("question", PLACED)
def test_a_mark_at_an_edge_goes_and_one_inside_the_text_becomes_a_name(reader, question, place):
    sample = read(reader, place, {**TWO, "question": question})

    assert sample.question == PLACED[question]
    assert [image.key for image in sample.images] == ["a.png", "b.png"]


words = st.lists(st.sampled_from(["cubes", "Count", "the", "in", "?", ".", ":", "\n", " ", "图"]))
marked = st.lists(words.map("".join) | st.just(MARK), max_size=9).map("".join)


@example("Which of <image> and <image> is bigger?")
@given(marked)
def test_no_mark_is_left_and_names_count_the_images_in_order(text):
    names = re.findall(r"image (\d+)", placed(text))

    assert MARK not in placed(text)
    assert names in ([], [str(n + 1) for n in range(text.count(MARK))])
    assert re.sub(r"image \d+|\s", "", placed(text)) == re.sub(r"<image>|\s", "", text)


@given(st.text(st.characters(codec="utf-8")))
def test_a_text_without_marks_stays_as_it_is(text):
    assert placed(text) == (text.strip() if MARK not in text else placed(text))
    assert MARK in text or foreign(text.replace("<", "").replace("[", "")) == ""


@reader
@pytest.mark.parametrize("marks", [1, 3])
def test_marks_that_do_not_fit_the_images_are_a_fault(reader, marks, place):
    [(kind, text)] = faults(reader, place, {**TWO, "question": f"{MARK * marks}How many?"})

    assert kind == "placeholders"
    assert f"{marks} <image> in the text, but images: 2" in text


FOREIGN = ["<video>", "<image1>", "<image_2>", "<|image_pad|>", "<|vision_start|>", "<Image>"]
FOREIGN += ["<img>", "< image >", "<|image_1|>", "<start_of_image>", "<IMG_CONTEXT>", "[IMG]"]
FOREIGN += ["<image_soft_token>", "<fake_token_around_image>", "<|video_pad|>", "<ImageHere>"]
FOREIGN += ["<im_patch>", "<global-img>", "<audio>", "<image_placeholder>", "</img>"]
FOREIGN += ["<ref-object>", "<bbox>"]


@reader
@pytest.mark.parametrize("mark", FOREIGN)
@pytest.mark.parametrize("field", ["question", "cot"])
def test_a_mark_of_other_models_is_a_fault(reader, mark, field, place):
    [(kind, text)] = faults(reader, place, {**ROW, field: f"See {mark} there."})

    assert kind == "placeholders"
    assert repr(mark) in text


@pytest.mark.parametrize(
    "text", ["a<b and image>c", "the <imagine> tag", "<img src='a.png'>", "image 1", "<b>", "x[0]"]
)
def test_other_text_is_no_mark(text):
    assert foreign(text) == ""


@reader
def test_a_mark_in_the_reasoning_or_the_answer_is_a_fault(reader, place):
    rows = [{**ROW, "cot": "In <image> I see 5."}, {**ROW, "answer": "<image>5", "question": "?"}]

    kinds = [kind for kind, _ in faults(reader, place, *rows)]
    assert kinds == ["placeholders", "placeholders"]


# --- instructions -----------------------------------------------------------------------

ASK = "Think in <think> </think>, answer in <answer> </answer>."
ASKED = {
    f"How many cubes?{ASK}": "How many cubes?",
    f"How many cubes? {ASK}": "How many cubes?",
    f"There are 3.5 of them.How many cubes?{ASK}": "There are 3.5 of them.How many cubes?",
    "图中有多少物体？请在<think></think>中思考，在<answer></answer>中回答。": "图中有多少物体？",  # noqa: RUF001
    f"How many cubes!{ASK} Now.": "How many cubes! Now.",
    "Tell e.g. the U.S. flag. Use <answer> tags.": "Tell e.g. the U.S. flag.",
}


@pytest.mark.parametrize("question", ASKED)
def test_only_the_sentence_that_asks_for_tags_is_left_out(question):
    made, found = record({**ROW, "question": question})

    assert not found
    assert made.question == ASKED[question]


@pytest.mark.parametrize(
    "question",
    [
        "How many cubes are there, in <answer> </answer> tags?",
        "Look at the scene. How many cubes are there, in <answer> </answer> tags?",
        "How many, thinking in <think> </think>",
    ],
)
def test_a_question_that_would_lose_what_it_asks_names_the_option(question):
    made, [fault] = record({**ROW, "question": question})

    assert made is None
    assert "--set dataset.instructions=keep" in fault.text


# --- text that no one can write, and values that no one can read ------------------------

HALF = '{"question": "How many?", "answer": 5, "image": "a.png", %s}'
UNFIT = {
    '"question": "How many \\ud83d?"': "question' contains a lone surrogate, \\ud83d",
    '"cot": "so \\ude00"': "cot' contains a lone surrogate, \\ude00",
    '"id": "\\ud83d"': "id' contains a lone surrogate",
    '"answer": "\\ud83d5"': "answer' contains a lone surrogate",
    '"image": "\\ud83d.png"': "image' contains a lone surrogate",
    '"level": {"a": ["\\ud83d"]}': "level' contains a lone surrogate",
    '"\\ud83d": 1': "a key contains a lone surrogate",
    '"level": NaN': "level' is nan",
    '"answer": Infinity': "answer' is inf",
    '"answer": 1e999': "answer' is inf",
    '"cot": NaN': "cot' is nan",
    f'"level": {"[" * 500}{"]" * 500}': "level' is nested more than 100 levels deep",
    f'"level": {"[" * 90_000}{"]" * 90_000}': "not JSON",
    f'"answer": {"9" * 5000}': "not JSON",
    '"answer": 7': "'answer' occurs twice in one object",
    '"level": {"a": 1, "a": 2}': "'a' occurs twice in one object",
}


@reader
@pytest.mark.parametrize("field", UNFIT, ids=lambda text: text[:30])
def test_a_value_that_cannot_be_written_again_is_a_fault_by_row(reader, field, place):
    name = field.partition('"')[2].partition('"')[0]
    others = {key: value for key, value in ROW.items() if key != name or 'answer": 7' in field}
    row = json.dumps(others)[:-1] + f", {field}}}"
    found = faults(reader, place, ROW, row)

    assert [text.startswith("test.jsonl row 2: ") for _, text in found] == [True]
    assert UNFIT[field] in found[0][1]
    dataset = READERS[reader](place)
    with pytest.raises(RftError, match="row 2"):
        {split: dataset.size(split) for split in dataset.splits}


@reader
def test_a_whole_emoji_is_text(reader, place):
    row = '{"question": "How many \\ud83d\\ude00?", "answer": 5, "image": "a.png"}'

    assert read(reader, place, row).question == "How many \U0001f600?"


texts = st.text(max_size=20) | st.sampled_from(
    ["<think>", "</answer>", ASK, MARK, "a.png", "\ud83d"]
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["id", "image", "images", "question", "problem", "answer", "solution"])
fields |= st.sampled_from(["cot", "messages", "query", "response", "split", "level"])
rows_of_json = jsons | st.dictionaries(fields, jsons).map(lambda found: {**ROW, **found})


@reader
@given(rows=st.lists(rows_of_json, max_size=3))
def test_the_data_check_reports_whatever_a_row_holds(reader, rows, place):
    found = faults(reader, place, *map(json.dumps, rows))

    assert all(text.isprintable() or "\n" not in text for _, text in found)
    "".join(text for _, text in found).encode()


COMMON = {"id", "image", "images", "question", "answer", "cot"}


files = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"[", b"]", b"{", b"}", b'"', b":", b",", b"\n", b"1", b"\xff", b"\\ud800"])
    | st.just(json.dumps(ROW).encode()),
    max_size=12,
).map(b"".join)


@reader
@given(content=files)
def test_the_data_check_reports_whatever_a_file_holds(reader, content, place):
    (place / "test.jsonl").write_bytes(content)
    found = audit(READERS[reader](place), parsers.Integer(), prompt, progress=False).findings

    assert all(finding.file == "test.jsonl" for finding in found)


@given(rows_of_json)
def test_both_readers_find_the_same_faults_in_a_row_of_common_fields(row):
    if isinstance(row, dict):
        row = {key: value for key, value in row.items() if key in COMMON}
    one, two = (record(row, form=form, strip=False) for form in (FILE, FOLDER))

    assert one[0] == two[0]
    assert [fault.kind for fault in one[1]] == [fault.kind for fault in two[1]]


# --- forms of other trainers ------------------------------------------------------------

PART = {"role": "user", "content": [{"type": "image", "image": "a.png"}]}
USER = {"role": "user", "content": "<image>How many?"}
TOLD = {"role": "assistant", "content": tags.write("So 5.", "5")}
FORMS: dict[str, Row] = {
    "paper": {"problem": "How many?", "solution": "<answer> 5 </answer>"},
    "query and solution": {"query": "<image>How many?", "solution": "5"},
    "query and response": {"query": "How many?", "response": "5"},
    "question and response": {"question": "How many?", "response": "5"},
    "one user turn": {"messages": [USER], "solution": "5"},
    "system turn": {"messages": [{"role": "system", "content": "Be good."}, USER], "answer": 5},
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]}
        ],
        "solution": "5",
    },
    "ShareGPT": {
        "conversations": [
            {"from": "human", "value": "<image>\nHow many?"},
            {"from": "gpt", "value": "5"},
        ]
    },
}


@reader
@pytest.mark.parametrize("form", FORMS)
def test_rows_of_other_trainers_are_read(reader, form, place):
    sample = read(reader, place, {**FORMS[form], "images": ["a.png"]})

    assert content(sample) == ("How many?", "5", ["a.png"], None)
    assert sample.meta == {}


@reader
@pytest.mark.parametrize(
    "row",
    [{"messages": [USER, TOLD]}, {"query": "How many?", "response": TOLD["content"]}],
)
def test_a_response_with_reasoning_is_answer_and_cot(reader, row, place):
    sample = read(reader, place, {**row, "image": "a.png"})

    assert content(sample) == ("How many?", "5", ["a.png"], "So 5.")


def test_in_one_file_a_solution_beside_an_answer_is_another_field(place):
    sample = read("file", place, {**ROW, "solution": "First, I count."})

    assert (sample.gold, sample.meta) == ("5", {"solution": "First, I count."})


# --- messages ---------------------------------------------------------------------------

BLOB = "iVBORw0KGgoAAAANSUhEUgAA" * 60
TO_FILE = "write the bytes to a file and give its path"
IMAGES = {
    "bytes": ({"bytes": BLOB, "path": None}, TO_FILE),
    "base64": (BLOB, TO_FILE),
    "data URI": (f"data:image/png;base64,{BLOB}", TO_FILE),
    "URL": (
        "https://example.com/a.png",
        "'https://example.com/a.png' is a URL: images must be",
    ),
    "long": ("x" * 300 + ".png", "is too long for a path"),
}


@reader
@pytest.mark.parametrize("kind", IMAGES)
def test_what_is_no_path_is_shortened_and_named(reader, kind, place):
    value, expected = IMAGES[kind]
    [(_, text)] = faults(reader, place, {**ROW, "image": value})

    assert expected in text
    assert len(text) < 250


@reader
def test_a_path_without_bytes_as_datasets_writes_it_is_a_path(reader, place):
    row = {**ROW, "image": [{"path": "a.png", "bytes": None}]}

    assert content(read(reader, place, row)) == content(read(reader, place, ROW))


@pytest.mark.parametrize(
    ("split", "expected"), [("train", "use rl, or sft"), ("validation", "use val")]
)
def test_the_usual_names_of_splits_get_ours(split, expected, place):
    [(_, text)] = faults("file", place, {**ROW, "split": split})

    assert f"For {split!r} {expected}" in text


@reader
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"solution": "5"}, "no 'question'. The row has solution, image"),
        ({"qestion": "?", "answer": 5}, "no 'question'. Did you mean 'qestion'?"),
        ({"messages": [USER]}, "one user turn and a `solution`"),
        ({"messages": [{"role": "user", "content": 3}], "answer": 5}, "content must be text"),
        ({"train": [ROW], "test": [ROW]}, "train, test contain lists of rows"),
        ({"prompt": "How many?", "answer": 5}, "Rename 'prompt' to 'question'"),
        ({"prompt": [USER], "answer": 5}, "Rename 'prompt' to 'messages'"),
        ({"question": [USER], "answer": 5}, "a list of turns: name the field 'messages'"),
        ({"question": "How many?", "completion": "5"}, "Rename 'completion' to 'answer'"),
        ({"question": "How <|im_end|> many?", "answer": 5}, "is a chat template token"),
        ({"messages": [PART], "answer": 5}, "an image inside a part is ignored: list the paths"),
        ({"question": ["a", "b"], "answer": 5}, "write one object per row, not a list per column"),
    ],
)
def test_a_fault_suggests_nothing_wrong(reader, row, expected, place):
    row = row if "train" in row else {**row, "image": "a.png"}
    [(_, text)] = faults(reader, place, row)

    assert expected.replace("question", "problem" if reader == "folder" else "question") in text


@reader
@pytest.mark.parametrize(
    ("between", "expected"),
    [("", "another object after the first"), (",\n", "a comma after"), ("\r", "in CR alone")],
)
def test_rows_that_are_not_apart_by_lines_are_named_for_what_they_are(
    reader, between, expected, place
):
    [(kind, text)] = faults(reader, place, between.join([json.dumps(ROW)] * 3))

    assert kind == "not JSON"
    assert expected in text


@reader
@pytest.mark.parametrize("indent", [1, 4])
@pytest.mark.parametrize("value", [ROW, {"train": [ROW, ROW], "test": [ROW]}])
def test_an_object_over_several_lines_is_one_fault(reader, indent, value, place):
    text = json.dumps(value, indent=indent)
    for whole in (text, f"{text}\n{text}"):
        [(kind, message)] = faults(reader, place, whole)
        assert kind == "not JSON"
        assert "Write one array, or one object per line" in message


@reader
@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "latin-1"])
@pytest.mark.parametrize("rows", [[ROW], ROW], ids=["array", "lines"])
def test_a_file_in_another_encoding_is_to_be_saved_as_utf_8(reader, encoding, rows, place):
    text = json.dumps(rows).replace("How many?", "Größe?")
    (place / "test.jsonl").write_bytes(text.encode(encoding))
    found = audit(READERS[reader](place), parsers.Integer(), prompt, progress=False).findings

    assert found[0].row == 1
    assert "save the file as UTF-8" in found[0].text


@reader
def test_lines_in_utf_16_are_one_fault(reader, place):
    (place / "test.jsonl").write_bytes("\n".join([json.dumps(ROW)] * 3).encode("utf-16"))
    found = audit(READERS[reader](place), parsers.Integer(), prompt, progress=False).findings

    assert [finding.kind for finding in found] == ["not JSON"]


def test_one_fault_of_many_rows_is_shown_ten_times_and_counted(fakes, place, monkeypatch):
    def numbers() -> Task:
        terms = {"accuracy": Term(rewards.exact)}
        return Task("numbers", "jsonl", prompt, parsers.Integer(), terms)

    points = [fakes.point("rftcore", builtin), fakes.point("rft-x", fakes.tasks(numbers=numbers))]
    fakes.install(points, monkeypatch)
    write(
        place, *[{**ROW, "answer": None, "level": n} for n in range(810)], {**ROW, "question": None}
    )
    done = CliRunner().invoke(
        cli.main, ["data", "check", str(place / "test.jsonl"), "--task", "numbers"]
    )

    assert done.exit_code == 1, done.output
    assert done.output.count("no 'answer'") == 10 + 1
    assert "test.jsonl: missing field no 'answer': 800 more rows (--json lists all)" in done.output
    assert "row 811: missing field: no 'question'" in done.output
