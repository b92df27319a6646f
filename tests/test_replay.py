"""A run's rollouts score the same again, or the report shows what has changed and where."""

import json
import types
from dataclasses import replace

import pytest
from click.testing import CliRunner

from rftcore import builtin, cli, rewards
from rftcore.config import dump_recipe, load_recipe
from rftcore.datasets.slices import take
from rftcore.plugins import Catalogue
from rftcore.runs import RunFolder
from rftcore.scoring import Scorer
from rftcore.types import Term

TEXTS = ["<think>a</think><answer>1</answer>", "1", "2", "what?"] * 2
ROWS = [1, 1, 1, 1, 3, 3, 3, 3]


@pytest.fixture
def world(tmp_path, monkeypatch, fakes):
    """A task that a test can change, in a plugin whose version a test can change."""
    state = types.SimpleNamespace(version="1.0", change=lambda task: task)

    def numbers():
        task = fakes.numbers()
        terms = {**task.rewards, "length": Term(rewards.length(), 0.1)}
        return state.change(replace(task, rewards=terms))

    def points():
        plugin = fakes.tasks(numbers=numbers)
        return [fakes.point("rftcore", builtin), fakes.point("good", plugin, state.version)]

    fakes.install(points, monkeypatch)
    state.run = trained(tmp_path / "run")
    return state


def trained(path):
    """A run folder with the rollouts of two steps, written as GRPO writes them."""
    from rftcore.training.grpo import reward_function

    catalogue = Catalogue.load()
    recipe = load_recipe(("test", {"task": "numbers"}))
    task = catalogue.task_of(recipe)
    run = RunFolder.create(path, {"plugins": catalogue.distributions()}, dump_recipe(recipe))

    def observe(step, rollouts):
        for rollout in rollouts:
            run.add_rollout(rollout)

    reward = reward_function(take(task, "rl"), Scorer(task), observe)
    for step in (0, 1):
        state = types.SimpleNamespace(global_step=step)
        ids = [[0] * (2 + at % 4) for at in range(8)]
        reward(completions=TEXTS, row=ROWS, completion_ids=ids, trainer_state=state)
    run.unlock()
    return run


def replay(run, *options):
    done = CliRunner().invoke(cli.main, ["replay", str(run.path), *options])
    return done.exit_code, done.output


def rewrite(run, change):
    lines = [change(line) for line in run.read_jsonl("rollouts.jsonl")]
    run.write_text("rollouts.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def test_an_unchanged_task_scores_the_same(world):
    code, output = replay(world.run)

    assert code == 0
    assert "16 rollouts, scored again" in output
    assert "plugin versions: unchanged" in output
    told = json.loads(replay(world.run, "--json")[1])
    names = ("sample", "answer", "total", "accuracy", "format", "length")
    assert told["compared"] == dict.fromkeys(names, 16)


def test_a_changed_reward_is_found_and_its_first_examples_shown(world):
    def generous(x):
        return float(x.answer is not None)

    world.change = lambda task: replace(task, rewards={**task.rewards, "accuracy": Term(generous)})
    world.version = "1.1"
    code, output = replay(world.run)

    assert code == 1
    assert "line 3 (step 1, sample rl-1): accuracy was 0.0, is 1.0" in output
    assert "good: 1.0 in the run, 1.1 now" in output
    told = json.loads(replay(world.run, "--json")[1])
    assert told["changed"]["accuracy"] == 8  # 2 for 1; 1, 1 and 2 for 3; in two steps
    assert {change["term"] for change in told["changes"]} >= {"accuracy", "total"}


def test_a_task_in_a_file_that_was_edited_is_another_version(world):
    world.run.record(task_file="0" * 64)

    assert "numbers: SHA-256 000000000000 in the run, absent now" in replay(world.run)[1]


def test_a_term_that_came_or_went_has_changed(world):
    world.change = lambda task: replace(
        task, rewards={"accuracy": Term(rewards.exact), "steps": Term(rewards.steps())}
    )

    changed = json.loads(replay(world.run, "--json")[1])["changed"]
    assert {name: changed[name] for name in ("format", "length", "steps")} == dict.fromkeys(
        ("format", "length", "steps"), 16
    )


def test_a_changed_sample_is_distinguished_from_a_changed_reward(world):
    rewrite(world.run, lambda line: {**line, "gold": "4"} if line["index"] == 3 else line)

    assert json.loads(replay(world.run, "--json")[1])["changed"] == {"sample": 8}


@pytest.mark.parametrize(
    ("field", "stored"),
    [
        ("id", "other"),
        ("question", "How few?"),
        ("gold", "4"),
        ("meta", {"kind": "other"}),
        ("images", [{"key": "other.png", "path": None, "size": None, "seen": None}]),
    ],
)
def test_whatever_changes_of_a_sample_is_found_and_shown(world, field, stored):
    rewrite(world.run, lambda line: {**line, field: stored} if line["index"] == 3 else line)
    told = json.loads(replay(world.run, "--json")[1])

    assert told["changed"]["sample"] == 8
    assert {(*each["before"], *each["now"]) for each in told["changes"]} == {(field, field)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda line: {"schema": 2, "id": "a"}, "line 1 has no `split`, `index`, `step`"),
        (lambda line: {"step": 1}, "line 1 has schema=None"),
        (lambda line: {**line, "schema": 9}, "line 1 has schema=9: a newer version of rft wrote"),
        (lambda line: {**line, "index": 99}, "row 99 of split 'rl', which has 5"),
        (lambda line: {**line, "index": -1}, "line 1 has index=-1, but it must be a whole number"),
        (lambda line: {**line, "index": None}, "line 1 is not a rollout"),
        (lambda line: {**line, "step": "1"}, "line 1 has step='1', but it must be a whole number"),
        (lambda line: {**line, "completion": None}, "line 1 has completion=None, but it must be t"),
        (lambda line: {**line, "rewards": {"accuracy": "1"}}, "but it must be a number or null by"),
        (lambda line: [line], "line 1 is list, not an object"),
    ],
)
def test_the_error_for_a_run_that_cannot_be_scored_has_the_reason(world, change, expected):
    rewrite(world.run, change)
    code, output = replay(world.run)

    assert (code, expected in output) == (2, True)


def test_a_run_without_rollouts_is_an_error(world, tmp_path):
    run = RunFolder.create(tmp_path / "young", {})

    assert replay(run)[0] == 2
    assert "has no rollouts" in replay(run)[1]
    assert "is not a run folder" in CliRunner().invoke(cli.main, ["replay", "nowhere"]).output


def test_rewards_that_fail_now_are_counted_with_the_first_cause(world):
    def broken(x):
        raise KeyError("gone")

    world.change = lambda task: replace(task, rewards={**task.rewards, "accuracy": Term(broken)})
    code, output = replay(world.run)

    assert code == 1
    assert "accuracy was 1.0, is 'error'" in output
    assert "16 reward calls failed: --json prints all with their tracebacks; first: " in output
    assert "reward 'accuracy' on rl sample rl-1: KeyError: 'gone' (" in output
    assert len(json.loads(replay(world.run, "--json")[1])["failures"]) == 16
