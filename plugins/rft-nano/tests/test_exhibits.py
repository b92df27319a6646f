"""Pairs and diagrams are what their facts say, and so is what is asked of them."""

import re
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rft_nano import perception
from rft_nano.corpus import diagrams, pairs
from rft_nano.corpus.streams import Diagrams, Pairs, Scenes
from rft_nano.practice import changes, numbers, texts
from rft_nano.practice import diagrams as drawn
from rft_nano.things import ATTRIBUTES, VALUES

rngs = st.integers(0, 2**32).map(Random)
few = settings(max_examples=25)


@st.composite
def some_pairs(draw):
    number = draw(st.integers(0, 10_000))
    return draw(st.sampled_from(pairs.pairs_of(*pairs.draw(number, "test"), 0)))


@st.composite
def some_diagrams(draw):
    return diagrams.describe(*diagrams.draw(draw(st.integers(0, 10_000)), "test"))


def looks(seen):
    return {s.number: (s.thing.size, s.thing.color, s.thing.material, s.thing.shape) for s in seen}


@few
@given(some_pairs())
def test_the_changes_are_what_differs_between_the_pictures(pair):
    said = {change.number for change in pair.changes if change.attribute != "position"}
    before, after = looks(pair.before), looks(pair.after)

    assert said == {number for number in before if before[number] != after[number]}
    for change in pair.changes:
        if change.attribute != "position":
            assert change.value in after[change.number]


@few
@given(some_pairs().filter(lambda pair: pair.same_view))
def test_a_pair_turned_back_twice_is_the_pair(pair):
    assert pairs.turned_back(pairs.turned_back(pair)) == pair


@pytest.mark.parametrize("way", ["left", "front", "behind_right"])
def test_a_way_turned_twice_is_the_way(way):
    assert pairs.opposite(pairs.opposite(way)) == way == pairs.mirrored_way(pairs.mirrored_way(way))


@few
@given(some_pairs(), rngs)
def test_each_thing_of_a_listed_order_gets_an_answer(pair, rng):
    answer = changes.listed_order(rng, pair)[1].split(", ")

    assert sorted(a.split(" stayed")[0].split(" went")[0].split(" became")[0] for a in answer) == (
        sorted(s.thing.name() for s in pair.before)
    )


@few
@given(some_pairs(), rngs)
def test_changes_are_not_said_as_the_task_says_them(pair, rng):
    ask, answer = changes.about(rng, pair)

    assert not re.search(r"change_|\bnow \w+[.,]|: same|moved (left|right|front)", answer)
    assert "calls" not in ask


@few
@given(some_pairs().filter(lambda p: len({c.number for c in p.changes}) == 1), rngs)
def test_a_word_about_the_one_that_changed_is_true_of_it(pair, rng):
    change, old, new = pair.changes[0], looks(pair.before), looks(pair.after)
    for ask, answer in [changes.the_changed_one(rng, pair) for _ in range(20)]:
        if "attribute" in ask:
            assert answer in {c.attribute for c in pair.changes}
        elif change.attribute == "position" and "new" in ask:
            assert answer == changes.SAID_WAYS[change.value]
        else:
            now = re.search(r"\bnow\b|new", ask)
            assert set(answer.split()) <= set((new if now else old)[change.number])


@few
@given(some_pairs(), rngs)
def test_something_changed_in_an_attribute_or_nothing_did(pair, rng):
    ask, answer = changes.any_change(rng, pair)
    asked = re.search(r"size|color|material|shape|position", ask).group()

    assert (answer == "yes") == any(change.attribute == asked for change in pair.changes)


@few
@given(some_diagrams())
def test_a_diagram_labels_every_point_and_every_value_inside_the_picture(diagram):
    letters = [label.text for label in diagram.labels if label.is_letter]
    shown = sorted(label.text.rstrip("°") for label in diagram.labels if not label.is_letter)

    assert sorted(letters) == sorted(diagram.points)
    assert shown == sorted(text for _, _, text in diagram.values)
    assert all(0 < place < 1 for label in diagram.labels for place in (label.u, label.v))


@few
@given(some_diagrams())
def test_a_number_in_a_diagram_knows_the_points_it_belongs_to(diagram):
    said = [(label.text.rstrip("°"), label.of) for label in diagram.labels if label.of]

    assert said == [(text, tuple(points)) for _, points, text in diagram.values]


@few
@given(some_diagrams(), rngs)
def test_a_value_asked_by_its_letters_stands_there(diagram, rng):
    ask, answer = drawn.value(rng, diagram)
    named = set(re.findall(r"\b[A-Z]\b", ask))
    if diagram.values:
        assert answer in [text for _, points, text in diagram.values if set(points) == named]


@few
@given(some_diagrams(), rngs)
def test_nothing_is_derived_from_a_diagram(diagram, rng):
    _, answer = drawn.about(rng, diagram)
    read = set(re.findall(r"\d+(?:\.\d)?", answer))

    assert read <= {t for _, _, t in diagram.values} | {str(n) for n in range(9)}


@given(st.one_of(st.integers(1, 999).map(str), st.floats(1, 99).map(lambda x: f"{x:.1f}")))
def test_digits_say_the_number(text):
    *whole, tenths = perception.digits(text)
    said = "".join(str(d) for d in whole if d != perception.BLANK)

    assert text in (said, f"{said}.{tenths}")


@given(rngs)
def test_every_written_calculation_is_true(rng):
    ask, answer = numbers.large(rng)
    line = f"{ask} {answer}" if ask.endswith("=") else answer
    for left, right in re.findall(r"([\d .()+*/-]*[\d)]) = ([\d.]+)$", line):
        assert eval(left) == pytest.approx(float(right), abs=0.051)


