"""Laws of the process reward: total, in range, and independent of the answer."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rft_transformation import transformation
from rft_transformation.reasoning import true_news, written_news
from rft_transformation.rewards import process

from rftcore.types import RewardInput, Sample

TASK = transformation()
DATA = TASK.dataset
SAMPLES = st.builds(DATA.sample, st.sampled_from(DATA.splits), st.integers(0, 40))


def earned(completion: str, sample: Sample) -> float | None:
    gold = TASK.parser.gold(sample.gold).value
    return process(RewardInput(answer=None, gold=gold, completion=completion, sample=sample))


def entries(sample: Sample) -> list[str]:
    return sample.cot.rstrip(".").split(". ")


def joined(entries: list[str]) -> str:
    return ". ".join(entries) + "."


@given(sample=SAMPLES)
def test_the_true_reasoning_earns_everything_with_any_answer(sample: Sample):
    assert earned(sample.cot, sample) == 1.0
    assert earned(f"<think>\n{sample.cot}\n</think>\n<answer>\nno\n</answer>", sample) == 1.0


@given(sample=SAMPLES)
def test_the_reasoning_read_back_gives_the_changes_of_each_object(sample: Sample):
    calls = TASK.parser.gold(sample.gold).value
    news = true_news(len(sample.meta["start"]), calls)

    assert written_news(sample.cot) == list(enumerate(news))
    assert sum(map(len, news)) == len(calls)


@given(text=st.text() | st.text("0123456789 :.,abmoved now same"), sample=SAMPLES)
def test_any_text_earns_something_between_0_and_1(text: str, sample: Sample):
    assert 0.0 <= earned(text, sample) <= 1.0
    assert 0.0 <= earned(f"{text}0 a b c d: {text}.", sample) <= 1.0


@given(
    sample=SAMPLES, at=st.integers(0, 9), news=st.sampled_from(["same", "now red", "moved left"])
)
def test_each_object_with_a_wrong_change_costs(sample: Sample, at: int, news: str):
    written = entries(sample)
    head, _, true = written[at % len(written)].rpartition(": ")
    assume(true != news)
    written[at % len(written)] = f"{head}: {news}"

    assert earned(joined(written), sample) < 1.0


@given(sample=SAMPLES, share=st.floats(0, 1))
def test_reasoning_that_stops_early_earns_the_square_of_its_share(sample: Sample, share: float):
    written = entries(sample)
    few = max(1, int(share * len(written)))

    assert earned(joined(written[:few]), sample) == pytest.approx((few / len(written)) ** 2)


@given(sample=SAMPLES, at=st.integers(0, 9))
def test_of_two_entries_for_one_object_the_first_counts_and_the_second_costs(sample, at):
    written = entries(sample)
    other = written[at % len(written)].rpartition(": ")[0] + ": now wrong"

    assert earned(joined([*written, other]), sample) == (len(written) / (len(written) + 1)) ** 2
    assert earned(joined([other, *written]), sample) < earned(joined([*written, other]), sample)


@pytest.mark.parametrize(
    ("news", "share"),
    [
        ("now red cube, moved front left", 1.0),
        ("moved front left, now cube red", 1.0),
        ("now red cube", 2 / 3),
        ("now red cube, moved front", 2 / 3),
        ("now red blue cube, moved front left", 3 / 4),
        ("same", 0.0),
        ("", 0.0),
    ],
)
def test_an_object_earns_the_share_of_its_changes(news: str, share: float):
    calls = "change_color(0, red), change_shape(0, cube), change_position(0, front_left)"
    sample = Sample("a", "?", calls, meta={"start": ({},), "end": ()})

    assert earned(f"0 small gray metal sphere: {news}.", sample) == pytest.approx(share**2)


@pytest.mark.parametrize("completion", ["", "All is same.", "small gray metal sphere: same."])
def test_without_entries_there_is_nothing_to_earn(completion: str):
    assert earned(completion, DATA.sample("rl", 0)) == 0.0


def test_the_reward_does_not_apply_to_a_sample_without_a_scene():
    assert earned("0 a b c d: same.", Sample("a", "?", "change_size(0, large)")) is None
