"""Half way through the decoder, a second picture's tokens know what is new about it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rft_nano import comparison, perception
from rft_nano.comparison import Comparison, comparison_loss, telling_loss, told
from rft_nano.corpus import pairs
from rft_nano.naming import NEWS
from rft_nano.things import ATTRIBUTES, VALUES

few = settings(max_examples=25)


@st.composite
def stories(draw):
    number = draw(st.integers(0, 10_000))
    pair = draw(st.sampled_from(pairs.pairs_of(*pairs.draw(number, "test"), 0)))
    return pair.before, pair.after, pair.changes


def rows_of(story):
    """Each thing of the second picture: its number, and what the heads should say of it."""
    wanted = comparison.targets([story])
    spots = perception.patches([(s.thing.u, s.thing.v) for s in story[1]])
    return [
        (s.number, {name: int(classes[0, patch]) for name, classes in wanted.items()})
        for s, patch in zip(story[1], spots, strict=True)
    ]


@few
@given(stories())
def test_what_is_new_is_what_the_changes_say(story):
    said = {
        (number, a.removeprefix("new_")) for number, wanted in rows_of(story)
        for a in wanted if a.startswith("new_") and wanted[a]
    }  # fmt: skip
    moved = {(n, comparison.WAYS[wanted["way"]]) for n, wanted in rows_of(story) if wanted["way"]}

    assert said == {(c.number, c.attribute) for c in story[2] if c.attribute != "position"}
    assert moved == {(c.number, c.value) for c in story[2] if c.attribute == "position"}


@few
@given(stories())
def test_what_was_is_the_thing_of_the_same_number_in_the_first_picture(story):
    first = {s.number: s.thing for s in story[0]}
    for number, wanted in rows_of(story):
        was = {a: VALUES[a][wanted[f"was_{a}"]] for a in ATTRIBUTES}
        assert was == {a: getattr(first[number], a) for a in ATTRIBUTES}
        assert wanted["changed"] == any(change.number == number for change in story[2])


@few
@given(stories())
def test_where_a_thing_stood_is_its_place_in_the_first_picture_to_half_a_patch(story):
    first = {s.number: s.thing for s in story[0]}
    for number, wanted in rows_of(story):
        half = 1 / comparison.HALVES
        for axis, share in (("was_column", first[number].u), ("was_row", first[number].v)):
            assert 0 <= share - wanted[axis] * half < half


@few
@given(stories())
def test_heads_that_say_what_is_wanted_cost_nothing_and_others_much(story):
    wanted = comparison.targets([story])
    right = {
        name: 20.0 * torch.nn.functional.one_hot(classes.clamp(min=0), comparison.CLASSES[name])
        for name, classes in wanted.items()
    }
    assert comparison_loss(right, wanted) < 1e-3
    assert comparison_loss({name: -said for name, said in right.items()}, wanted) > 10


@few
@given(stories())
def test_a_thing_that_says_what_is_new_about_it_costs_less_than_one_that_says_the_opposite(story):
    wanted, words = comparison.targets([story]), torch.eye(len(NEWS))
    said = told(wanted)
    there = wanted["changed"] >= 0

    assert (said[there][:, NEWS.index("same")] > 0).equal(wanted["changed"][there] == 0)
    assert telling_loss(said, words, wanted) < telling_loss(1 - said, words, wanted)


def test_without_a_pair_there_is_nothing_to_pay_and_still_a_gradient():
    heads = Comparison(8)
    loss = comparison_loss(heads(torch.zeros(0, 64, 8)), comparison.targets([]))
    hidden = torch.zeros(0, 64, 8, requires_grad=True)
    silent = telling_loss(hidden, torch.eye(len(NEWS), 8), comparison.targets([]))
    (loss + silent).backward()

    assert loss == silent == 0
    assert hidden.grad is not None
    assert all(p.grad is not None and not p.grad.any() for p in heads.parameters())


@pytest.mark.parametrize(
    ("points", "letters", "vertex"), [("AC", "AC", None), ("CAB", "ABC", "A"), ("", "", None)]
)
def test_a_number_belongs_to_points_and_perhaps_a_vertex(points, letters, vertex):
    of = torch.full((1, perception.POINTS), -100)
    of[0, : len(points)] = torch.tensor([ord(p) - ord("A") for p in points])
    there, middle = perception.belonging(of)

    assert [chr(ord("A") + int(i)) for i in there[0].nonzero()] == list(letters)
    assert middle == (ord(vertex) - ord("A") if vertex else -100)
