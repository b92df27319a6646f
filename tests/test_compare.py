"""Runs that exist, compared: rows, samples that must be the same, claims, tables and plots."""

import csv
import io
import json
import re
import shutil
from dataclasses import asdict
from statistics import mean
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import rftcore as rft
from rftcore.cli import main
from rftcore.comparison import plots, tables
from rftcore.comparison.results import compared
from rftcore.comparison.rows import read_rows
from rftcore.completions import ScoredCompletion
from rftcore.config import dump_recipe, load_recipe
from rftcore.errors import RftError
from rftcore.evaluation.splits import split_score
from rftcore.runs import RunFolder
from rftcore.statistics import change, holm

SETTINGS = {"task": "counting", "evaluation": {"splits": ["val", "test", "ood-x"]}}
STAGES = {"zero-shot": ["start"], "reason-rft": ["sft", "grpo"], "reason-rft-zero": ["grpo"]}
DATA = {"val": "v", "test": "t", "ood-x": "o"}


def answered(right, split):
    return [
        ScoredCompletion(
            id=f"{split}-{i}",
            split=split,
            index=i,
            question=f"{split} {i}?",
            gold="1",
            completion="<answer>1</answer>",
            tokens=10,
            clipped=False,
            correct=correct,
            rewards={"accuracy": None if correct is None else float(correct)},
        )
        for i, correct in enumerate(right)
    ]


def run(folder, paradigm="reason-rft", seed=0, right=(True, False) * 10, data=DATA, **settings):
    """A finished run whose last stage answered every split as in `right`; earlier ones: wrong."""
    recipe = load_recipe(("base", {**SETTINGS, **settings, "paradigm": paradigm, "seed": seed}))
    facts = {"recipe": recipe.model_dump(mode="json"), "data": data, "packages": {"torch": "2"}}
    made = RunFolder.create(folder, facts, dump_recipe(recipe))
    stages = STAGES.get(paradigm, ["sft"])
    for stage in stages:
        of_stage = right if stage == stages[-1] else [False] * len(right)
        rows = {split: answered(of_stage, split) for split in DATA}
        made.write_scores(stage, [asdict(split_score(s, "reason", rows[s])) for s in DATA])
        for split in DATA:
            made.write_answers(stage, split, rows[split])
        if stage != "start":
            made.write_phase(stage, {"seconds": 60.0, "metrics": {}, "findings": []})
            made.mark_done(stage)
            metric = {"accuracy": 0.5, "reward/accuracy": 0.5, "loss": 1.0}
            made.log({"phase": stage, "step": 1, **metric})
            made.log({"phase": stage, "step": 2, **metric})
        made.mark_done(f"evaluate:{stage}")
    made.write_summary({}, "table")
    made.unlock()
    return folder


def share_of(found, row, split="test"):
    return next(cell.accuracy for cell in found.cells[row] if cell.split == split)


GOOD = [True] * 15 + [False] * 5
BAD = [True] * 5 + [False] * 15


@pytest.fixture
def runs(tmp_path):
    return [
        run(tmp_path / "zero", "zero-shot", right=BAD),
        run(tmp_path / "cot0", "cot-sft", right=BAD),
        run(tmp_path / "cot1", "cot-sft", seed=1, right=GOOD),
        run(tmp_path / "rft0", seed=0, right=GOOD),
        run(tmp_path / "rft1", seed=1, right=GOOD),
    ]


def test_runs_that_differ_only_in_the_seed_are_one_row(runs):
    rows = read_rows(runs)

    assert {row.name: row.seeds for row in rows} == {
        "zero-shot": [0],
        "cot-sft": [0, 1],
        "reason-rft": [0, 1],
    }


@pytest.mark.parametrize(
    "evaluation", [{"zero_shot": False}, {"after_each_phase": False}, {"blind": 5}, {"sampled": 2}]
)
def test_what_else_is_evaluated_makes_no_row_of_its_own(tmp_path, evaluation):
    own = SETTINGS.get("evaluation", {})
    other = run(tmp_path / "a", seed=1, evaluation={**own, **evaluation})
    shorter = run(tmp_path / "c", seed=2, evaluation={**own, "max_new_tokens": 5})

    assert [row.seeds for row in read_rows([run(tmp_path / "b"), other])] == [[0, 1]]
    assert len(read_rows([other, shorter])) == 2


