"""Tests of the samples of this task, beyond the laws."""

from collections import Counter
from itertools import pairwise

import pytest

from rft_my_task import task

DATA = task().dataset


@pytest.mark.parametrize("split", DATA.splits)
def test_the_reasoning_reads_the_colors_in_their_order(split: str) -> None:
    for sample in (DATA.sample(split, at) for at in range(50)):
        steps = [f"{at} {color}" for at, color in enumerate(sample.gold.split(", "), start=1)]

        assert sample.cot is not None
        assert sample.cot.endswith(f"From there: {', '.join(steps)}.")


@pytest.mark.parametrize("split", DATA.splits)
def test_beads_do_not_touch(split: str) -> None:
    for beads in (DATA.beads(split, at) for at in range(50)):
        places = sorted(bead.x for bead in beads)
        gaps = [right - left for left, right in pairwise(places)]

        assert min(gaps) > 2 * beads[0].radius


@pytest.mark.parametrize("split", DATA.splits)
def test_no_answer_is_a_safe_guess(split: str) -> None:
    golds = Counter(DATA.sample(split, at).gold for at in range(DATA.size(split)))

    assert max(golds.values()) < 0.1 * DATA.size(split)
