"""Practice is right, and it is not the tasks."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_nano import practice
from rft_nano.corpus.scenes import HELD_OUT_SEED, SHAPES_SEED, VEHICLES_SEED
from rft_nano.practice import numbers, scenes
from rft_nano.things import ATTRIBUTES, Pick, invent, pick_some, unique_name

rngs = st.integers(0, 2**32).map(Random)
SUM = re.compile(r"(\d+) ([+-]) (\d+) = (\d+)")


def rows_of_things(rng):
    return invent(rng, rng.randint(1, 9))


@given(rngs)
def test_no_practice_uses_tags(rng):
    pairs = [practice.in_words(rng), scenes.from_picture(rng, rows_of_things(rng))]

    assert not [text for pair in pairs for text in pair if re.search("<|>", text)]


@given(rngs)
def test_nothing_is_added_to_a_picture_or_taken_from_it(rng):
    ask, answer = scenes.from_picture(rng, rows_of_things(rng))

    assert not re.search(
        r"\b(add|remove|subtract|take|taken|remain|put in)\b|are left", ask.lower()
    )
    assert not SUM.search(answer)


@given(rngs)
def test_no_name_is_followed_by_its_mark(rng):
    _, answer = scenes.about(rng, rows_of_things(rng), seen=rng.random() < 0.5)

    shapes = "cube|sphere|cylinder|car|bus|bicycle|motorbike|aeroplane"
    assert not re.search(rf"(rubber|metal) ({shapes}) (\d|no|removed)", answer)


@given(rngs, st.integers(0, 2**32))
def test_what_a_verdict_accepts_is_what_a_filter_lists(rng, seed):
    things = rows_of_things(rng)
    verdicts = scenes.verdicts(Random(seed), things)[1].split(", ")
    accepted = [line.removesuffix(": yes") for line in verdicts if line.endswith(": yes")]

    assert len(verdicts) == len(things)
    assert (", ".join(accepted) or "none") == scenes.filtered(Random(seed), things)[1]


@pytest.mark.parametrize("source", [numbers.small, scenes.from_list])
@given(rng=rngs)
def test_every_written_sum_is_true(source, rng):
    for a, sign, b, result in SUM.findall(source(rng)[1]):
        assert int(result) == (int(a) + int(b) if sign == "+" else int(a) - int(b))


@given(rngs)
def test_what_is_picked_and_what_is_excepted_make_the_whole(rng):
    things = rows_of_things(rng)
    pick = pick_some(rng, things)

    assert len(pick.of(things)) + sum(not pick.matches(t) for t in things) == len(things)


@given(rngs)
def test_a_unique_name_fits_one_thing_only(rng):
    things = rows_of_things(rng)
    thing = rng.choice(things)
    phrase = unique_name(rng, things, thing)
    if phrase is not None:
        said = set(phrase.split())
        wanted = [(a, (getattr(thing, a),)) for a in ATTRIBUTES if getattr(thing, a) in said]

        assert Pick(tuple(wanted)).of(things) == [thing]


@pytest.mark.parametrize("asker", [scenes.counted, scenes.total])
@given(rng=rngs)
def test_counts_are_small_numbers_in_digits_or_words(asker, rng):
    _, answer = asker(rng, rows_of_things(rng))

    assert re.fullmatch(r"\d|There are \d\.|[a-z]+", answer)


def test_a_seed_repeats():
    assert [practice.in_words(Random(3)) for _ in range(2)] == [practice.in_words(Random(3))] * 2


def test_no_scene_of_counting_is_trained_on():
    counting = pytest.importorskip("rft_counting.dataset")
    ours = range(min(SHAPES_SEED, VEHICLES_SEED), HELD_OUT_SEED + 1_000_000)
    smallest = counting.VERSION * 256 * counting.LARGEST_SPLIT  # data seed 0, stream 0, index 0

    assert smallest >= ours.stop
