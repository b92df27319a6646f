"""Laws of the rewards: the truth earns most, repeating earns nothing, tags cannot be faked."""

import math
import pickle
import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import parsers, rewards, tags
from rftcore.errors import PluginError, SampleError
from rftcore.spelling import trimmed
from rftcore.types import RewardInput, Sample

finite = st.floats(allow_nan=False, allow_infinity=False)
bend = st.floats(0.04, 0.21)  # relative errors around the ramp
PIECES = ["<think>", "</think>", "<answer>", "</answer>", "<Answer>", "5", "x", " ", "\n"]
texts = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)

# Those of the paper's code have their own laws, and so has algebra.
OURS = {name: make() for name, make in rewards.OFFERED.items() if name != "paper"}
OWN_VALUES = {"iou", "quantity"}  # their golds are no numbers: test_boxes.py, test_benchmarks.py
LOW = {"length": -0.5}
HIGH = {"length": 0.5}
TEXT = {"anls", "exact", "relaxed", "symbolic"}  # those that read an answer as text
NOT_FOR_THE_ANSWER = {"caption_tags", "length", "steps"} | OWN_VALUES


def every_reward(without=frozenset()):
    names = sorted(OURS.keys() - without)
    return pytest.mark.parametrize(("name", "reward"), [(name, OURS[name]) for name in names])


@every_reward(without={"symbolic"} | OWN_VALUES)
@given(answer=st.none() | st.floats(), gold=finite, completion=texts, correct=st.booleans())
def test_a_reward_repeats_itself_within_its_range(name, reward, answer, gold, completion, correct):
    lengths = {"tokens": len(completion), "sibling_tokens": (3, 9)}
    x = RewardInput(answer, gold, completion, step=1, correct=correct, **lengths)

    assert LOW.get(name, 0) <= reward(x) <= HIGH.get(name, 1)
    assert reward(x) == reward(x)


@every_reward(without=NOT_FOR_THE_ANSWER)
@given(gold=finite, reasoning=texts.filter(lambda text: trimmed(text) and "<" not in text))
def test_the_truth_earns_the_most(name, reward, gold, reasoning):
    completion = tags.write(reasoning, parsers.Number().show(gold))

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
def test_a_tolerance_that_does_not_fall_is_an_error(options):
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


CAPTIONED = "<summary>s</summary>\n<caption>c</caption><think>a</think> <answer>b</answer>\n"


@given(at=st.integers(0, len(CAPTIONED)), tag=st.sampled_from([*PIECES[:5], "<caption>"]))
def test_one_more_tag_anywhere_spoils_a_captioned_answer(at, tag):
    text = CAPTIONED[:at] + tag + CAPTIONED[at:]

    assert rewards.caption_tags(RewardInput(None, None, CAPTIONED)) == 1
    assert rewards.caption_tags(RewardInput(None, None, text)) == 0


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        CAPTIONED.replace("<caption>c</caption>", ""),
        CAPTIONED.replace("<caption>c</caption>", "<caption> </caption>"),
        "<caption>c</caption><summary>s</summary><think>a</think><answer>b</answer>",
        CAPTIONED + ".",
        CAPTIONED * 2,
    ],
)
def test_what_is_not_the_four_blocks_in_order_with_content_earns_nothing(text):
    assert rewards.caption_tags(RewardInput(None, None, text)) == 0


LINES = ["First, look.", "1. look", "- Look!", "Next, a", "Step 2: a b", "plain", "First,", "-", ""]
lines = st.lists(st.sampled_from(LINES) | st.text())


@given(written=lines, again=st.lists(st.integers(0, 9)))
def test_a_repeated_line_adds_no_step(written, again):
    repeated = written + [written[at % len(written)] for at in again if written]

    assert rewards.count_steps("\n".join(repeated)) == rewards.count_steps("\n".join(written))


