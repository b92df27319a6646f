"""A stage's splits are written one by one: a kill costs the split it hits, and no other."""

import types
from dataclasses import replace

import pytest

from rftcore import jsontext
from rftcore.config import load_recipe
from rftcore.errors import RunError
from rftcore.evaluation.splits import evaluate_split
from rftcore.models.completions import Completion
from rftcore.pipeline import stages
from rftcore.pipeline.job import Job
from rftcore.pipeline.plan import Plan
from rftcore.pipeline.policies import Policies
from rftcore.pipeline.summary import finish
from rftcore.runs import RunFolder
from rftcore.types import Prompt, Term

SEES = types.SimpleNamespace(seen_size=lambda size: None)  # all that is used of a policy


def fails_on_2(x):
    if x.answer == 2:
        raise KeyError("two")
    return 1.0


@pytest.fixture
def job(monkeypatch, fakes):
    """Makes a job over a run folder; its policy answers 2, or what the direct prompt gives away."""
    task = fakes.numbers()
    task = replace(
        task,
        direct_prompt=lambda sample: Prompt(sample.gold),
        rewards={**task.rewards, "format": Term(fails_on_2, required=False)},
    )
    recipe = load_recipe(("test", {"task": "numbers", "scoring": {"error_budget": 99}}))
    completion = lambda text: Completion(text if text.isdigit() else "2", 1, clipped=False)  # noqa: E731
    monkeypatch.setattr(
        "rftcore.evaluation.splits.generate",
        lambda policy, prompts, most: [completion(p.text) for p in prompts],
    )
    monkeypatch.setattr("rftcore.evaluation.splits.opening", lambda policy, prompt: "")
    monkeypatch.setattr(Policies, "read", lambda policies, source: SEES)
    hooks = types.SimpleNamespace(
        rft_phase_start=lambda **_: None, rft_phase_end=lambda **_: None, rft_run_end=lambda **_: 0
    )

    def make(folder):
        if not (folder / "manifest.json").exists():
            RunFolder.create(folder, {}).unlock()
        run, catalogue = RunFolder.open(folder), types.SimpleNamespace(hooks=hooks)
        return Job(Plan.of(recipe, task, "nano", catalogue), run, progress=False)

    return make


def evaluated(job):
    stages.evaluate_start(job)
    stages.evaluate_stage(job, "sft")
    return job


def files(job):
    """All files but what was used, which has seconds."""
    found = {str(p.relative_to(job.run.path)): p for p in job.run.path.rglob("*.json*")}
    return {name: path.read_text() for name, path in found.items() if name != "usage.json"}


class Killed(BaseException):
    """Stands in for a kill."""


@pytest.mark.parametrize("at", range(18))
def test_a_killed_and_resumed_evaluation_leaves_the_files_of_an_uninterrupted_one(
    at, job, tmp_path, monkeypatch
):
    whole = evaluated(job(tmp_path / "whole"))
    half, left = job(tmp_path / "half"), [at]

    def write_text(run, name, text, write=RunFolder.write_text):
        if left[0] == 0:
            left[0] = -1
            raise Killed
        left[0] -= 1
        return write(run, name, text)

    monkeypatch.setattr(RunFolder, "write_text", write_text)
    with pytest.raises(Killed):
        evaluated(half)
    resumed = evaluated(job(tmp_path / "half"))

    assert files(resumed) == files(whole)
    assert resumed.scores == whole.scores


def test_only_the_missing_splits_are_measured_again(job, tmp_path, monkeypatch):
    first = job(tmp_path / "run")
    measured = []

    def evaluate(policy, task, split, *, prompt, **options):
        measured.append((split, prompt))
        if split == "ood-big" and len(measured) == 4:
            raise Killed
        return evaluate_split(policy, task, split, prompt=prompt, **options)

    monkeypatch.setattr(stages, "evaluate_split", evaluate)
    with pytest.raises(Killed):
        stages.evaluate_start(first)
    stages.evaluate_start(job(tmp_path / "run"))

    assert measured == [
        *(("val", "reason"), ("val", "direct"), ("test", "direct")),
        *[("ood-big", "direct")] * 2,
    ]