def test_a_tracker_makes_no_row_of_its_own(tmp_path):
    tracked = run(tmp_path / "a", seed=1, tracking={"to": ["tensorboard"]})
    rows = read_rows([run(tmp_path / "b"), tracked])

    assert [row.seeds for row in rows] == [[0, 1]]


def test_an_accuracy_is_the_mean_over_seeds_and_a_claim_is_of_the_same_seeds(runs):
    found = compared(read_rows(runs))
    claim = next(c for c in found.claims if (c.other, c.split) == ("cot-sft", "test"))

    assert share_of(found, "cot-sft").value == pytest.approx(0.5)
    assert share_of(found, "reason-rft").value == pytest.approx(0.75)
    assert claim.change == change(
        [list(map(float, GOOD))] * 2, [[*map(float, BAD)], [*map(float, GOOD)]]
    )
    assert (claim.row, claim.seeds) == ("reason-rft", (0, 1))


def test_zero_shot_stands_for_every_seed_and_claims_leave_val_out(runs):
    claims = compared(read_rows(runs)).claims

    assert {c.split for c in claims} == {"test", "ood-x"}
    assert {c.seeds for c in claims if c.other == "zero-shot"} == {(0, 1)}
    assert [c.p_holm for c in claims] == holm([c.change.p for c in claims])
    assert {c.of for c in claims} == {4}


def test_a_question_that_one_run_did_not_score_is_left_out_of_its_claims(tmp_path):
    one = run(tmp_path / "a", right=[None, True, True, False])
    other = run(tmp_path / "b", "cot-sft", right=[True, True, False, False])
    found = compared(read_rows([one, other]))

    assert share_of(found, "cot-sft").questions == 4
    assert share_of(found, "reason-rft").questions == 3
    assert {(c.change.questions, c.here, c.there) for c in found.claims} == {(3, 2 / 3, 1 / 3)}


def test_an_earlier_stage_of_a_run_is_a_row_of_its_paradigm(runs):
    rows = read_rows([f"{runs[3]}@sft", runs[3]])

    assert [row.name for row in rows] == ["cot-sft", "reason-rft"]
    assert share_of(compared(rows), "cot-sft").value == 0


def test_rows_of_one_paradigm_are_named_by_what_differs(tmp_path):
    plain = run(tmp_path / "a")
    other = run(tmp_path / "b", grpo={"group_size": 4})
    model = run(tmp_path / "c", model="org/big")
    weighed = run(tmp_path / "d", rewards={"format": {"weight": 0.0}})

    assert [r.name for r in read_rows([plain, other])] == [
        "reason-rft (grpo.group_size=8)",
        "reason-rft (grpo.group_size=4)",
    ]
    assert [r.name for r in read_rows([plain, weighed])] == [
        "reason-rft (rewards.format.weight=default)",
        "reason-rft (rewards.format.weight=0.0)",
    ]
    assert [r.name for r in read_rows([plain, model])] == ["reason-rft nano", "reason-rft big"]


def rejected(*arguments):
    done = CliRunner().invoke(main, ["compare", *map(str, arguments)])
    assert done.exit_code == 2, done.output
    return done.output


def test_other_samples_are_an_error_that_names_the_split_and_what_can_be_compared(tmp_path):
    one = run(tmp_path / "a")
    other = run(tmp_path / "b", "cot-sft", data={**DATA, "test": "other"})
    message = rejected(one, other)

    assert "different samples of test" in message
    assert f"{one} and {other}" in message
    assert "--split val --split ood-x" in message
    assert (
        "claim"
        in CliRunner().invoke(main, ["compare", str(one), str(other), "--split", "ood-x"]).output
    )


