"""`rft score`: each part of a reward is shown, and a bad row is named."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from rftcore import builtin, cli, parsers, rewards
from rftcore.completions import ScoredCompletion
from rftcore.types import RewardResult, Term


@rewards.reward(uses=("sample", "step", "tokens", "siblings"))
def curious(x):
    if x.answer == 4:
        raise KeyError("four")
    if x.answer and x.answer > 7:
        raise ValueError(f"{x.answer} is too many")
    return RewardResult(0.0, f"{x.sample.id}: {x.step} {x.tokens} {x.siblings}")


@pytest.fixture(autouse=True)
def world(tmp_path, monkeypatch, fakes):
    """An empty folder and a task whose reward `curious` tells what it sees."""
    monkeypatch.chdir(tmp_path)

    def numbers(low: int = 0, high: int = 9):
        task = fakes.numbers(low, high)
        return replace(task, rewards={**task.rewards, "curious": Term(curious, 0.0)})

    points = [fakes.point("rftcore", builtin), fakes.point("good", fakes.tasks(numbers=numbers))]
    fakes.install(points, monkeypatch)


def score(rows, *options, stdin=False):
    """The command's result for rows, which may be text as it stands."""
    lines = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    Path("rows.jsonl").write_text(lines)
    where = "-" if stdin else "rows.jsonl"
    given = ["score", "numbers", where, *options]
    return CliRunner().invoke(cli.main, given, input=lines if stdin else None)


RIGHT = {"completion": "<think>a</think><answer>5</answer>", "gold": "5"}


@pytest.mark.parametrize("stdin", [False, True])
def test_every_part_of_every_row_is_shown(stdin):
    done = score([RIGHT, {"completion": "6 or 7", "gold": "5"}], stdin=stdin)

    lines = [line.split() for line in done.output.splitlines()]
    assert done.exit_code == 0
    assert lines[0] == ["row", "answer", "accuracy", "format", "curious", "total"]
    assert lines[1] == ["1", "5", "1", "1", "0", "1.5"]
    assert lines[2] == ["2", "(unparsed)", "0", "0", "0", "0"]
    assert "total = 1 accuracy + 0.5 format + 0 curious" in done.output
    assert "row 2: no answer: " in done.output


def test_a_failure_is_shown_with_its_traceback_and_sets_the_exit_code():
    done = score([RIGHT, {"completion": "4", "gold": "5"}])

    assert done.exit_code == 1
    assert "row 2, curious: error: KeyError: 'four'" in done.output
    assert 'raise KeyError("four")' in done.output
    assert done.output.splitlines()[2].split() == ["2", "4", "0", "0", "error", "none"]


def test_failures_of_one_cause_are_shown_once_with_their_rows_whatever_their_messages_have():
    shown = score([{"completion": answer, "gold": "5"} for answer in "84948445"]).output

    assert shown.count("Traceback") == 2
    assert "rows 2, 4, 6 and 1 more, curious: error: KeyError: 'four'" in shown
    assert "rows 1, 3, 5, curious: error: ValueError: 8 is too many" in shown


def test_equal_notes_are_one_line_with_their_rows():
    shown = score([{"completion": "6 or 7", "gold": "5"}] * 5).output

    assert shown.count("no answer") == 1
    assert "\nrows 1, 2, 3 and 2 more: no answer: " in shown


def test_a_row_may_name_a_sample_of_the_task_by_its_place_or_its_id():
    rows = [
        {"completion": "3", "split": "test", "index": 3},
        {"completion": "3", "split": "test", "id": "test-2"},
    ]
    told = json.loads(score(rows, "--json").output)["rows"]

    assert [row["correct"] for row in told] == [True, False]
    assert [row["notes"]["curious"].partition(":")[0] for row in told] == [
        "test-3",
        "test-2",
    ]


def test_a_reward_receives_step_length_and_siblings():
    rows = [{**RIGHT, "tokens": at, "group": at % 2, "completion": str(at)} for at in (1, 2, 3)]
    told = json.loads(score(rows, "--json", "--step", "7").output)["rows"]

    notes = [row["notes"]["curious"] for row in told]
    assert [note.partition(": ")[2] for note in notes] == ["7 1 ('3',)", "7 2 ()", "7 3 ('1',)"]


def test_settings_change_the_task():
    done = score([RIGHT], "--set", "task_options.high=4", "--set", "rewards.format.weight=9")

    assert done.exit_code == 2
    assert "row 1: the parser cannot read the gold answer" in done.output


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{nonsense\n", "row 2 is not JSON"),
        ("[1]\n", "row 2 is list: write a JSON object"),
        ({"gold": "5"}, "row 2 has no `completion`. It has gold"),
        ({"completion": "5", "golds": "5"}, "row 2 has no `gold` or `split`"),
        ({"completion": 5, "gold": "5"}, "row 2: `completion` is 5, but it must be text"),
        ({"completion": "5", "gold": [5]}, r"row 2: `gold` is \[5\], but it must be text or a num"),
        ({"completion": "5", "gold": True}, "row 2: `gold` is True, but it must be text or a num"),
        ({"completion": "5", "gold": None}, "row 2 has no `gold` or `split`"),
        ({"completion": None, "gold": "5"}, "row 2 has no `completion`. It has gold"),
        ('{"completion": "5", "gold": NaN}\n', "row 2 is not JSON: NaN"),
        ("[" * 50_000 + "\n", "row 2 is not JSON: it is nested too deeply"),
        ({"completion": "5", "gold": "five"}, "row 2: the parser cannot read the gold"),
        ({**RIGHT, "tokens": -1}, "row 2: `tokens` is -1"),
        ({**RIGHT, "tokens": 3}, "row 1 has no `tokens`, others have"),
        ({"completion": "5", "split": "tset", "index": 0}, "row 2: .*Did you mean 'test'"),
        (
            {"completion": "5", "split": "test", "index": 5},
            "row 2: index 5 is out of range: .*0 to 4",
        ),
        ({"completion": "5", "split": "test", "id": "x"}, "row 2: split 'test' has no sample 'x'"),
        ({"completion": "5", "split": "test"}, "row 2 names a split but no sample"),
    ],
)
def test_a_bad_row_is_one_clear_line(row, expected):
    done = score([RIGHT, row])

    assert done.exit_code == 2
    assert re.search(f"error: (rows.jsonl )?{expected}", done.output)


