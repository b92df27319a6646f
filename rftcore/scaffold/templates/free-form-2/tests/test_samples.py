"""Tests of the samples of this task, beyond the laws."""

import re
from collections import Counter

import pytest
import rftcore as rft

from rft_my_task import task

DATA = task().dataset


@pytest.mark.parametrize("split", DATA.splits)
def test_the_reasoning_finds_the_new_colors_in_their_order(split: str) -> None:
    for sample in (DATA.sample(split, at) for at in range(50)):
        assert sample.cot is not None
        assert ", ".join(re.findall(r"now (\w+)", sample.cot)) == sample.gold


@pytest.mark.parametrize("split", DATA.splits)
def test_only_colors_change_and_at_least_one_does(split: str) -> None:
    for before, after in (DATA.pair(split, at) for at in range(50)):
        assert before != after
        assert [bead[1:] for bead in before] == [bead[1:] for bead in after]


@pytest.mark.parametrize("split", DATA.splits)
def test_no_answer_is_a_safe_guess(split: str) -> None:
    golds = Counter(DATA.sample(split, at).gold for at in range(DATA.size(split)))

    assert max(golds.values()) < 0.2 * DATA.size(split)


def test_an_option_out_of_range_is_an_error() -> None:
    with pytest.raises(rft.RftError, match="1 to 3"):
        task(most=9)
