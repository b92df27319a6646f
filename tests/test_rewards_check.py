"""A reward that always fails is an error before a model loads; one that sometimes fails is not."""

import dataclasses
import re
import time

import pytest

import rftcore as rft
from rftcore.errors import RewardError
from rftcore.pipeline.plan import Request
from rftcore.pipeline.rewards_check import check_rewards


def always(x):
    raise ZeroDivisionError("no reason")


def without_an_answer(x):
    return float(x.answer + 1 > 0)  # None + 1


def with_an_answer(x):
    return 0.0 if x.answer is None else always(x)


def nan(x):
    return float("nan")


@rft.rewards.reward(uses=("siblings",))
def in_groups_only(x):
    return float(len(x.siblings))  # None in an evaluation


def does_not_apply(x):
    return None


def hangs(x):
    time.sleep(60)


@pytest.fixture
def plan(fakes, tmp_path):
    """The plan of a run whose task has another term: `plan(reward, *settings)`."""

    def make(reward, *settings, **changes):
        terms = {"accuracy": rft.Term(rft.rewards.exact), "extra": rft.Term(reward)}
        task = dataclasses.replace(fakes.numbers(), **{"rewards": terms, **changes})
        catalogue = fakes.load({"beads": fakes.tasks(numbers=lambda: task)})
        options = [("test", {"task": "numbers", "model": str(tmp_path)})]
        return Request(options=options, settings=settings_of(settings)).plan(catalogue)

    return make


def settings_of(texts):
    from rftcore.pipeline.plan import setting_layers

    return setting_layers(["scoring.timeout_s=0.2", "scoring.error_budget=0", *texts])


@pytest.mark.parametrize("reward", [always, nan])
def test_a_reward_that_always_fails_is_an_error_with_its_origin(reward, plan):
    with pytest.raises(RewardError) as caught:
        check_rewards(plan(reward))

    head = r"reward 'extra' \(task 'numbers' of beads 1\.0\) failed on every trial, on the "
    assert re.match(head + "reference answer of sample rl-0: (Zero|Value)", str(caught.value))
    assert re.search(r"test_rewards_check\.py line \d+", str(caught.value))


@pytest.mark.parametrize(
    ("reward", "trials", "on"),
    [
        (without_an_answer, "2 of 4", "an empty completion of sample rl-0: TypeError"),
        (with_an_answer, "2 of 4", "the reference answer of sample rl-0: ZeroDivisionError"),
        (in_groups_only, "2 of 4", "the reference answer of sample val-0: TypeError"),
        (hangs, "4 of 4", "the reference answer of sample rl-0: no result within 0.2 s"),
    ],
)
def test_a_reward_that_fails_on_some_completions_is_a_warning(reward, trials, on, plan, logged):
    check_rewards(plan(reward))

    [warning] = logged.messages
    assert f"(task 'numbers' of beads 1.0) failed in {trials} trials" in warning
    assert f"on {on}" in warning
    assert "scoring.error_budget=0" in warning


@pytest.mark.parametrize("reward", [does_not_apply, rft.rewards.tags, rft.rewards.length()])
def test_a_reward_that_scores_or_does_not_apply_is_fine(reward, plan, logged):
    check_rewards(plan(reward))

    assert logged.messages == []


@pytest.mark.parametrize(
    ("settings", "failed"),
    [
        ("grpo.enabled=false", "val-0"),
        ("evaluation.splits=[]", "rl-0"),
    ],
)
def test_rewards_are_called_on_what_the_run_will_score(settings, failed, plan):
    with pytest.raises(RewardError, match=f"the reference answer of sample {failed}:"):
        check_rewards(plan(always, settings))


def test_a_run_that_scores_nothing_calls_no_reward(plan):
    check_rewards(plan(always, "grpo.enabled=false", "evaluation.splits=[]"))


def test_a_reward_of_another_plugin_is_named_with_it(plan):
    made = plan(rft.rewards.tags, "rewards.extra.use=exact")

    with pytest.raises(RewardError, match=r"reward 'extra' \(reward 'exact' of rftcore"):
        check_rewards(broken(made))


def broken(plan):
    terms = {**plan.task.rewards, "extra": rft.Term(always)}
    return dataclasses.replace(plan, task=dataclasses.replace(plan.task, rewards=terms))


@pytest.mark.parametrize(("most", "warned"), [(1.0, False), (0.9, True)])
def test_a_reference_answer_that_is_not_correct_is_a_warning(most, warned, plan, logged):
    terms = {"accuracy": rft.Term(lambda x: most * (x.answer == x.gold))}
    check_rewards(plan(None, rewards=terms))

    assert any("returned 0.9 on the reference answer of" in m for m in logged.messages) == warned