def test_the_zero_shot_row_is_read_forgivingly_and_every_other_strictly(job, tmp_path, monkeypatch):
    bold = [Completion("**2**", 1, clipped=False)]
    monkeypatch.setattr(
        "rftcore.evaluation.splits.generate", lambda policy, prompts, n: bold * len(prompts)
    )
    done = evaluated(job(tmp_path / "run"))

    assert {score.unparsed for score in done.scores["start"]} == {0.0}
    assert {score.unparsed for score in done.scores["sft"]} == {1.0}
    for stage, parser in (("start", "forgiving"), ("sft", "strict")):
        rows = done.run.read_json(f"evaluation/{stage}.json")
        assert {row["parser"] for row in rows} == {parser}


def test_both_prompts_of_the_zero_shot_row_are_kept(job, tmp_path):
    run = evaluated(job(tmp_path / "run")).run
    tried = {p: run.read_json(f"evaluation/start-{p}.json")[0] for p in ("reason", "direct")}

    assert [tried[p]["accuracy"] for p in tried] == [0.2, 1.0]
    assert run.read_json("evaluation/start.json")[0] == tried["direct"]
    assert run.read_jsonl("evaluation/start-val.jsonl") == run.read_jsonl(
        "evaluation/start-direct-val.jsonl"
    )
    assert len(run.read_jsonl("evaluation/start-reason-val.jsonl")) == 5


def test_a_finished_stage_loads_no_model(job, tmp_path, monkeypatch):
    evaluated(job(tmp_path / "run"))
    monkeypatch.setattr("rftcore.evaluation.splits.opening", lambda policy, prompt: "")
    monkeypatch.setattr(Policies, "read", lambda *_: pytest.fail("loaded"))

    assert list(evaluated(job(tmp_path / "run")).scores) == ["start", "sft"]


def test_a_run_with_failures_ends_with_their_number_file_and_first_cause(job, tmp_path):
    done = evaluated(job(tmp_path / "run"))
    note = next(n for n in finish(done).notes if "failed" in n)

    assert note.startswith(f"23 reward calls failed: {tmp_path}/run/failures.jsonl; first: ")
    assert "reward 'format' on val sample val-0: KeyError: 'two' (" in note
    assert note in (tmp_path / "run/summary.txt").read_text()
    assert note in done.run.read_json("summary.json")["notes"]


@pytest.mark.parametrize("change", [lambda rows: rows[1:], lambda rows: [rows[1], *rows[1:]]])
def test_stages_with_different_questions_are_not_compared(change, job, tmp_path):
    done = evaluated(job(tmp_path / "run"))
    file = "evaluation/start-test.jsonl"
    done.run.write_text(file, jsontext.lines(change(done.run.read_jsonl(file))))
    summary = finish(done)

    assert [each.split for each in summary.gains] == ["val", "ood-big"]
    assert "start-test.jsonl and evaluation/sft-test.jsonl have different questions" in str(
        summary.notes
    )


def test_a_file_that_holds_no_scores_is_an_error_that_names_it(job, tmp_path):
    done = evaluated(job(tmp_path / "run"))
    done.run.write_json("evaluation/sft.json", [{"accuracy": 1.0}])

    with pytest.raises(RunError, match=r"evaluation/sft\.json does not hold scores"):
        evaluated(job(tmp_path / "run"))


@pytest.mark.parametrize("lost", ["evaluation/sft.json", "evaluation/start.json"])
def test_the_scores_of_a_finished_stage_that_are_gone_are_an_error(lost, job, tmp_path):
    (evaluated(job(tmp_path / "run")).run.path / lost).unlink()

    with pytest.raises(RunError, match=r"has no score of split .*restore the file"):
        evaluated(job(tmp_path / "run"))
