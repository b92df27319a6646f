"""The suites ask what can be answered, on pictures that no training shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_nano import suites
from rft_nano.corpus import diagrams, pairs, scenes

names = st.lists(st.sampled_from(["red cube", "blue car", "green bus"]), min_size=1, max_size=6)


@given(names)
def test_a_right_list_is_right_in_every_entry(true):
    gold = ", ".join(true)

    assert suites.in_order(f" {gold}\n", gold) == (len(true), len(true))


@given(names, names)
def test_right_entries_are_at_most_the_shorter_list_of_the_longer(said, true):
    right, of = suites.in_order(", ".join(said), ", ".join(true))

    assert right <= min(len(said), len(true)) <= of == max(len(said), len(true))


@pytest.mark.parametrize(
    ("said", "right"), [("E F G", 3), ("E G", 2), ("G F E", 1), ("EFG", 0), ("E F G H", 3)]
)
def test_letters_count_in_their_order(said, right):
    assert suites.letter_by_letter(said, "E F G")[0] == right


def test_what_is_held_out_is_not_trained_on():
    trained = {scenes.scene(i).digest() for i in range(60)}
    trained |= {s.digest() for i in range(8) for s in pairs.scenes_of(*pairs.draw(i))}
    held = {scenes.held_out(i).digest() for i in range(60)}
    held |= {s.digest() for i in range(8) for s in pairs.scenes_of(*pairs.draw(i, suites.PART))}

    assert not trained & held
    assert not {diagrams.draw(i)[1].digest() for i in range(20)} & {
        diagrams.draw(i, suites.PART)[1].digest() for i in range(20)
    }


def test_no_pair_or_diagram_is_one_of_a_task():
    changes = pytest.importorskip("rft_transformation").transformation_scenes()
    problems = pytest.importorskip("rft_structure").geometry_problems()
    parts = ("train", suites.PART)
    starts = {pairs.draw(i, part)[0].state for i in range(12) for part in parts}
    figures = {diagrams.draw(i, part)[1].digest() for i in range(12) for part in parts}

    for split in changes.splits:
        assert not starts & {changes.story(split, i)[0].state for i in range(12)}
    for split in problems.splits:
        assert not figures & {problems.drawing(split, i).digest() for i in range(12)}


def test_a_suite_of_words_needs_no_picture():
    measures = suites.words(samples=3).measures()

    assert not [s for m in measures.values() for s in m.samples if s.images]
    assert {len(m.samples) for m in measures.values()} == {3}


@pytest.mark.slow
def test_every_measure_of_perception_asks_of_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    measures = suites.perception(samples=2).measures()

    assert min(len(m.samples) for m in measures.values()) > 0
    assert all(s.images for m in measures.values() for s in m.samples)
    assert {len(s.images) for s in measures["changes"].samples} == {2}
