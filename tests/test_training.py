"""What the loop passes to TRL, and its errors before a model loads."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from rftcore.completions import ScoredCompletion
from rftcore.config import load_recipe, model_defaults
from rftcore.errors import RecipeError, RunError
from rftcore.pipeline.loop import kept
from rftcore.runs import RunFolder
from rftcore.scoring import Outcome, Score
from rftcore.training.checkpoints import pass_on_defaults
from rftcore.training.configs import grpo_config, sft_config, shapes
from rftcore.training.grpo import (
    attack_metrics,
    batch_metrics,
    completion_text,
    reward_function,
)
from rftcore.training.settings_check import check_settings
from rftcore.types import Parsed, Sample


def recipe(**sections):
    return load_recipe(("test", {"task": "t", **sections}))


@pytest.mark.parametrize(
    ("section", "setting", "message"),
    [
        ("grpo", {"lerning_rate": 1e-5}, "Did you mean 'learning_rate'"),
        ("sft", {"num_train_epoch": 2}, "Did you mean 'num_train_epochs'"),
        ("grpo", {"grup_size": 4}, "Did you mean 'group_size'"),
        ("grpo", {"num_generations": 4}, "use group_size"),
        ("sft", {"gradient_accumulation_steps": 4}, "use batch_size"),
        ("grpo", {"learning_rate": "fast"}, "grpo.learning_rate"),
        ("grpo", {"max_steps": 1.5}, "grpo.max_steps"),
    ],
)
def test_a_wrong_trl_field_is_an_error_that_names_it(section, setting, message):
    with pytest.raises(RecipeError, match=message):
        check_settings(recipe(**{section: setting}))


def test_trl_fields_reach_trl(tmp_path):
    made = recipe(sft={"learning_rate": 2e-5}, grpo={"beta": 0.04, "group_size": 4})
    check_settings(made)

    assert sft_config(made, tmp_path).learning_rate == 2e-5
    assert grpo_config(made, tmp_path).beta == 0.04
    assert grpo_config(made, tmp_path).num_generations == 4


@pytest.mark.parametrize(
    ("rows", "micro", "world", "expected"),
    [(64, None, 1, (64, 1)), (64, 16, 1, (16, 4)), (64, 16, 4, (16, 1)), (112, 8, 7, (8, 2))],
)
def test_a_step_is_micro_batches_times_accumulation_times_processes(
    monkeypatch, rows, micro, world, expected
):
    monkeypatch.setenv("WORLD_SIZE", str(world))
    made = shapes(rows, micro, "grpo")

    assert tuple(made.values()) == expected
    assert expected[0] * expected[1] * world == rows


@pytest.mark.parametrize(("rows", "micro", "world"), [(64, 24, 1), (14, None, 4)])
def test_a_step_that_does_not_divide_is_an_error(monkeypatch, rows, micro, world):
    monkeypatch.setenv("WORLD_SIZE", str(world))
    with pytest.raises(RecipeError, match="divide"):
        shapes(rows, micro, "grpo")


@pytest.mark.parametrize(("every", "saves", "fits"), [(1, 3, True), (2, 4, True), (2, 3, False)])
def test_a_checkpoint_never_falls_between_two_uses_of_the_same_rollouts(every, saves, fits):
    made = recipe(grpo={"num_iterations": every, "save_steps": saves}, sft={"enabled": False})
    with nullcontext() if fits else pytest.raises(RecipeError, match="multiple of"):
        check_settings(made)


def score(total, **parts):
    made = {n: Outcome("ok", v) if v is not None else Outcome("error") for n, v in parts.items()}
    accuracy = parts.get("accuracy")
    return Score(total, made, Parsed(3), correct=None if accuracy is None else accuracy == 1)


class FixedScorer:
    """Returns fixed scores and records the arguments of its call."""

    def __init__(self, *scores):
        self.scores, self.called_with = list(scores), None

    def collective(self):
        return nullcontext()

    def score(self, completions, samples, *, step, groups, tokens):
        self.called_with = (list(completions), [s.id for s in samples], step, list(groups), tokens)
        return self.scores


def test_a_failed_reward_reaches_trl_as_none_and_never_as_zero():
    scorer = FixedScorer(score(2.0, accuracy=1), score(None, accuracy=None))
    part = [Sample("a", "?", "3"), Sample("b", "?", "4")]
    seen = []
    reward = reward_function(part, scorer, lambda step, rollouts: seen.extend(rollouts))
    state = SimpleNamespace(global_step=7)

    ids = [[7, 8], [9]]
    totals = reward(completions=["3", "x"], row=[1, 1], completion_ids=ids, trainer_state=state)

    assert totals == [2.0, None]
    assert scorer.called_with == (["3", "x"], ["b", "b"], 8, [1, 1], [2, 1])
    assert [r.failures for r in seen] == [{}, {"accuracy": "error"}]


def test_a_think_tag_that_the_template_opens_is_scored_and_kept():
    scorer = FixedScorer(score(2.0, accuracy=1), score(2.0, accuracy=1))
    kept = []
    part = [Sample("a", "?", "3")] * 2
    reward = reward_function(part, scorer, lambda step, rows: kept.extend(rows), opened="<think>\n")

    reward(completions=["a</think>3", "<think>b</think>3"], row=[0, 1])

    assert scorer.called_with[0] == ["<think>\na</think>3", "<think>b</think>3"]
    assert [row.completion for row in kept] == scorer.called_with[0]


def test_a_batch_mean_leaves_failures_out():
    metrics = batch_metrics([score(1.0, accuracy=1), score(None, accuracy=None)])

    assert metrics["reward/accuracy"] == metrics["accuracy"] == 1.0
    assert "accuracy" not in batch_metrics([score(None, accuracy=None)])


def test_a_batch_reports_failures_and_seconds_of_each_reward():
    parts = [Outcome("ok", 1.0, seconds=0.5), Outcome("timeout", seconds=2.5), Outcome("error")]
    metrics = batch_metrics([Score(None, {"slow": part}, Parsed(3), False) for part in parts])

    assert metrics["reward_time_s/slow"] == 1.0
    assert metrics["reward_error/slow"] == metrics["reward_timeout/slow"] == 1 / 3


def test_completions_that_try_to_win_without_solving_are_counted_by_kind():
    samples = [Sample("a", "?", "3")] * 2
    metrics = attack_metrics(["<answer>1, 2, 3</answer>", "<answer>4</answer>"], samples)

    assert metrics == {"attacks": 0.5, "attack/list": 0.5}


def test_what_the_gold_looks_like_itself_is_no_attack():
    sample = Sample("a", "?", "red, blue, green")

    assert attack_metrics(["<answer>green, blue, red</answer>"], [sample]) == {"attacks": 0.0}


@pytest.mark.parametrize(
    ("sizes", "expected"), [([8, 8, 8], 16), ([6, 6, 6], 12), ([64, 64], 64), ([1] * 99, 16)]
)
def test_rollouts_are_kept_by_whole_groups(sizes, expected):
    rollouts = [
        ScoredCompletion(id="a", question="?", gold="5", completion="5", index=index)
        for index, size in enumerate(sizes)
        for _ in range(size)
    ]

    assert kept(rollouts) == rollouts[:expected]


@pytest.mark.parametrize(
    "completion",
    [
        "7",
        [{"role": "assistant", "content": "7"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "7"}]}],
    ],
)
def test_a_completion_is_the_same_text_however_trl_wraps_it(completion):
    assert completion_text(completion) == "7"


def test_a_trained_policy_keeps_the_defaults_of_its_base(tmp_path):
    base, policy, bare = (tmp_path / name for name in ("base", "policy", "bare"))
    for folder in (base, policy, bare):
        folder.mkdir()
    (base / "rft.yaml").write_text("sft:\n  batch_size: 4\n")
    pass_on_defaults(base, policy)
    pass_on_defaults("nobody/on-the-hub", bare)

    assert model_defaults(policy)[0][1] == {"sft": {"batch_size": 4}}
    assert model_defaults(bare) == []


def test_trl_reports_how_many_tokens_a_completion_has():
    # what `length` relies on; pinned to the installed TRL
    import inspect

    from trl import GRPOTrainer

    source = inspect.getsource(GRPOTrainer._calculate_rewards)
    assert "completion_ids=completion_ids_list, **reward_kwargs" in source


def test_a_policy_that_is_gone_is_named_with_its_run_and_phase(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    run.mark_done("sft")
    with pytest.raises(RunError, match=r"run .*run: phase sft is finished, but its policy is not"):
        run.newest_policy()


def test_a_model_has_settings_of_its_own_for_a_task(tmp_path):
    (tmp_path / "rft.yaml").write_text(
        "grpo: {beta: 0.1, epsilon: 0.3}\ntasks:\n  cubes:\n    grpo:\n      beta: 0.2\n"
    )
    found = {
        task: load_recipe(("test", {"task": task}), *model_defaults(tmp_path, task))
        for task in ("cubes", "my-cubes:cubes", "balls")
    }
    betas = {task: recipe.grpo.model_extra["beta"] for task, recipe in found.items()}

    assert betas == {"cubes": 0.2, "my-cubes:cubes": 0.2, "balls": 0.1}
    assert found["cubes"].grpo.model_extra["epsilon"] == 0.3
    assert found["cubes"].origin("grpo", "beta") == f"{tmp_path / 'rft.yaml'} line 5"


@pytest.mark.parametrize("text", ["tasks: [cubes]\n", "tasks: {cubes: 4}\n"])
def test_settings_for_tasks_that_are_no_settings_are_an_error_with_the_line(text, tmp_path):
    (tmp_path / "rft.yaml").write_text(text)

    with pytest.raises(RecipeError, match=r"rft.yaml line 1\): must map names of tasks"):
        model_defaults(tmp_path, "cubes")
