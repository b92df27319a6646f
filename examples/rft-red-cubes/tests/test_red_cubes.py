"""Properties that every task should test, on the example."""

import pickle
import re

import pytest
from rft_red_cubes import SIZES, RedCubes, count_red_cubes

from rftcore import prompts
from rftcore.scoring import Scorer
from rftcore.types import Sample

DATA = RedCubes()
ALL = [DATA.sample(split, at) for split in DATA.splits for at in range(DATA.size(split))]


def test_no_two_samples_are_the_same():
    assert len({sample.content_hash() for sample in ALL}) == len(ALL) == sum(SIZES.values())


def test_the_reasoning_counts_the_red_cubes_of_the_image():
    for sample in ALL:
        colors = re.findall(r"'(\w+)'", sample.images[0].key)
        assert re.findall(r"(red|blue|green|yellow) ", sample.cot) == colors
        assert colors.count("red") == int(sample.gold)
        assert re.findall(r"red (\d+)", sample.cot) == [str(n + 1) for n in range(int(sample.gold))]


@pytest.mark.parametrize("split", DATA.splits)
def test_no_answer_is_a_safe_guess(split: str):
    golds = [DATA.sample(split, at).gold for at in range(DATA.size(split))]

    assert max(golds.count(gold) for gold in golds) < 0.4 * len(golds)


def test_samples_can_be_pickled_and_their_images_open():
    sample: Sample = pickle.loads(pickle.dumps(ALL[0]))

    assert sample == ALL[0]
    assert sample.images[0].open().size == (192, 192)


def test_what_sft_teaches_earns_every_reward():
    scores = Scorer(count_red_cubes()).score([prompts.sft_target(one) for one in ALL[:9]], ALL[:9])

    assert {score.total for score in scores} == {2.0}
