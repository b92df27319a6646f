"""More pictures from few: what is shown stays true."""

import tempfile
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rft_nano.corpus.augment import Motion, Seen, _cuts, mirror, paste, splice
from rft_nano.corpus.scenes import Shown
from rft_nano.corpus.store import Corpus
from rft_nano.model import IMAGE_SIZE
from rft_nano.perception import patches
from rft_nano.things import Thing

unit = st.floats(0.1, 0.9)
seen_things = st.builds(
    lambda u, v, radius, color: Seen(Thing("small", color, "metal", "cube", u, v), radius),
    unit,
    unit,
    st.floats(0.03, 0.1),
    st.sampled_from(["red", "blue"]),
)
scenes = st.lists(seen_things, min_size=1, max_size=5).map(
    lambda things: sorted(things, key=lambda s: s.thing.u)
)


def painted(value):
    return np.full((IMAGE_SIZE, IMAGE_SIZE, 3), value, np.uint8)


@given(scenes)
def test_a_mirror_keeps_left_to_right(seen):
    _, turned = mirror(painted(0), seen)

    assert [s.thing.u for s in turned] == sorted(1 - s.thing.u for s in seen)


@given(scenes, scenes, st.integers(0, 99))
def test_a_splice_shows_each_thing_in_its_own_picture(one, two, seed):
    result = splice(Random(seed), (painted(1), one), (painted(2), two))
    if result:
        pixels, seen = result
        for s in seen:
            column, row = int(s.thing.u * IMAGE_SIZE), int(s.thing.v * IMAGE_SIZE)
            assert s in (one if pixels[row, column, 0] == 1 else two)


@given(scenes)
def test_no_cut_goes_through_a_thing(seen):
    cuts = np.flatnonzero(_cuts(seen, "u"))

    assert not [c for c in cuts for s in seen if abs(c / IMAGE_SIZE - s.thing.u) < s.radius]


@given(scenes, scenes, st.integers(0, 99))
def test_what_is_pasted_is_shown_at_its_place_and_no_other_is_hidden(base, donor, seed):
    pixels, seen = paste(Random(seed), (painted(1), base), (painted(2), donor))

    for s in seen:
        column, row = int(s.thing.u * IMAGE_SIZE), int(s.thing.v * IMAGE_SIZE)
        assert pixels[row, column, 0] == (1 if s in base else 2)


@given(scenes, st.integers(0, 99))
def test_a_moved_picture_shows_things_where_the_motion_says(seen, seed):
    motion = Motion.draw(Random(seed), scale=0.08, turn=0.1, shift=0.1)
    after = motion.things(seen)
    for s in seen if after else ():
        pixels = painted(0)
        column, row = int(s.thing.u * IMAGE_SIZE), int(s.thing.v * IMAGE_SIZE)
        pixels[row - 2 : row + 3, column - 2 : column + 3] = 255
        u, v = motion.at((column + 0.5) / IMAGE_SIZE, (row + 0.5) / IMAGE_SIZE)
        assert motion.picture(pixels)[int(v * IMAGE_SIZE), int(u * IMAGE_SIZE), 0] > 200


@given(st.lists(seen_things, max_size=10))
def test_every_thing_has_a_patch_of_its_own(seen):
    assert len(set(patches([(s.thing.u, s.thing.v) for s in seen]))) == len(seen)


@given(scenes)
def test_a_corpus_comes_back_as_it_was(seen):
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(painted(3)[None], [Shown(seen)])
        corpus.save(Path(folder))
        again = Corpus.load(Path(folder), Shown.read)

        assert (again.facts, (again.pixels == 3).all()) == (corpus.facts, True)
