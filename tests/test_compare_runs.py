"""The runs of a comparison: made once, continued after a kill, SFT shared where it is the same."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from rftcore.comparison import api
from rftcore.comparison.running import Runs
from rftcore.comparison.tables import FORMATS
from rftcore.comparison.wanted import RowSpec, row_specs, seed_list, shares, wanted, with_less_data
from rftcore.completions import ScoredCompletion
from rftcore.errors import RecipeError, RunError
from rftcore.evaluation.splits import split_score
from rftcore.plugins import Catalogue
from tests.forked import Command

TASK = f"{Path(__file__).parent}/cases/lively_task.py:squares"
SMALL = ["evaluation.splits=[val,test]", "evaluation.samples.val=4", "evaluation.samples.test=8"]
SPLITS = {"val": 4, "test": 8}


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class Training:
    """In place of training: writes what a run's phases write, and counts them.

    kill_after: how many phases are trained before the process is killed.
    """

    def __init__(self, kill_after=None, fail=""):
        self.phases, self.kill_after, self.fail = [], kill_after, fail

    def __call__(self, job):
        with job.run as run:
            if run.path.name == self.fail:
                raise RunError("the disk is full")
            run.record(data=dict.fromkeys(SPLITS, "1"))
            stages = [p for p in ("sft", "grpo") if job.plan.enabled(p)]
            for stage in stages or ["start"]:
                if stage != "start" and not run.done(stage):
                    self._train(run, stage)
                if not run.done(f"evaluate:{stage}"):
                    self._evaluate(run, stage, job.plan.recipe.seed)
            run.write_summary({}, "table")

    def _train(self, run, stage):
        if self.kill_after is not None and len(self.phases) >= self.kill_after:
            raise Killed
        self.phases.append((run.path.name, stage))
        run.write_text(f"{stage}/model/config.json", "{}")
        run.write_phase(stage, {"seconds": 1.0, "metrics": {}, "findings": []})
        run.mark_done(stage)

    def _evaluate(self, run, stage, seed):
        rows = {
            split: [answer(split, i, stage, seed) for i in range(n)] for split, n in SPLITS.items()
        }
        run.write_scores(stage, [asdict(split_score(s, "reason", rows[s])) for s in rows])
        for split, answers in rows.items():
            run.write_answers(stage, split, answers)
        run.mark_done(f"evaluate:{stage}")


def answer(split, index, stage, seed):
    right = index < {"start": 1, "sft": 2, "grpo": 3}[stage] + seed
    return ScoredCompletion(
        id=f"{split}{index}",
        question="?",
        gold="1",
        completion="",
        tokens=1,
        clipped=False,
        correct=right,
    )


def compare(folder, training, *, seeds=2, paradigms=(), rows=(), less="", settings=()):
    made = Runs(
        folder,
        Catalogue.load(),
        TASK,
        "toy",
        settings=[*SMALL, *settings],
        progress=False,
        work=training,
    )
    return api.of_task(
        made, seeds=seeds, specs=row_specs(paradigms, rows), less=shares(less), within=quiet
    )


class quiet:  # noqa: N801
    def __enter__(self):
        pass

    def __exit__(self, *error):
        pass


def tables_of(folder):
    """Every table but that of costs: seconds and memory are those of the machine."""
    return {name: (folder / name).read_text() for name in FORMATS if name != "costs.csv"}


def recipe_of(run):
    return json.loads((run / "manifest.json").read_text())["recipe"]


def test_five_paradigms_share_the_sft_that_is_the_same_and_zero_shot_is_one_run(tmp_path):
    training = Training()
    found = compare(tmp_path / "c", training)
    origin = json.loads((tmp_path / "c/runs/reason-rft-s1/manifest.json").read_text())

    assert training.phases == [
        (f"{name}-s{seed}", phase)
        for seed in (0, 1)
        for name, phase in [
            ("ans-sft", "sft"),
            ("cot-sft", "sft"),
            ("reason-rft-zero", "grpo"),
            ("reason-rft", "grpo"),
        ]
    ]
    assert origin["forked_from"]["run"] == str(tmp_path / "c/runs/cot-sft-s1")
    assert [(row["name"], len(row["runs"])) for row in found.rows] == [
        ("zero-shot", 1),
        *((name, 2) for name in ("ans-sft", "cot-sft", "reason-rft-zero", "reason-rft")),
    ]


def test_what_exists_is_taken_and_what_is_missing_is_made(tmp_path):
    compare(tmp_path / "c", Training(), paradigms=["cot-sft", "reason-rft"])
    before, again, more = tables_of(tmp_path / "c"), Training(), Training()
    compare(tmp_path / "c", again, paradigms=["cot-sft", "reason-rft"])

    assert again.phases == []
    assert tables_of(tmp_path / "c") == before

    compare(tmp_path / "c", more, paradigms=["cot-sft", "reason-rft"], seeds=3)

    assert more.phases == [("cot-sft-s2", "sft"), ("reason-rft-s2", "grpo")]


def test_seeds_of_two_machines_put_together_without_weights_have_the_tables_of_all(tmp_path):
    compare(tmp_path / "whole", Training(), seeds=3)
    for folder, seeds in (("here", [0, 2]), ("there", [1])):
        compare(tmp_path / folder, Training(), seeds=seeds)
    large = shutil.ignore_patterns("sft", "grpo", "rollouts.jsonl")
    shutil.copytree(
        tmp_path / "there/runs", tmp_path / "here/runs", dirs_exist_ok=True, ignore=large
    )
    shutil.rmtree(tmp_path / "there")
    last = Training()
    compare(tmp_path / "here", last, seeds=3)

    assert last.phases == []
    assert tables_of(tmp_path / "here") == tables_of(tmp_path / "whole")


@pytest.mark.parametrize("first", range(4))
def test_a_comparison_killed_three_times_ends_with_the_same_tables(tmp_path, first):
    compare(tmp_path / "whole", Training(), seeds=1)
    done = []
    for kill_after in (first, 1, 0):
        training = Training(kill_after)
        try:
            compare(tmp_path / "killed", training, seeds=1)
        except Killed:
            (tmp_path / "killed/runs/reason-rft-s0").mkdir(exist_ok=True)  # half made
        done += training.phases
    last = Training()
    compare(tmp_path / "killed", last, seeds=1)
    done += last.phases

    assert sorted(done) == sorted({*done})
    assert tables_of(tmp_path / "killed") == tables_of(tmp_path / "whole")


def test_settings_are_checked_before_anything_is_made_whatever_the_seeds(tmp_path):
    training = Training()
    with pytest.raises(RecipeError, match="adam_beta1"):
        compare(tmp_path / "c", training, seeds=[1, 2], settings=["grpo.adam_beta1=7"])

    assert training.phases == []


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", 3), ("3,", [3]), ("0, 2", [0, 2]), ("4,1", [4, 1])]
)
def test_seeds_are_a_number_or_a_list(text, seeds):
    assert seed_list(text) == seeds


def test_other_settings_in_the_same_folder_are_an_error_before_anything_is_trained(tmp_path):
    compare(tmp_path / "c", Training(), seeds=1)
    training = Training()

    with pytest.raises(RunError, match=r"was made with other settings: grpo\.beta"):
        compare(tmp_path / "c", training, seeds=2, settings=["grpo.beta=0.5"])
    assert training.phases == []


def test_a_run_that_fails_costs_its_row_a_seed_and_is_tried_again(tmp_path):
    names = ["cot-sft", "reason-rft"]
    found = compare(tmp_path / "c", Training(fail="cot-sft-s1"), paradigms=names)
    facts = json.loads((tmp_path / "c/comparison.json").read_text())

    assert found.failed == facts["failed"] == {"cot-sft-s1": "the disk is full"}
    assert facts["ended"] is False
    assert "have not ended: cot-sft-s1" in found.table()
    assert {claim["seeds"] for claim in found.claims} == {(0,)}

    again = Training()
    assert compare(tmp_path / "c", again, paradigms=names).failed == {}
    assert again.phases == [("cot-sft-s1", "sft")]


def test_if_nothing_ends_there_is_no_table_but_the_reason(tmp_path):
    with pytest.raises(RunError, match=r"0 of 1 rows .* cot-sft-s0: the disk is full"):
        compare(tmp_path / "c", Training(fail="cot-sft-s0"), seeds=1, paradigms=["cot-sft"])


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(RunError, match="it holds other files"):
        api.compare(task=TASK, out=tmp_path)


def test_less_data_takes_the_first_share_of_the_samples_of_every_phase(tmp_path):
    paradigms = ["zero-shot", "cot-sft", "reason-rft"]
    settings = ["sft.samples=20", "grpo.samples=10", "sft.batch_size=2", "grpo.prompts_per_step=1"]
    given = {"paradigms": paradigms, "less": "10%,100%", "settings": settings}
    compare(tmp_path / "c", Training(), seeds=1, **given)
    recipe = recipe_of(tmp_path / "c/runs/reason-rft-10pct-s0")
    names = {path.name for path in (tmp_path / "c/runs").iterdir()}

    assert names == {
        *(f"{name}-s0" for name in (*paradigms, "cot-sft-10pct", "reason-rft-10pct")),
    }
    assert (recipe["sft"]["samples"], recipe["grpo"]["samples"]) == (2, 1)
    assert "data.svg" in {path.name for path in (tmp_path / "c/plots").iterdir()}


def test_a_share_without_a_sample_is_an_error():
    specs = [RowSpec("cot-sft", "cot-sft")]

    with pytest.raises(RecipeError, match="of the 10 samples of sft in row cot-sft is none"):
        list(with_less_data(specs, [0.05], {"cot-sft": {"sft": 10}}))
    assert shares("100%, 5%,20%") == [0.05, 0.2, 1.0]


def test_a_row_of_ones_own_has_its_settings_after_those_of_all(tmp_path):
    rows = ["cot-sft all: cot-sft sft.samples=8 sft.learning_rate=1e-3"]
    compare(
        tmp_path / "c",
        Training(),
        seeds=1,
        paradigms=["cot-sft"],
        rows=rows,
        settings=["sft.samples=2"],
    )
    kept = {
        path.name: json.loads((path / "manifest.json").read_text())["recipe"]["sft"]["samples"]
        for path in (tmp_path / "c/runs").iterdir()
    }

    assert kept == {"cot-sft-s0": 2, "cot-sft-all-s0": 8}


def test_every_row_has_every_seed_but_zero_shot():
    found = [each.folder for each in wanted(row_specs(["zero-shot", "cot-sft"]), 2)]

    assert found == ["zero-shot-s0", "cot-sft-s0", "cot-sft-s1"]


MARKS = ("zero-shot-s0/evaluation", "cot-sft-s0/sft.json", "reason-rft-s0/recipe.yaml")


@pytest.mark.slow
def test_a_real_comparison_killed_by_sigkill_ends_with_the_same_tables(tmp_path):
    pytest.importorskip("rft_nano")
    assert _started(tmp_path / "whole").end()[0] == 0
    killed = tmp_path / "killed"
    for mark in MARKS:
        _started(killed).kill_when((killed / "runs" / mark).exists)
    code, _, errors = _started(killed).end()

    assert code == 0, errors
    assert tables_of(tmp_path / "killed") == tables_of(tmp_path / "whole")
    assert answers_of(tmp_path / "killed") == answers_of(tmp_path / "whole")


def answers_of(folder):
    """Every completion of every run: the table of a random model alone would say little."""
    files = (folder / "runs").glob("*/evaluation/*.jsonl")
    return {str(file.relative_to(folder)): file.read_text() for file in files}


def _started(out):
    settings = [*SMALL, "sft.samples=8", "grpo.samples=4", "vision_check.enabled=false"]
    return Command(
        *("compare", "--task", TASK, "--smoke", "--seeds=1", f"--out={out}"),
        *("--paradigms=zero-shot,cot-sft,reason-rft", *(f"--set={each}" for each in settings)),
    )