@given(rngs)
def test_what_is_looked_up_stands_in_the_text(rng):
    ask, answer = texts.looked_up(rng)

    assert words(answer) <= words(ask)


def words(text):
    return set(re.findall(r"\w+(?:\.\d)?", text.lower()))


@given(rngs)
def test_the_choice_of_a_fact_has_its_value(rng):
    ask, answer = texts.chosen_fact(rng)
    values = dict(re.findall(r"\b([A-D]) (\d+)", ask))
    facts = dict(re.findall(r"((?:[A-Z] )*[A-Z]) is (\d+)\.", ask))
    asked = re.search(r"(?:choice is|value of|Give) ((?:[A-Z] ?)+)", ask)[1].strip()

    assert [letter for letter in values if values[letter] == facts[asked]] == [answer[-1]]


@given(rngs)
def test_a_value_gets_the_letter_that_stands_before_it(rng):
    ask, answer = texts.letters_of_values(rng)
    letters = {value: letter for letter, value in re.findall(r"\b([A-E]) (\d+)", ask)}
    asked = re.findall(r"(\d+) [A-E]", answer) or re.findall(r"\d+", ask.split(". ")[1])

    assert re.findall(r"[A-E]", answer) == [letters[value] for value in asked]


@given(rngs)
def test_a_word_goes_where_the_instruction_puts_it(rng):
    ask, answer = texts.boxes(rng)
    groups = {letter: some.split() for letter, some in re.findall(r"\b([A-Z]): ([a-z ]+)", ask)}
    if asked := re.search(r"Where does (\w+) go|has the word (\w+)", ask):
        assert (asked[1] or asked[2]) in groups[answer]
    for word, letter in re.findall(r"(\w+) in ([A-Z])", answer):
        assert word in groups[letter]


@given(rngs)
def test_what_became_of_a_list_is_where_the_lists_differ(rng):
    ask, answer = texts.became(rng)
    if lists := re.match(r"First: (.*)\. Then: (.*?)\. ", ask):
        rows = zip(*(text.split(", ") for text in lists.groups()), strict=True)
        ((was, now),) = [(a.split(), b.split()) for a, b in rows if a != b]
        new = [(ATTRIBUTES[i], b) for i, (a, b) in enumerate(zip(was, now, strict=True)) if a != b]
        assert len(new) == 1
        assert answer in (*new[0], " ".join(was), f"{' '.join(was)}: {new[0][0]}")


@given(rngs)
def test_a_word_is_of_the_kind_that_is_said(rng):
    ask, answer = texts.kinds(rng)
    if said := re.match(r"Say for each what it is: (.*)\.", ask):
        pairs_ = zip(said[1].split(", "), answer.split(", "), strict=True)
        assert all(word in VALUES[kind] for word, kind in pairs_)
    elif said := re.match(r"What is (\w+):", ask):
        assert said[1] in VALUES[answer]


@pytest.mark.parametrize("stream", [Scenes, Pairs, Diagrams])
def test_a_stream_repeats_with_its_seed(stream, library):
    one, two = (stream(library[stream], "0") for _ in "ab")
    for _ in range(5):
        a, b = one(), two()
        assert a.ask(Random(1)) == b.ask(Random(1))
        assert all((x == y).all() for x, y in zip(a.pictures, b.pictures, strict=True))


def test_moves_are_shown_more_often_than_they_are_drawn(library):
    moves = [any(c.attribute == "position" for c in p.changes) for p in library[Pairs].facts]
    stream = Pairs(library[Pairs], "0")
    shown = [any(c.attribute == "position" for c in stream().changes) for _ in range(300)]

    assert sum(shown) / len(shown) > sum(moves) / len(moves) + 0.1


@pytest.fixture(scope="module")
def library():
    """A corpus of each kind, with blank pictures: what is asked does not depend on them."""
    import numpy as np
    from rft_nano.corpus.library import single
    from rft_nano.corpus.store import Corpus
    from rft_nano.model import IMAGE_SIZE

    pixels = np.full((8, IMAGE_SIZE, IMAGE_SIZE, 3), 170, np.uint8)
    stories = Corpus(pixels, [p for i in (0, 1) for p in pairs.pairs_of(*pairs.draw(i), 4 * i)])
    figures = Corpus(pixels, [diagrams.describe(*diagrams.draw(i)) for i in range(8)])
    return {Scenes: single(stories), Pairs: stories, Diagrams: figures}


@pytest.mark.slow
def test_a_library_is_made_once_a_size_and_shows_every_kind(tmp_path, monkeypatch):
    from rft_nano.corpus import library as shelves
    from rft_scenes import RenderSettings, scene_pictures

    monkeypatch.setenv("RFT_CACHE", str(tmp_path / "cache"))
    cache = scene_pictures(RenderSettings(16, 16, 1))
    sizes = shelves.Sizes(scenes=2, starts=1, diagrams=2)
    shelves.Library.make(tmp_path, sizes, cache)
    first = (tmp_path / "pairs" / "facts.jsonl").stat().st_mtime_ns
    shelves.Library.make(tmp_path, sizes, cache)
    exhibits = shelves.Library.load(tmp_path).exhibits(shelves.Mix(1, 1, 1, 1), "0")
    shown = [exhibits() for _ in range(24)]

    assert (tmp_path / "pairs" / "facts.jsonl").stat().st_mtime_ns == first
    shelves.Library.make(tmp_path, replace(sizes, diagrams=3), cache)
    assert len(shelves.Library.load(tmp_path).diagrams.facts) == 3
    assert {len(e.pictures) for e in shown} == {1, 2}
    assert {bool(e.labels[0]) for e in shown} == {True, False}
