"""Laws of reading and comparing answers of two kinds."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_structure.answers import NearAnswer, NumberOrChoice, same_answer

from rftcore.errors import PluginError
from rftcore.types import RewardInput

PARSER = NumberOrChoice()
numbers = st.floats(allow_nan=False, allow_infinity=False)
letters = st.sampled_from("ABCD")
anything = st.one_of(st.none(), numbers, letters)
rewards = pytest.mark.parametrize("reward", [same_answer, NearAnswer()], ids=["same", "near"])


@given(st.text())
def test_any_text_is_an_answer_or_a_parse_error(text: str):
    for parsed in (PARSER.parse(text), PARSER.gold(text)):
        assert parsed.ok or (parsed.error and parsed.value is None)


@given(st.one_of(numbers, letters))
def test_what_is_shown_reads_back(value: float | str):
    assert PARSER.gold(PARSER.show(value)).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("37", 37.0),
        ("37.0", 37.0),
        ("+50.3", 50.3),
        ("1,200", 1200.0),
        ("b", "B"),
        ("(C).", "C"),
        (" D ", "D"),
        ("E", None),
        ("37 degrees", None),
        ("A or B", None),
        ("nan", None),
        ("", None),
    ],
)
def test_a_number_or_a_letter_is_read(text: str, value: float | str | None):
    assert PARSER.gold(text).value == value


@pytest.mark.parametrize("kind", ["7", "B"])
def test_the_answer_block_is_read_and_not_the_reasoning(kind: str):
    completion = f"<think>\nfirst 3, then <answer>A</answer>\n</think>\n<answer>{kind}</answer>"

    assert PARSER.parse(completion).value == PARSER.gold(kind).value


def test_a_parse_error_names_both_kinds():
    assert "not a number and not one letter of ABCD" in (PARSER.gold("blue").error or "")


def test_letters_that_cannot_be_choices_are_an_error():
    with pytest.raises(PluginError, match="AA"):
        NumberOrChoice("AA")


@rewards
@given(gold=st.one_of(numbers, letters))
def test_the_truth_earns_all(reward, gold):
    assert reward(RewardInput(gold, gold)) == 1.0


@rewards
@given(answer=anything, gold=st.one_of(numbers, letters))
def test_every_pair_of_answers_earns_zero_to_one(reward, answer, gold):
    assert 0.0 <= reward(RewardInput(answer, gold)) <= 1.0


@rewards
@pytest.mark.parametrize(("answer", "gold"), [("A", 5.0), (5.0, "A"), ("A", "B"), (None, "A")])
def test_the_wrong_letter_or_kind_earns_nothing(reward, answer, gold):
    assert reward(RewardInput(answer, gold)) == 0.0


@given(gold=st.floats(1, 1e6), near=st.floats(0, 1e3), far=st.floats(0, 1e3))
def test_a_closer_number_is_never_less_right(gold: float, near: float, far: float):
    near, far = sorted((near, far))
    right = [same_answer(RewardInput(gold + error, gold)) for error in (near, far)]

    assert right == sorted(right, reverse=True)


@given(tenths=st.integers(10, 10**6), off=st.floats(-0.049, 0.049))
def test_what_rounds_to_the_gold_is_right_and_the_next_tenth_is_not(tenths: int, off: float):
    gold = tenths / 10

    assert same_answer(RewardInput(gold + off, gold)) == 1.0
    assert same_answer(RewardInput(gold + 0.1, gold)) == 0.0


@given(gold=st.floats(1, 1e6), answer=numbers)
def test_a_right_number_earns_the_whole_tolerance(gold: float, answer: float):
    x = RewardInput(answer, gold)

    assert NearAnswer()(x) >= same_answer(x)


def test_parser_and_rewards_can_be_pickled():
    parser, reward = pickle.loads(pickle.dumps((PARSER, NearAnswer())))

    assert parser == PARSER
    assert reward(RewardInput(112.5, 100.0)) == pytest.approx(0.5)
