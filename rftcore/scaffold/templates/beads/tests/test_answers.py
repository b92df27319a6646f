"""The parser and the reward."""

import pytest
import rftcore as rft

from rft_my_task.parser import ColorList
from rft_my_task.rewards import in_place

GOLD = ("red", "blue", "red")


@pytest.mark.parametrize("text", ["red, blue, red", "Red,blue,RED", " red ,\nblue , red "])
def test_case_and_white_space_do_not_matter(text: str) -> None:
    assert ColorList().gold(text).value == GOLD


@pytest.mark.parametrize("text", ["", "red blue red", "red, blau", "red,", "red, " * 99 + "red"])
def test_what_is_not_a_list_of_known_colors_is_a_parse_error(text: str) -> None:
    assert not ColorList().gold(text).ok


@pytest.mark.parametrize(
    ("answer", "earns"),
    [
        (GOLD, 1.0),
        (("red", "red", "red"), 2 / 3),
        (("blue", "red", "blue"), 0.0),
        (("red", "blue"), 0.0),
        ((*GOLD, "red"), 0.0),
        (None, 0.0),
    ],
)
def test_each_color_in_its_position_earns_its_share(answer: object, earns: float) -> None:
    assert in_place(rft.RewardInput(answer=answer, gold=GOLD)) == earns