def test_other_questions_are_found_without_fingerprints(tmp_path):
    one = run(tmp_path / "a", data={})
    other = run(tmp_path / "b", "cot-sft", data={}, right=[True] * 19)

    assert "different samples of val (also: test, ood-x)" in rejected(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{cot0}", "{nothing}"], "is not a run folder"),
        (["{cot0}", "{cot0}@grpo"], "has no stage 'grpo': it has sft"),
        (["{cot0}", "{cot0}"], "the same settings and the same seed, 0"),
        (["{cot0}", "{cot1}"], "one row to compare"),
        (["{cot0}", "{rft0}", "--reference", "reason-rt"], "Did you mean 'reason-rft'?"),
        (["{cot0}", "{rft0}", "--split", "ood-y"], "not every run was evaluated on ood-y"),
        (["{cot0}", "{rft0}", "--task", "counting"], "leave out --task"),
        (["{cot0}", "{rft0}", "--out", "{cot0}"], "this is a run"),
        ([], "--out FOLDER is needed"),
        (["--out", "{new}"], "name what to compare"),
        (["--task", "counting", "--out", "{new}", "--seeds", "0"], "--seeds 0: use 1 to 100"),
        (["--task", "counting", "--out", "{new}", "--seeds", "a"], "--seeds 'a': write how many"),
        (["--task", "counting", "--out", "{new}", "--seeds", "1,1"], "1 is below 0 or named twice"),
        (["--task", "counting", "--out", "{new}", "--seeds", "0,-2"], "-2 is below 0 or named"),
        (["--task", "counting", "--out", "{new}", "--paradigms", "cot"], "Did you mean 'cot-sft'?"),
        (["--task", "counting", "--out", "{new}", "--row", "x"], "write NAME: PARADIGM"),
        (["--task", "counting", "--out", "{new}", "--row", "cot-sft: ans-sft"], "two rows are"),
        (["--task", "counting", "--out", "{new}", "--data-efficiency", "5"], "'5' is not a share"),
        (["--task", "counting", "--out", "{new}", "--set", "grpo.beta=x"], "grpo.beta"),
        (["--task", "counting", "--out", "{new}", "--reference", "x"], "no such row"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_error(runs, tmp_path, arguments, message):
    names = {path.name: path for path in runs} | {"nothing": tmp_path / "no", "new": tmp_path / "c"}

    assert message in rejected(*(argument.format(**names) for argument in arguments))
    assert not (tmp_path / "c").exists()


def test_an_unfinished_run_is_an_error_with_the_way_on(tmp_path):
    folder = run(tmp_path / "a")
    state = json.loads((folder / "state.json").read_text())
    state["done"] = [phase for phase in state["done"] if "grpo" not in phase]
    (folder / "state.json").write_text(json.dumps(state))

    assert f"{folder} has not ended" in rejected(folder, run(tmp_path / "b", "cot-sft"))


def test_a_comparison_writes_every_file_with_the_same_numbers(runs, tmp_path):
    found = rft.compare(*runs, out=tmp_path / "out")
    files = {str(p.relative_to(found.path)) for p in found.path.rglob("*") if p.is_file()}
    facts = json.loads((found.path / "comparison.json").read_text())
    lines = list(csv.DictReader(io.StringIO((found.path / "table.csv").read_text())))

    assert files >= {*tables.FORMATS, "comparison.json", "plots/accuracy.svg", "plots/learning.svg"}
    assert facts["ended"] is True
    assert [(line["row"], line["split"]) for line in lines] == [
        (row["name"], split) for row in found.rows for split in ("val", "test", "ood-x")
    ]
    for line in lines:
        row = next(row for row in facts["rows"] if row["name"] == line["row"])
        cell = next(cell for cell in row["splits"] if cell["split"] == line["split"])
        assert float(line["accuracy"]) == cell["accuracy"]["value"]
    assert found.table() + "\n" == (found.path / "table.txt").read_text()
    assert [claim["sentence"] for claim in facts["claims"]] == [c["sentence"] for c in found.claims]


def test_the_statistics_can_be_repeated_from_the_answers_alone(runs, tmp_path):
    folder = rft.compare(*runs, out=tmp_path / "out").path
    texts = {name: (folder / f"{name}.csv").read_text() for name in ("answers", "table")}
    of = {name: list(csv.DictReader(io.StringIO(text))) for name, text in texts.items()}
    right = {}
    for line in of["answers"]:
        right.setdefault((line["row"], line["split"]), []).extend(map(int, line["answers"]))

    for cell in of["table"]:
        assert mean(right[cell["row"], cell["split"]]) == pytest.approx(float(cell["accuracy"]))
    assert {line["seed"] for line in of["answers"]} == {"", "0", "1"}


def test_the_text_table_shows_shares_and_differences(runs):
    shown = tables.as_text(compared(read_rows(runs)))

    assert re.search(r"^reason-rft +75.0 \[.*\] +75.0 .* 2$", shown, re.M)
    assert re.search("^reason-rft \N{MINUS SIGN} cot-sft +— +\\+25.0 \\[", shown, re.M)
    assert re.search(
        r"^claim: reason-rft against zero-shot on test: \+50\.0 \[\S+ \S+\] points "
        r"\(75\.0 % against 25\.0 %; 20 questions, seeds 0, 1\)\. .*: crossed t test, p [=<] \S+ "
        r"\(p [=<] \S+ after Holm for 4 claims\)\.$",
        shown,
        re.M,
    )


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_latex_cells_have_no_bare_special_character(text):
    shown = tables._tex_row([text]).removesuffix(r" \\")
    for known in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", "$-$"):
        shown = shown.replace(known, "")

    assert not re.search(r"(?<!\\)[&%$#_{}~^]", shown)


def test_latex_and_markdown_have_as_many_columns_in_every_row(runs):
    found = compared(read_rows(runs))
    latex = [line for line in tables.as_latex(found).splitlines() if line.endswith(r"\\")]
    markdown = [line for line in tables.as_markdown(found).splitlines() if line.startswith("|")]

    assert {line.count(" & ") for line in latex} == {len(found.splits) + 1}
    assert {line.count("|") for line in markdown} == {len(found.splits) + 3}


def test_plots_are_svg_and_the_same_every_time(runs):
    found = compared(read_rows(runs))
    drawn = plots.plots(found)

    assert {*drawn} == {
        *("accuracy.svg", "lengths.svg", "learning.svg", "rewards.svg", "sft-loss.svg")
    }
    assert drawn == plots.plots(found)
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_without_matplotlib_a_note_replaces_the_plots(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    found = rft.compare(*runs, out=tmp_path / "out")

    assert not (tmp_path / "out" / "plots").exists()
    assert any("pip install 'rftcore[compare]'" in note for note in found.notes)


def test_without_scipy_the_error_comes_before_anything_else(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)

    with pytest.raises(RftError, match=r"pip install 'rftcore\[compare\]'"):
        rft.compare(task="counting", out=tmp_path / "out")


def test_what_else_differs_is_a_note(tmp_path):
    one = run(tmp_path / "a", evaluation={**SETTINGS["evaluation"], "max_new_tokens": 8})
    other = run(tmp_path / "b", "cot-sft")
    notes = compared(read_rows([one, other])).notes

    assert any(note.startswith("one seed: ") for note in notes)
    assert any("max_new_tokens differs between runs (8, 512)" in note for note in notes)


def test_what_the_phases_of_runs_found_is_a_note_once_per_kind(tmp_path):
    folders = [run(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    for folder, share in zip(folders, (75, 78), strict=True):
        facts = json.loads((folder / "grpo.json").read_text())
        found = [f"grpo: {share} % were cut off"]
        (folder / "grpo.json").write_text(json.dumps({**facts, "findings": found}))

    both = compared(read_rows(folders)).notes
    before = compared(read_rows([f"{folder}@sft" for folder in folders])).notes

    [row] = read_rows(folders)
    assert f"{row.name} seeds 0 and 1: grpo: 75 % were cut off" in both
    assert not any("cut off" in note for note in before)


@pytest.mark.parametrize(("field", "told"), [("clipped", True), ("unparsed", True), ("", False)])
def test_rows_without_answers_are_a_note(field, told, tmp_path):
    one, other = run(tmp_path / "a"), run(tmp_path / "b", "cot-sft")
    scores = one / "evaluation" / "grpo.json"
    lost = [
        {**score, **({field: 0.95} if field else {})} for score in json.loads(scores.read_text())
    ]
    scores.write_text(json.dumps(lost))
    notes = compared(read_rows([one, other])).notes

    assert any(note.startswith("reason-rft: ") for note in notes) == told


def test_smoke_runs_are_named_in_a_note(tmp_path):
    one, other = run(tmp_path / "a"), run(tmp_path / "b", "cot-sft")
    manifest = one / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "smoke": True}))
    notes = compared(read_rows([one, other])).notes

    assert any(note.startswith("1 of 2 runs are smoke runs") for note in notes)


def test_a_moved_comparison_still_finds_the_runs_in_it(tmp_path):
    folder = tmp_path / "c"
    made = [run(folder / "runs" / "a"), run(folder / "runs" / "b", "cot-sft")]
    (folder / "comparison.json").write_text("{}")
    rft.compare(*made, out=folder)
    shutil.move(folder, tmp_path / "d")
    facts = json.loads((tmp_path / "d" / "comparison.json").read_text())

    assert all((tmp_path / "d" / r["run"]).is_dir() for row in facts["rows"] for r in row["runs"])
