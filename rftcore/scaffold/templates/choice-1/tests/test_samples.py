"""Tests of the samples of this task, beyond the laws."""

from collections import Counter

import pytest
import rftcore as rft

from rft_my_task import task

DATA = task().dataset


@pytest.mark.parametrize(("split", "leads"), [("test", range(2, 9)), ("ood-close", [1])])
def test_the_lead_of_the_highest_bar_depends_on_the_split(split: str, leads: range) -> None:
    for bars in (DATA.bars(split, at) for at in range(50)):
        *_, second, top = sorted(bar.height for bar in bars)

        assert top - second in leads


@pytest.mark.parametrize("split", DATA.splits)
def test_the_reasoning_reads_the_heights_and_ends_in_the_answer(split: str) -> None:
    for at in range(50):
        sample, bars = DATA.sample(split, at), DATA.bars(split, at)

        assert sample.cot is not None
        assert all(f" {bar.height}" in sample.cot for bar in bars)
        assert sample.cot.endswith(f"so {sample.gold}.")


@pytest.mark.parametrize("split", DATA.splits)
def test_no_answer_is_a_safe_guess(split: str) -> None:
    golds = Counter(DATA.sample(split, at).gold for at in range(DATA.size(split)))

    assert max(golds.values()) < 0.4 * DATA.size(split)


def test_an_option_out_of_range_is_an_error() -> None:
    with pytest.raises(rft.RftError, match="1 to 4"):
        task(lead=9)
