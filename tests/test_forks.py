"""A fork takes over what its parent has finished, and nothing that the changes would alter."""

import json

import pytest

from rftcore import cli
from rftcore.config import load_recipe
from rftcore.errors import RecipeError, RunError
from rftcore.pipeline.forks import Fork
from rftcore.runs import RunFolder

BASE = ("base", {"task": "counting"})
DONE = ["data", "vision_check", "evaluate:start", "sft", "evaluate:sft", "grpo"]
FILES = {
    "sft/model/config.json": "{}",
    "sft/model/model.safetensors": "weights",
    "sft/adapter/adapter_model.safetensors": "its adapter",
    "sft/checkpoint-2/model.safetensors": "older weights",
    "sft.json": "{}",
    "grpo.json": "{}",
    "evaluation/start.json": "[1]",
    "evaluation/start-val.jsonl": "{}\n",
    "evaluation/start-direct-val.jsonl": "{}\n",
    "evaluation/sft.json": "[2]",
    "evaluation/sft-val.jsonl": "{}\n",
    "evaluation/grpo.json": "[3]",
}
TAKEN = {
    *("sft/model/config.json", "sft/model/model.safetensors", "sft.json"),
    "sft/adapter/adapter_model.safetensors",
    *("evaluation/start.json", "evaluation/start-val.jsonl", "evaluation/start-direct-val.jsonl"),
    *("evaluation/sft.json", "evaluation/sft-val.jsonl", "metrics.jsonl"),
}


def parent(folder, done=DONE):
    run = RunFolder.create(folder, {"created": "then", "data": {"sft": "1"}, "vision_check": 7})
    for name, text in FILES.items():
        run.write_text(name, text)
    for phase in ("sft", "grpo"):
        run.append_jsonl("metrics.jsonl", {"phase": phase, "step": 1})
    for phase in done:
        run.mark_done(phase)
    return run


def fork(run, *settings):
    return Fork(run, load_recipe(BASE), load_recipe(BASE, overrides=settings))


def test_a_fork_takes_the_files_of_finished_phases_up_to_sft(tmp_path):
    made = fork(parent(tmp_path / "a"), "grpo.beta=0.1")
    run = RunFolder.create(tmp_path / "b", made.facts(), "task: x", made.fill)

    own = {"recipe.yaml", "state.json", "manifest.json", ".lock"}
    assert {str(file.relative_to(run.path)) for file in run._files()} == TAKEN | own
    for name in TAKEN - {"metrics.jsonl"}:
        assert (run.path / name).read_text() == FILES[name]
    assert run.read_jsonl("metrics.jsonl") == [{"phase": "sft", "step": 1}]
    assert run.read_json("state.json")["done"] == [p for p in DONE if p not in ("data", "grpo")]


def test_a_fork_names_its_parent_and_what_was_changed(tmp_path):
    made = fork(parent(tmp_path / "a"), "grpo.beta=0.1", "scoring.error_budget=3")
    manifest = made.facts()

    assert manifest["vision_check"] == 7
    assert manifest["forked_from"]["run"] == str(tmp_path / "a")
    assert manifest["forked_from"]["changed"] == ["grpo.beta", "scoring.error_budget"]


@pytest.mark.parametrize(
    ("setting", "again"),
    [
        ("grpo.samples=4", []),
        ("scoring.timeout_s=9", []),
        ("evaluation.max_new_tokens=9", ["evaluate:start", "evaluate:sft"]),
        ("rewards.format.weight=2", ["evaluate:start", "evaluate:sft"]),
    ],
)
def test_an_evaluation_that_a_change_alters_is_made_again(setting, again, tmp_path):
    made = fork(parent(tmp_path / "a"), setting)

    assert made.measured_again == again
    assert {"vision_check", "sft"} <= set(made.phases)


@pytest.mark.parametrize(
    "setting",
    [
        *("seed=1", "sft.learning_rate=1", "paradigm=reason-rft-zero", "task_options.a=1"),
        *("dataset.path=x", "policy.dtype=bfloat16", "model=toy", "task=other"),
        "vision_check.samples=3",
    ],
)
def test_a_setting_that_sft_depends_on_is_an_error_that_names_it(setting, tmp_path):
    name = setting.partition("=")[0]
    with pytest.raises(RecipeError, match=f"cannot change .*{name.partition('.')[0]}"):
        fork(parent(tmp_path / "a"), setting, "grpo.beta=0.1")


