"""Laws of the process reward: total, in range, and independent of the answer."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_counting import counting
from rft_counting.rewards import process, written_steps

from rftcore.types import RewardInput, Sample

DATA = counting().dataset
SAMPLES = st.builds(DATA.sample, st.sampled_from(DATA.splits), st.integers(0, 40))


def earned(completion: str, sample: Sample) -> float | None:
    return process(RewardInput(answer=None, gold=None, completion=completion, sample=sample))


def listing(steps: Sequence[str]) -> str:
    return f"From left to right: {', '.join(steps)}. That makes 3."


@given(sample=SAMPLES)
def test_the_true_reasoning_earns_everything(sample: Sample):
    assert earned(sample.cot, sample) == 1.0


@given(sample=SAMPLES)
def test_the_list_read_back_from_the_reasoning_is_that_of_the_sample(sample: Sample):
    assert [" ".join(step) for step in written_steps(sample.cot)] == list(sample.meta["steps"])


@given(text=st.text(), sample=SAMPLES)
def test_any_text_earns_something_between_0_and_1(text: str, sample: Sample):
    for completion in (text, f"From left to right: {text}"):
        assert 0.0 <= earned(completion, sample) <= 1.0


@given(sample=SAMPLES, at=st.integers(0, 9), word=st.integers(0, 4))
def test_each_wrong_word_costs(sample: Sample, at: int, word: int):
    steps = [step.split() for step in sample.meta["steps"]]
    steps[at % len(steps)][word] = "else"

    assert earned(listing([" ".join(step) for step in steps]), sample) < 1.0


@given(sample=SAMPLES, at=st.integers(0, 9))
def test_an_object_too_many_or_too_few_costs(sample: Sample, at: int):
    steps = list(sample.meta["steps"])
    twice = steps[: at % len(steps) + 1] + steps[at % len(steps) :]

    assert earned(listing(twice), sample) < 1.0
    assert earned(listing(twice + twice), sample) < earned(listing(twice), sample)
    assert earned(listing(steps[1:]), sample) < 1.0


@given(sample=SAMPLES, share=st.floats(0, 1))
def test_a_list_that_stops_early_earns_the_square_of_its_share(sample: Sample, share: float):
    steps = sample.meta["steps"]
    few = max(1, int(share * len(steps)))

    assert earned(listing(steps[:few]), sample) == pytest.approx((few / len(steps)) ** 2)


@given(sample=SAMPLES, seed=st.randoms())
def test_the_order_counts(sample: Sample, seed):
    mixed = list(sample.meta["steps"])
    seed.shuffle(mixed)

    assert (earned(listing(mixed), sample) == 1.0) == (tuple(mixed) == sample.meta["steps"])


@given(sample=SAMPLES, answer=st.integers(0, 20))
def test_the_answer_changes_nothing(sample: Sample, answer: int):
    written = f"<think>{listing(list(sample.meta['steps'])[:2])}</think><answer>{answer}</answer>"

    assert earned(written, sample) == earned(written.replace("<answer>", "<answer>1"), sample)


@pytest.mark.parametrize("completion", ["", "I see 3.", "<answer>3</answer>"])
def test_without_a_list_there_is_nothing_to_earn(completion: str):
    assert earned(completion, DATA.sample("rl", 0)) == 0.0


def test_the_reward_does_not_apply_to_a_sample_without_steps():
    assert earned("From left to right: a.", Sample("a", "?", "5")) is None
