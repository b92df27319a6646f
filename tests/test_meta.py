"""The `meta` that files keep: what JSON can hold, within a bound, and a count of the rest."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rftcore import jsontext
from rftcore.meta import MOST_BYTES, stored

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
values = st.recursive(
    leaves | st.builds(object),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.dictionaries(st.text(), values, max_size=8))
def test_any_meta_gives_json_within_the_bound_and_a_count_of_the_rest(meta):
    kept, omitted = stored(meta)

    assert jsontext.loads(jsontext.dumps(kept)) == kept
    assert len(kept) + omitted == len(meta)
    assert len(jsontext.dumps(kept).encode()) <= 2 * MOST_BYTES


def test_numbers_paths_and_collections_become_those_of_json():
    meta = {"n": np.int64(3), "x": np.float32(0.5), "p": Path("a/b"), "t": (1, 2), "nan": np.nan}

    assert stored(meta) == ({"n": 3, "x": 0.5, "p": "a/b", "t": [1, 2], "nan": None}, 0)


def test_what_json_cannot_hold_is_left_out_and_counted():
    meta = {"object": object(), "bytes": b"x", "inside": [object()], 5: "five", (1,): 0}

    assert stored(meta) == ({"5": "five"}, 4)


def test_a_long_value_is_left_out_and_shorter_ones_are_kept():
    assert stored({"long": "x" * MOST_BYTES, "short": 1}) == ({"short": 1}, 1)


def test_a_value_that_contains_itself_is_left_out():
    endless = []
    endless.append(endless)

    assert stored({"endless": endless, "kind": "a"}) == ({"kind": "a"}, 1)