def test_a_run_without_a_finished_sft_cannot_be_forked(tmp_path):
    with pytest.raises(RunError, match=r"has not finished SFT.*--resume"):
        fork(parent(tmp_path / "a", done=["data", "evaluate:start"]), "grpo.beta=0.1")


def test_a_fork_that_changes_nothing_is_an_error(tmp_path):
    with pytest.raises(RecipeError, match="would be the same run"):
        fork(parent(tmp_path / "a"))


def test_a_fork_whose_policy_is_gone_leaves_no_folder(tmp_path):
    run = parent(tmp_path / "a")
    made = fork(run, "grpo.beta=0.1")
    (run.path / "sft/model/config.json").unlink()
    with pytest.raises(RunError, match="the policy of SFT is not in"):
        RunFolder.create(tmp_path / "b", {}, fill=made.fill)

    assert not (tmp_path / "b").exists()


def test_a_fork_that_fails_before_it_has_done_anything_leaves_no_folder(tmp_path):
    made = fork(parent(tmp_path / "a"), "grpo.beta=0.1")
    run = RunFolder.create(tmp_path / "b", {}, fill=made.fill)
    run.discard_unstarted()

    assert not run.path.exists()
    assert (tmp_path / "a/sft/model/model.safetensors").read_text() == "weights"


# --- the truth: a fork does what a run from the start does ---

TASK = """
import rftcore as rft

class Letters:
    splits = ("sft", "rl", "val")

    def size(self, split):
        return 16

    def sample(self, split, index):
        return rft.Sample(f"{split}-{index}", f"{split} {index}?", str(index), cot="So it is.")

@rft.rewards.reward(uses=("completion",))
def even(x: rft.RewardInput) -> float:  # anything that differs within a group
    return float(len(x.completion) % 3)

def letters():
    return rft.Task(
        name="letters",
        dataset=Letters(),
        prompt=lambda sample: rft.Prompt(sample.question),
        parser=rft.parsers.Integer(low=0, high=99),
        rewards={"accuracy": rft.Term(rft.rewards.exact), "even": rft.Term(even)},
    )
"""
CHANGED = ["--set=grpo.loss_type=dr_grpo", "--set=grpo.learning_rate=1e-3"]
TIMES = ("time", "runtime", "per_second", "shared_prefix/difference")


def train(*arguments):
    cli.main(["train", *map(str, arguments)], standalone_mode=False)


def metrics(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in row.items() if not any(t in k for t in TIMES)} for row in lines]


@pytest.mark.slow
def test_grpo_of_a_fork_equals_that_of_a_run_with_its_settings_from_the_start(tmp_path):
    pytest.importorskip("rft_nano")
    (tmp_path / "letters.py").write_text(TASK)
    start = ["--task", f"{tmp_path / 'letters.py'}:letters", "--smoke"]
    parent, whole, forked = (tmp_path / name for name in ("parent", "whole", "forked"))
    train(*start, "--out", parent)
    train(*start, *CHANGED, "--out", whole)
    train("--fork", parent, *CHANGED, "--out", forked)

    assert metrics(forked) == metrics(whole)
    assert any(row["grad_norm"] > 0 for row in metrics(forked) if row.get("reward") is not None)
    weights = [(f / "grpo/model/model.safetensors").read_bytes() for f in (parent, whole, forked)]
    assert weights[2] == weights[1] != weights[0]
    for name in ("rollouts.jsonl", "evaluation/grpo.json", "evaluation/start.json"):
        assert (forked / name).read_text() == (whole / name).read_text()
    assert (forked / "sft/model/model.safetensors").samefile(parent / "sft/model/model.safetensors")


def test_an_evaluation_that_becomes_the_last_is_made_again(tmp_path):
    made = fork(parent(tmp_path / "a"), "paradigm=cot-sft")

    assert made.phases == ["vision_check", "evaluate:start", "sft"]
    assert made.measured_again == ["evaluate:sft"]
