"""Texts that are an answer, and texts that are not."""

import pytest
import rftcore as rft
from hypothesis import given
from hypothesis import strategies as st

from rft_my_task.parser import TimeOfDay


@pytest.mark.parametrize(("text", "minutes"), [("7:05", 425), ("07:05", 425), (" 0:00\n", 0)])
def test_hours_may_have_one_digit_or_two(text: str, minutes: int) -> None:
    assert TimeOfDay().gold(text).value == minutes


@pytest.mark.parametrize("text", ["", "7", "7:5", "24:00", "7:60", "-7:05", "7:05 or 8:05"])
def test_what_is_not_a_time_is_a_parse_error(text: str) -> None:
    assert not TimeOfDay().gold(text).ok


def test_an_answer_is_read_from_its_tags() -> None:
    completion = "<think>The short hand is past 7.</think><answer>7:05</answer>"

    assert TimeOfDay().parse(completion).value == 425


@given(minutes=st.integers(0, 24 * 60 - 1))
def test_what_is_shown_reads_back(minutes: int) -> None:
    assert TimeOfDay().gold(TimeOfDay().show(minutes)).value == minutes


@given(text=st.text())
def test_no_text_raises(text: str) -> None:
    TimeOfDay().parse(text)


def test_an_option_out_of_range_is_an_error() -> None:
    with pytest.raises(rft.RftError, match="12 or 24"):
        TimeOfDay(hours=10)
