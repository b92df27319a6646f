"""Whatever is written is JSON to any parser, and reads back as it was."""

import json
import math
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import jsontext
from rftcore.errors import RunError
from rftcore.runs import RunFolder

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates too
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner) | st.dictionaries(anything, inner),
    max_leaves=12,
)


def strict(text):
    """A reader that takes nothing but JSON, and text only as UTF-8."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text.encode().decode(), parse_constant=refuse)


def expected(value):
    """The value as JSON can hold it: no NaN, and two halves side by side are one character."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, list):
        return [expected(each) for each in value]
    if isinstance(value, dict):
        return {expected(key): expected(each) for key, each in value.items()}
    return value


@given(values)
def test_what_is_written_reads_back_equal_under_a_strict_parser(value):
    written = jsontext.dumps(value)

    assert strict(written) == jsontext.loads(written) == expected(value)


@given(st.lists(values, min_size=1))
def test_a_row_is_one_line_to_every_reader_of_lines(rows):
    written = jsontext.lines(rows)

    assert [strict(line) for line in written.splitlines()] == [expected(row) for row in rows]


@given(values)
def test_a_run_folder_holds_json_alone(tmp_path_factory, value):
    run = RunFolder(tmp_path_factory.mktemp("run"))
    run.write_json("a.json", {"value": value})
    run.append_jsonl("b.jsonl", {"value": value})
    run.keep_jsonl("b.jsonl", lambda line: True)

    for name in ("a.json", "b.jsonl"):
        text = (run.path / name).read_text("utf-8")
        assert strict(text) == {"value": expected(value)}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.5), "0.5"),
        (np.float64("nan"), "null"),
        (np.int64(3), "3"),
        (Fraction(1, 2), "0.5"),
        (MappingProxyType({"a": (1, {2})}), '{"a": [1, [2]]}'),
        pytest.param(
            {"b", "a", "d", "c"}, '["a", "b", "c", "d"]', id="a set"
        ),  # whatever the hash seed
        ({1: 1.0, None: 2.0}, '{"1": 1.0, "null": 2.0}'),
        (Path("a/b"), '"a/b"'),
    ],
    ids=str,
)
def test_a_value_of_another_type_becomes_jsons_own(value, text):
    assert jsontext.dumps(value) == text


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", "1e999", "[" * 99_999, "", "{", '"\n"'])
def test_what_is_not_json_is_an_error(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RunError, match=r"a\.json is damaged"):
        RunFolder(tmp_path).read_json("a.json")
