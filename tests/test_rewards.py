"""Laws of the rewards: the truth earns most, nothing earns more than one, tags cannot be faked."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import markup, parsers, rewards
from rftcore.errors import PluginError, SampleError
from rftcore.types import RewardInput

finite = st.floats(allow_nan=False, allow_infinity=False)
bend = st.floats(0.04, 0.21)  # relative errors around the ramp
PIECES = ["<think>", "</think>", "<answer>", "</answer>", "<Answer>", "5", "x", " ", "\n"]
texts = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)

every_reward = pytest.mark.parametrize(
    "reward", [make() for make in rewards.OFFERED.values()], ids=list(rewards.OFFERED)
)


@every_reward
@given(answer=st.none() | st.floats(), gold=finite, completion=texts)
def test_a_reward_repeats_itself_in_zero_to_one(reward, answer, gold, completion):
    x = RewardInput(answer, gold, completion)

    assert 0 <= reward(x) <= 1
    assert reward(x) == reward(x)


@every_reward
@given(gold=finite, reasoning=texts.filter(lambda text: text.strip() and "<" not in text))
def test_the_truth_earns_the_most(reward, gold, reasoning):
    completion = markup.write(reasoning, parsers.Number().show(gold))

    assert reward(RewardInput(gold, gold, completion)) == 1


@given(answer=st.none() | st.integers(0, 20), gold=st.integers(0, 20))
def test_exact_pays_for_the_gold_alone(answer, gold):
    assert rewards.exact(RewardInput(answer, gold)) == (answer == gold)


@given(gold=st.floats(1, 1e6), errors=st.tuples(bend, bend))
def test_a_closer_number_never_earns_less(gold, errors):
    near, far = sorted(errors)
    score = rewards.tolerance_score

    assert score(gold * (1 + near), gold) >= score(gold * (1 + far), gold)


@given(gold=finite.filter(bool), error=st.floats(-0.3, 0.3))
def test_the_sign_of_the_gold_does_not_matter(gold, error):
    score = rewards.tolerance_score

    assert score(gold * (1 + error), gold) == score(-gold * (1 + error), -gold)


@pytest.mark.parametrize(
    ("answer", "gold", "earned"),
    [  # the paper's examples 11 to 16; a zero gold and NaN are ours
        (105, 100, 1.0),
        (112.5, 100, 0.5),
        (110, 100, 0.75),
        (80, 100, 0.0),
        (0, 0, 1.0),
        (1e-9, 0, 0.0),
        (math.nan, 5, 0.0),
        (math.inf, 5, 0.0),
        (-1e308, 1e308, 0.0),
    ],
)
def test_tolerance_pays_as_in_the_paper(answer, gold, earned):
    assert rewards.tolerance_score(answer, gold) == pytest.approx(earned)


@pytest.mark.parametrize("gold", [math.nan, math.inf])
def test_a_gold_that_is_no_number_is_bad_data(gold):
    with pytest.raises(SampleError):
        rewards.tolerance_score(1.0, gold)


@pytest.mark.parametrize("options", [(0.2, 0.2), (-0.1, 0.2), (0.0, math.nan), (0.0, math.inf)])
def test_a_tolerance_that_does_not_fall_is_refused(options):
    with pytest.raises(PluginError):
        rewards.tolerance(*options)


GOOD = "<think>a</think><answer>b</answer>"


@given(before=st.text(" \n\t"), between=st.text(" \n\t"), after=st.text(" \n\t"))
def test_white_space_around_the_blocks_is_free(before, between, after):
    text = f"{before}<think>a</think>{between}<answer>b</answer>{after}"

    assert rewards.tags(RewardInput(None, None, text)) == 1


@given(at=st.integers(0, len(GOOD)), tag=st.sampled_from(PIECES[:5]))
def test_one_more_tag_anywhere_earns_nothing(at, tag):
    text = GOOD[:at] + tag + GOOD[at:]

    assert rewards.tags(RewardInput(None, None, text)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "<answer>b</answer>",
        "<think>a</think>",
        "<think></think><answer>b</answer>",
        "<think>a</think><answer> \n</answer>",
        "<answer>b</answer><think>a</think>",
        "<think>a</think>so<answer>b</answer>",
        "so <think>a</think><answer>b</answer>",
        "<think>a</think><answer>b</answer>.",
        "<think>a<answer>b</answer></think>",
        "<Think>a</Think><answer>b</answer>",
        '<think>a</think><answer id="1">b</answer>',
        "<think>a</think><answer>b</answer> junk <answer>c</answer>",
    ],
)
def test_what_is_not_one_think_block_and_one_answer_block_earns_nothing(text):
    assert rewards.tags(RewardInput(None, None, text)) == 0


def test_a_reward_declares_what_it_uses():
    assert rewards.uses(rewards.tags) == {"completion"}
    assert rewards.uses(rewards.exact) == rewards.uses(rewards.tolerance()) == frozenset()


def test_a_misspelt_declaration_is_refused_with_a_suggestion():
    with pytest.raises(PluginError, match="Did you mean 'completion'"):
        rewards.reward(uses=["completions"])


@every_reward
def test_rewards_travel_between_processes(reward):
    assert rewards.uses(pickle.loads(pickle.dumps(reward))) == rewards.uses(reward)
