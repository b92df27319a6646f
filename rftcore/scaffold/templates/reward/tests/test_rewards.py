"""What an answer earns."""

import pytest
import rftcore as rft
from hypothesis import given
from hypothesis import strategies as st

from rft_my_task.rewards import near

numbers = st.integers(-100, 100)


def earned(answer: int | None, gold: int) -> float:
    return near()(rft.RewardInput(answer=answer, gold=gold))


@pytest.mark.parametrize(
    ("answer", "earns"), [(7, 1.0), (6, 2 / 3), (9, 1 / 3), (10, 0.0), (99, 0.0), (None, 0.0)]
)
def test_credit_falls_with_the_distance(answer: int | None, earns: float) -> None:
    assert earned(answer, gold=7) == pytest.approx(earns)


@given(gold=numbers, answers=st.tuples(numbers, numbers))
def test_a_nearer_answer_never_earns_less(gold: int, answers: tuple[int, int]) -> None:
    nearer, farther = sorted(answers, key=lambda answer: abs(answer - gold))

    assert earned(nearer, gold) >= earned(farther, gold)


def test_an_option_out_of_range_is_an_error() -> None:
    with pytest.raises(rft.RftError, match="1 or more"):
        near(zero_beyond=0)