@pytest.mark.parametrize(
    ("file", "expected"), [("none.jsonl", "No such file"), ("/dev/null", "rows")]
)
def test_without_rows_there_is_nothing_to_score(file, expected):
    done = CliRunner().invoke(cli.main, ["score", "numbers", file])

    assert (done.exit_code, expected in done.output) == (2, True)


def test_the_answers_that_an_evaluation_wrote_can_be_scored_as_they_are():
    row = ScoredCompletion(id="elsewhere", question="?", gold="5", completion="5").to_json()

    assert score([row]).exit_code == 0


def results(text, *, stdin=False):
    Path("rows.jsonl").write_bytes(text.encode("utf-8", "surrogatepass"))
    where = "-" if stdin else "rows.jsonl"
    done = CliRunner().invoke(cli.main, ["score", "numbers", where, "--json"], input=text)
    assert done.exit_code == 0, done.output
    return [row["correct"] for row in json.loads(done.output)["rows"]]


@pytest.mark.parametrize("stdin", [False, True])
@pytest.mark.parametrize("form", ["lines", "crlf", "array", "pretty"])
def test_rows_are_read_as_the_readers_of_data_read_them(form, stdin):
    rows = [
        {"completion": "5", "gold": 5, "tokens": None, "group": None, "id": None},
        {"completion": "5", "gold": None, "split": "test", "index": 4, "question": None},
        {"completion": "5 \u2028", "gold": "5"},
    ]
    text = {
        "lines": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "crlf": "\r\n\r\n".join(map(json.dumps, rows)),
        "array": json.dumps(rows),
        "pretty": json.dumps(rows, indent=2),
    }[form]

    assert results("\ufeff\ufeff" + text, stdin=stdin) == [True, False, True]


def test_a_failed_accuracy_is_not_a_wrong_answer(monkeypatch, fakes):
    def numbers():
        return replace(fakes.numbers(), rewards={"accuracy": Term(curious)})

    points = [fakes.point("rftcore", builtin), fakes.point("good", fakes.tasks(numbers=numbers))]
    fakes.install(points, monkeypatch)
    done = score([RIGHT, {**RIGHT, "completion": "4"}], "--json")
    rows = json.loads(done.output)["rows"]

    assert done.exit_code == 1
    assert [(row["correct"], row["answer"]) for row in rows] == [(False, "5"), (None, "4")]


def test_a_zero_shot_row_is_parsed_forgivingly_with_the_option():
    rows = [{"completion": "**5**", "gold": "5"}]

    assert "(unparsed)" in score(rows).output
    assert "(unparsed)" not in score(rows, "--parser", "forgiving").output


def test_text_of_a_model_does_not_move_the_terminals_cursor(monkeypatch, fakes):
    def numbers():
        return replace(fakes.numbers(), parser=parsers.Text())

    points = [fakes.point("rftcore", builtin), fakes.point("good", fakes.tasks(numbers=numbers))]
    fakes.install(points, monkeypatch)
    done = score([{"completion": "<answer>\x1b[2J \u202e</answer>", "gold": "5"}])

    assert r"\x1b[2J \u202e" in done.output
    assert "\x1b" not in done.output


@rewards.reward(uses=("sample", "siblings"))
def cot(x):
    return RewardResult(1.0, f"{x.sample.cot} {x.siblings}")


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, "It is 3. None"),
        ({"step": 1}, "It is 3. ()"),
        ({"gold": "4"}, "None None"),
        ({"index": 99}, "None None"),
        ({"split": "mine"}, "None None"),
    ],
)
def test_a_row_that_rft_wrote_has_the_tasks_own_sample_if_it_is_the_same(
    changes, note, monkeypatch, fakes
):
    def numbers():
        return replace(fakes.numbers(), rewards={"accuracy": Term(cot)})

    points = [fakes.point("rftcore", builtin), fakes.point("good", fakes.tasks(numbers=numbers))]
    fakes.install(points, monkeypatch)
    row = ScoredCompletion(
        id="test-3", split="test", index=3, question="Say 3.", gold="3", completion="3"
    )
    [told] = json.loads(score([replace(row, **changes).to_json()], "--json").output)["rows"]

    assert told["notes"] == {"accuracy": note}


def test_a_row_of_a_newer_schema_is_an_error():
    row = ScoredCompletion(id="a", question="?", gold="5", completion="5").to_json()

    assert "row 2 has schema=9: a newer" in score([RIGHT, {**row, "schema": 9}]).output