@given(words=st.lists(st.sampled_from("abc"), min_size=1), times=st.integers(1, 9))
def test_repeating_a_marker_or_a_word_makes_no_new_step(words, times):
    once, often = " ".join(words), " ".join(words * times)

    assert rewards.count_steps(f"First, {once}\n{'Next, ' * times}{often}") == 1


@given(written=lines, line=st.sampled_from(LINES))
def test_one_more_line_takes_no_step_away(written, line):
    few, many = "\n".join(written), "\n".join([*written, line])

    assert rewards.count_steps(few) <= rewards.count_steps(many) <= rewards.count_steps(few) + 1


@pytest.mark.parametrize(
    ("text", "count"),
    [  # the paper's examples of markers first
        ("1. a\n2. b\n3. c", 3),
        ("- a\n* b\n", 2),
        ("<think>First, look.\nNext, count.\nFinally, answer.</think>", 3),
        ("First,First,First,", 0),
        ("Step 1: a\nStep 2: a", 1),
        ("Step 1: a Step 2: b", 1),
        ("1) a\n2) b", 2),
        ("-5 is negative\n1.5 is not", 0),
        ("next, a\nso b", 1),
        ("", 0),
    ],
)
def test_what_counts_as_a_step(text, count):
    assert rewards.count_steps(text) == count


def test_steps_pay_their_share_up_to_enough():
    written = RewardInput(None, None, "1. a\n2. b")

    assert [rewards.steps(enough)(written) for enough in (1, 2, 4)] == [1, 1, 0.5]


sizes = st.integers(0, 50)


def of_length(tokens, others, *, correct=True, step=1):
    """What `length` may look at."""
    group = {"tokens": tokens, "sibling_tokens": others}
    return RewardInput(5, 5, step=step, correct=correct, **group)


@given(tokens=st.tuples(sizes, sizes), others=st.lists(sizes, min_size=1), correct=st.booleans())
def test_a_longer_completion_never_earns_more(tokens, others, correct):
    few, many = (rewards.length()(of_length(n, others, correct=correct)) for n in sorted(tokens))

    assert many <= few


@given(tokens=sizes, others=st.lists(sizes, min_size=1), correct=st.booleans())
def test_length_can_be_for_correct_completions_alone(tokens, others, correct):
    x = of_length(tokens, others, correct=correct)

    assert rewards.length(only_correct=True)(x) == (rewards.length()(x) if correct else None)


def test_length_does_not_apply_where_correct_is_unknown():
    assert rewards.length()(of_length(1, (2,), correct=None)) is None


@given(tokens=sizes, others=st.lists(sizes, min_size=1))
def test_being_short_pays_for_correct_answers_alone(tokens, others):
    right, wrong = (rewards.brevity(tokens, others, correct=correct) for correct in (True, False))

    assert wrong == min(0, right)


@pytest.mark.parametrize(
    ("tokens", "others", "earned"),
    [(0, [1, 2, 3, 4], 0.5), (3, [0, 1, 2, 4], -0.25), (4, [0], -0.5), (4, [4, 4], 0.0)],
)
def test_brevity_pays_as_in_the_paper(tokens, others, earned):
    assert rewards.brevity(tokens, others, correct=True) == earned


@pytest.mark.parametrize(
    ("step", "others", "earned"),
    [(None, (2,), None), (9, (2,), None), (10, None, None), (10, (), None)]
    + [(step, (2,), grown / 2) for step, grown in [(10, 0), (15, 0.5), (20, 1), (99, 1)]],
)
def test_length_grows_on_schedule_and_applies_within_a_group_in_training(step, others, earned):
    scheduled = rewards.length(from_step=10, ramp_steps=10)

    assert scheduled(of_length(1, others, step=step)) == earned


@pytest.mark.parametrize(
    "make",
    [lambda: rewards.steps(0), lambda: rewards.length(-1), lambda: rewards.length(0, -1)],
)
def test_meaningless_options_are_errors(make):
    with pytest.raises(PluginError, match="use"):
        make()


