"""Rows of a JSON file, one at a time: the same values as `json.loads`, from any window."""

import codecs
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore.datasets import streams
from rftcore.errors import DataError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
records = st.lists(st.dictionaries(text, values, max_size=3) | values, max_size=8)
chunks = st.integers(1, 40)
spaces = st.sampled_from([None, 0, 2])
marks = st.integers(0, 3).map(codecs.BOM_UTF8.__mul__)


def read(data: bytes, chunk: int = streams.CHUNK) -> list[streams.Raw]:
    return list(streams.read(io.BytesIO(data), chunk))


@given(records, chunks, spaces, st.booleans(), marks)
def test_an_array_gives_the_values_of_json_loads_from_any_window(rows, chunk, indent, ascii_, mark):
    data = mark + json.dumps(rows, indent=indent, ensure_ascii=ascii_).encode()
    found = read(data, chunk)

    assert [raw.value for raw in found] == rows == json.loads(data.removeprefix(mark))
    assert [raw.number for raw in found] == list(range(1, len(rows) + 1))
    assert not any(raw.fault for raw in found)


@given(records, chunks, spaces, st.booleans(), marks)
def test_the_bytes_of_a_row_are_the_row(rows, chunk, indent, ascii_, mark):
    data = mark + json.dumps(rows, indent=indent, ensure_ascii=ascii_).encode()

    assert [json.loads(data[raw.start : raw.end]) for raw in read(data, chunk)] == rows


@given(st.lists(st.dictionaries(text, values, max_size=3), max_size=8), chunks, marks)
def test_json_lines_give_the_same_rows(rows, chunk, mark):
    data = mark + b"\n\n".join(json.dumps(row, ensure_ascii=False).encode() for row in rows)
    found = read(data, chunk)

    assert [raw.value for raw in found] == rows
    assert [raw.number for raw in found] == [2 * at + 1 for at in range(len(rows))]
    assert [json.loads(data[raw.start : raw.end]) for raw in found] == rows


@pytest.mark.parametrize("cut", ["1", "1e", "1e+", "12.", "-", "1e+16", "0x"])
def test_a_number_that_was_cut_off_is_no_row(cut):
    (only,) = read(f"[{cut}".encode(), 2)

    assert "not JSON" in only.fault


@given(records.filter(len), chunks, st.data())
def test_an_array_that_was_cut_off_has_a_fault_in_its_last_row(rows, chunk, data):
    whole = json.dumps(rows).encode()
    found = read(whole[: data.draw(st.integers(1, len(whole) - 1))], chunk)

    assert "not JSON" in found[-1].fault
    assert [raw.value for raw in found[:-1]] == rows[: len(found) - 1]


@given(st.binary(max_size=40), chunks)
def test_no_bytes_crash_it(data, chunk):
    for start in (b"", b"["):
        assert all(isinstance(raw, streams.Raw) for raw in read(start + data, chunk))


@pytest.mark.parametrize(
    ("data", "rows", "message"),
    [
        (b'[{"a": 1}, {"a": ]', 1, "not JSON from byte 11"),
        (b'[{"a": 1} {"a": 2}]', 1, "expected ',' or ']' but found '{'"),
        (b'[{"a": 1}', 1, "the end of the file: it was cut off"),
        (b'[{"a": 1}] 3', 1, "more after the closing bracket"),
        (b'[{"a": "\xff"}]', 0, "not JSON"),
        (b"[" * 100_000, 0, "recursion"),
        (b'{"a": 1}\n{"a"\n{"a": 3}', 2, "not JSON"),
        (b'{\n"a": [1]\n}', 0, "one array, or one object per line"),
        (b'{"a": 1}\n\xff\n{"a": 3}', 2, "not JSON"),
    ],
)
def test_a_broken_row_is_a_fault_and_json_lines_go_on(data, rows, message):
    found = read(data)
    faults = [raw.fault for raw in found if raw.fault]

    assert len(found) - len(faults) == rows
    assert message in faults[0]


@pytest.mark.parametrize("start", [b'["', b'{"'])
def test_an_unclosed_quote_does_not_read_a_whole_file(monkeypatch, start):
    monkeypatch.setattr(streams, "LONGEST", 1000)
    stream = io.BytesIO(start + b"x" * 1_000_000)

    assert "longer than" in list(streams.read(stream, 16))[-1].fault
    assert stream.tell() < 10_000


def test_a_window_and_not_the_file_is_in_memory():
    rows = [{"id": at, "text": "x" * 100} for at in range(5000)]
    stream = io.BytesIO(json.dumps(rows).encode())
    reader = streams.read(stream, 1000)

    assert next(reader).value == rows[0]
    assert stream.tell() <= 2000


def test_a_missing_file_of_a_relative_path_names_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match=rf"nowhere.json: .* working folder {tmp_path}\)"):
        next(streams.rows(Path("nowhere.json")))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.json: No such file"):
        list(streams.rows(tmp_path / "nowhere.json"))


def test_a_long_row_of_an_array_is_a_fault_even_if_one_read_contains_it(monkeypatch):
    monkeypatch.setattr(streams, "LONGEST", 100)
    data = json.dumps([{"a": 1}, {"a": "x" * 200}]).encode()
    last = list(streams.read(io.BytesIO(data)))[-1]

    assert last.number == 2
    assert "longer than" in last.fault


def test_what_follows_a_row_of_an_array_is_reported_with_that_row():
    assert [raw.number for raw in streams.read(io.BytesIO(b'[{"a": 1}, {"a": 2} x]'))] == [1, 2, 2]
