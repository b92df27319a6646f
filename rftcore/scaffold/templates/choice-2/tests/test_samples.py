"""Tests of the samples of this task, beyond the laws."""

from collections import Counter

import pytest

from rft_my_task import task
from rft_my_task.dataset import LETTERS
from rft_my_task.images import COLORS, NEW_COLORS

DATA = task().dataset


@pytest.mark.parametrize("split", DATA.splits)
def test_the_answer_is_the_only_shape_that_differs(split: str) -> None:
    for at in range(50):
        before, after = DATA.pair(split, at)
        differ = [a for a, old, new in zip(LETTERS, before, after, strict=True) if old != new]

        assert differ == [DATA.sample(split, at).gold]


@pytest.mark.parametrize("split", DATA.splits)
def test_the_reasoning_names_every_shape_and_ends_in_the_answer(split: str) -> None:
    for at in range(50):
        sample, (before, _) = DATA.sample(split, at), DATA.pair(split, at)

        assert sample.cot is not None
        assert all(f"{a} {old}" in sample.cot for a, old in zip(LETTERS, before, strict=True))
        assert sample.cot.endswith(f"So {sample.gold}.")


@pytest.mark.parametrize("split", DATA.splits)
def test_no_answer_is_a_safe_guess(split: str) -> None:
    golds = Counter(DATA.sample(split, at).gold for at in range(DATA.size(split)))

    assert max(golds.values()) < 0.4 * DATA.size(split)


@pytest.mark.parametrize("split", DATA.splits)
def test_new_colors_are_kept_for_the_split_outside_training(split: str) -> None:
    seen = {s.color for at in range(100) for part in DATA.pair(split, at) for s in part}

    assert seen == {*COLORS, *(NEW_COLORS if split == "ood-colors" else ())}