def test_a_reward_declares_what_it_uses():
    assert rewards.uses(rewards.tags) == {"completion"}
    assert rewards.uses(rewards.exact) == rewards.uses(rewards.tolerance()) == frozenset()


def test_a_misspelled_declaration_is_an_error_with_a_suggestion():
    with pytest.raises(PluginError, match="Did you mean 'completion'"):
        rewards.reward(uses=["completions"])


@every_reward()
def test_rewards_travel_between_processes(name, reward):
    assert rewards.uses(pickle.loads(pickle.dumps(reward))) == rewards.uses(reward)


golds = st.floats() | st.integers() | st.text(max_size=5) | st.none() | st.just(10**400)


@given(gold=golds, answer=finite)
def test_a_gold_without_a_fault_never_stops_a_run_and_one_with_a_fault_does(gold, answer):
    reward = rewards.tolerance()

    if fault := rewards.gold_fault(reward, gold):
        with pytest.raises(SampleError, match=re.escape(fault)):
            reward(RewardInput(answer, gold))
    else:
        assert 0 <= reward(RewardInput(answer, gold)) <= 1


def odd(x):
    return 1.0


def test_a_gold_check_is_found_through_partial_and_a_reward_without_one_takes_any_gold():
    checked = rewards.reward(gold_fault=lambda gold: "odd" if gold % 2 else None)(lambda x, y: 1.0)

    assert [rewards.gold_fault(partial(checked, y=1), gold) for gold in (1, 2)] == ["odd", None]
    assert rewards.gold_fault(odd, object()) is None


@pytest.mark.parametrize("check", [lambda gold: gold / 0, lambda gold: True, lambda gold: ""])
def test_a_gold_check_that_breaks_is_the_plugins_fault(check):
    with pytest.raises(PluginError, match="gold check"):
        rewards.gold_fault(rewards.reward(gold_fault=check)(lambda x: 1.0), 1)


HOSTILE = [
    "\ud83d",
    "5\udc00",
    "(" * 50_000,
    "{" * 50_000,
    "[" * 50_000,
    "9" * 50_000,
    "\u200b" * 9,
]
HOSTILE += [
    "<think>" * 5_000,
    "<answer>" * 5_000,
    "√" * 400,
    "^" * 400,
    r"\frac{" * 60,
    "\x00",
    "nan",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:8]!a}x{len(text)}")
def test_no_text_of_a_policy_makes_a_reward_raise_or_wins(text):
    steps = {"tokens": 9, "sibling_tokens": (3, 9), "step": 999, "siblings": ("5",)}
    for completion in (text, f"<think>x</think><answer>{text}</answer>"):
        answer = parsers.Text(10**6).parse(completion).value
        sample = Sample("a", "?", "5")
        for name, reward in OURS.items():
            if name in OWN_VALUES:
                continue
            known = {"completion": completion, "sample": sample, "correct": False, **steps}
            value = reward(RewardInput(answer if name in TEXT else None, "5", **known))
            assert name not in TEXT or value == 0
        for function in sorted(rewards.paper.FUNCTIONS.keys() - {"len_reward"}):
            assert rewards.paper.FUNCTIONS[function](completion, "5") is not None


def test_a_reward_is_declared_with_arguments_or_without():
    @rewards.reward
    def plain(x):
        return 1.0

    @rewards.reward(uses=["completion"])
    def long(x):
        return float(len(x.completion))

    assert (rewards.uses(plain), plain.slow) == (frozenset(), False)
    assert rewards.uses(long) == {"completion"}


@pytest.mark.parametrize(
    "wrong", [lambda: rewards.reward(uses="step"), lambda: rewards.reward("step")]
)
def test_a_text_in_place_of_a_list_of_fields_is_an_error_with_the_list(wrong):
    with pytest.raises(PluginError, match=r'uses=\["step"\]'):
        wrong()
