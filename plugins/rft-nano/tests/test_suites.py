"""The suites are fixed: the same questions and images on every machine, and no renderer."""

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_nano import suites

names = st.lists(st.sampled_from(["red cube", "blue car", "green bus"]), min_size=1, max_size=6)
BOTH = {"perception": suites.perception, "words": suites.words}
SHA256 = {  # the data that the figures in docs/nano.md were measured on
    "perception.jsonl": "cfe0f7c975f53e1c252223042b2b8287a21c1cf0c936f36e4f51bd08ec8e6b10",
    "perception.zip": "36f97aee78dab810c38681988860caae1b974bc250138b87ab53318e2a4a10dd",
    "words.jsonl": "b1c877b1e8dec223b0620cbca3bb662828e63fe430519dda07c0e82cd6bb3b5e",
}


@given(names)
def test_a_right_list_is_right_in_every_entry(true):
    gold = ", ".join(true)

    assert suites.in_order(f" {gold}\n", gold) == (len(true), len(true))


@given(names, names)
def test_right_entries_are_at_most_the_shorter_list_of_the_longer(rows, true):
    right, of = suites.in_order(", ".join(rows), ", ".join(true))

    assert right <= min(len(rows), len(true)) <= of == max(len(rows), len(true))


@pytest.mark.parametrize(
    ("rows", "right"), [("E F G", 3), ("E G", 2), ("G F E", 1), ("EFG", 0), ("E F G H", 3)]
)
def test_letters_count_in_their_order(rows, right):
    assert suites.letter_by_letter(rows, "E F G")[0] == right


@pytest.mark.parametrize("file", SHA256)
def test_the_data_is_what_the_documented_figures_were_measured_on(file):
    assert hashlib.sha256((suites.DATA / file).read_bytes()).hexdigest() == SHA256[file]


@pytest.mark.parametrize("name", BOTH)
def test_the_gold_of_every_question_is_wholly_right(name):
    for measure in BOTH[name]().measures().values():
        for sample in measure.samples:
            right, of = measure.score(sample.gold, sample.gold)
            assert right == of >= 1


def test_every_measure_of_perception_has_images_and_none_of_words():
    seen, read = (make().measures() for make in BOTH.values())

    assert set(suites.SCORES) <= set(seen)
    assert {len(s.images) for m in seen.values() for s in m.samples} == {1, 2}
    assert {len(s.images) for s in seen["changes"].samples} == {2}
    assert not [s for m in read.values() for s in m.samples if s.images]


def test_the_suites_need_no_renderer_and_each_image_opens():
    code = """
import sys
sys.modules |= dict.fromkeys(["mitsuba", "matplotlib", "rft_scenes", "rft_structure", "torch"])
from rft_nano import rft_suites
for make in rft_suites().values():
    images = {i for m in make().measures().values() for s in m.samples for i in s.images}
    print(len(images), sorted({i.open().size for i in images}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["846 [(128, 128), (224, 224)]", "0 []"]
