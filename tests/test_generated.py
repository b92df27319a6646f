"""Laws of datasets that are made from random numbers."""

import pickle
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore.datasets import GeneratedDataset
from rftcore.errors import DataError, RecipeError
from rftcore.types import Dataset, Sample

SIZES = {"sft": 40, "val": 20, "ood-large": 3}
splits = st.sampled_from(list(SIZES))


@dataclass(frozen=True, kw_only=True)
class Sums(GeneratedDataset):
    """Two digits to add."""

    name = "sums"
    version = 1

    most: int = 9
    share: float = 0.5

    def make(self, split: str, index: int) -> Sample:
        rng = self.rng("question", split, index)
        a, b = (int(rng.random() * (self.most + 1)) for _ in range(2))
        place = {"id": self.id(split, index), "origin": self.origin(split, index)}
        return Sample(question=f"{a} + {b}?", gold=str(a + b), **place)


class Later(Sums):
    """The same generator after a change."""

    version = 2


DATA = Sums(sizes=SIZES)


def test_it_is_a_dataset_with_the_splits_of_its_sizes():
    assert isinstance(DATA, Dataset)
    assert {split: DATA.size(split) for split in DATA.splits} == SIZES


@given(split=splits, index=st.integers(0, 2), longer=st.integers(3, 10**6))
def test_a_sample_depends_on_seed_split_and_index_alone(split: str, index: int, longer: int):
    fresh = Sums(sizes={"rl": 7, split: longer}, share=0.1)

    assert fresh.sample(split, index) == DATA.sample(split, index)


def test_a_sample_is_made_once_for_equal_datasets(monkeypatch):
    first = Sums(sizes=SIZES, seed=77).sample("sft", 0)
    monkeypatch.setattr(Sums, "make", lambda *_: pytest.fail("made again"))

    assert Sums(sizes=dict(SIZES), seed=77).sample("sft", 0) is first


@given(a=st.tuples(st.text(), splits, st.integers()), b=st.tuples(st.text(), splits, st.integers()))
def test_numbers_of_two_purposes_samples_seeds_or_versions_differ(a: tuple, b: tuple):
    assert (DATA.seed_for(*a) == DATA.seed_for(*b)) == (a == b)
    assert (
        replace(DATA, seed=1).seed_for(*a) != DATA.seed_for(*a) != Later(sizes=SIZES).seed_for(*a)
    )


def test_the_numbers_are_the_same_on_every_machine():
    code = (
        "from rftcore.datasets import GeneratedDataset as G; make = lambda *_: None; "
        "data = type('D', (G,), dict(name='sums', version=1, make=make))(sizes={'sft': 1}); "
        "print(data.rng('question', 'sft', 0).random())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert float(done.stdout) == DATA.rng("question", "sft", 0).random() == KEPT


KEPT = 0.6756171253502279  # samples of the tasks hang on it


def test_a_dataset_travels_between_processes():
    assert pickle.loads(pickle.dumps(DATA)) == DATA


def test_the_id_of_a_sample_names_split_and_index():
    sample = DATA.sample("ood-large", 2)

    assert (sample.id, sample.origin) == ("sums-ood-large-2", "sums/ood-large sample 2")


def test_an_unknown_split_is_an_error_with_a_suggestion():
    with pytest.raises(DataError, match=r"sums has no split .* Did you mean 'ood-large'"):
        DATA.size("ood-larg")


@pytest.mark.parametrize("index", [-1, 20])
def test_an_index_outside_the_split_is_an_index_error(index: int):
    with pytest.raises(IndexError, match="0 to 19"):
        DATA.sample("val", index)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"seed": -1}, "seed = -1: use 0 or more"),
        ({"seed": True}, "seed = True: use a whole number"),
        ({"most": 2.5}, "most = 2.5: use a whole number"),
        ({"share": "half"}, "share = 'half': use a number"),
        ({"share": False}, "share = False: use a number"),
        ({"sizes": {"sft": 0}}, "sft = 0: a split has 1"),
        ({"sizes": {"sft": "9"}}, "sft = '9': use a whole number"),
        ({"sizes": {"ood-large": 2**33}}, "ood_large = 8589934592: a split has"),
    ],
)
def test_an_impossible_field_is_an_error_that_names_it(options: dict, fault: str):
    with pytest.raises(RecipeError, match=fault):
        Sums(**{"sizes": SIZES} | options)
