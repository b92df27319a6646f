"""What this dataset promises beyond the laws."""

from collections import Counter

import pytest
import rftcore as rft

from rft_my_task import triangles
from rft_my_task.dataset import CELL

DATA = triangles()


@pytest.mark.parametrize("split", DATA.splits)
def test_the_reasoning_names_as_many_triangles_as_the_answer(split: str) -> None:
    for sample in (DATA.sample(split, at) for at in range(50)):
        assert sample.cot is not None
        assert sample.cot.count("triangle") == int(sample.gold)
        assert sample.cot.endswith(f"That makes {sample.gold}.")


@pytest.mark.parametrize("split", DATA.splits)
def test_no_answer_is_a_safe_guess(split: str) -> None:
    golds = Counter(DATA.sample(split, at).gold for at in range(DATA.size(split)))

    assert max(golds.values()) < 0.35 * DATA.size(split)


@pytest.mark.parametrize("index", range(20))
def test_each_shape_keeps_to_its_cell(index: int) -> None:
    for shape in DATA.shapes("ood-crowded", index):
        assert all(shape.radius <= at % CELL <= CELL - shape.radius for at in (shape.x, shape.y))


def test_an_option_out_of_range_is_an_error() -> None:
    with pytest.raises(rft.RftError, match="1 to 8"):
        triangles(most=9)
