"""Options that one factory hands on to another."""

import inspect
from typing import Any

import pytest

import rftcore as rft
from rftcore.errors import RecipeError
from rftcore.plugins.components import checked_options
from rftcore.plugins.offers import Offer, Plugin


def cubes(count: int = 3, color: str = "red") -> tuple[int, str]:
    return count, color


@rft.with_options_of(cubes)
def task(strict: bool = True, **options: Any) -> tuple[object, ...]:
    return strict, *cubes(**options)


OFFER = Offer("task", "cubes", Plugin("cubes", "rft-cubes", "1"), task)


def test_a_factory_shows_the_options_of_both():
    assert (
        str(inspect.signature(task))
        == "(*, count: int = 3, color: str = 'red', strict: bool = True)"
    )
    assert not OFFER.takes_any_option


def test_options_are_checked_and_handed_on():
    options = checked_options(OFFER, {"count": 4, "strict": False}, str, ("task_options",))

    assert task(**options) == (False, 4, "red")


@pytest.mark.parametrize(
    ("wrong", "fault"), [({"cuont": 1}, "'count'"), ({"count": "x"}, "whole number")]
)
def test_a_wrong_option_of_either_is_an_error(wrong: dict, fault: str):
    with pytest.raises(RecipeError, match=fault):
        checked_options(OFFER, wrong, lambda *path: ".".join(path), ("task_options",))


def test_one_name_for_two_options_is_an_error():
    with pytest.raises(ValueError, match="duplicate parameter name: 'count'"):
        rft.with_options_of(cubes)(lambda count, **options: None)
