"""A scored completion reads back as it was written; a file of another form is one error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import jsontext
from rftcore.completions import SCHEMA, ScoredCompletion, ShownImage, read_completions
from rftcore.errors import RunError

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates too
# JSON reads two halves side by side as the one character that they are
text = anything.map(lambda t: t.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"))
count, number = st.integers(0), st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | text | st.integers() | number,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
sizes = st.none() | st.tuples(count, count)
images = st.builds(ShownImage, key=text, path=st.none() | text, size=sizes, seen=sizes)
completions = st.builds(
    ScoredCompletion,
    id=text,
    split=st.none() | text,
    index=st.none() | count,
    step=st.none() | count,
    question=text,
    gold=text,
    meta=st.dictionaries(text, values, max_size=3),
    meta_omitted=count,
    images=st.lists(images, max_size=2).map(tuple),
    completion=text,
    tokens=st.none() | count,
    clipped=st.none() | st.booleans(),
    answer=st.none() | text,
    parse_error=st.none() | text,
    correct=st.none() | st.booleans(),
    total=st.none() | number,
    rewards=st.dictionaries(text, st.none() | number),
    failures=st.dictionaries(text, text),
    notes=st.dictionaries(text, text),
)


@given(completions)
def test_a_completion_reads_back_as_it_was_written(completion):
    written = jsontext.line(completion.to_json())

    assert ScoredCompletion.from_json(completion.to_json()) == completion
    assert ScoredCompletion.from_json(jsontext.loads(written)) == completion


ROW = ScoredCompletion(id="a", question="?", gold="5", completion="5").to_json()


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ([ROW], "is list, not an object"),
        ({**ROW, "schema": SCHEMA + 1}, f"has schema={SCHEMA + 1}: a newer version of rft wrote"),
        ({**ROW, "schema": 1}, "has schema=1: an older version of rft wrote it"),
        ({**ROW, "images": [{"key": "a"}]}, "has images=[{'key': 'a'}], but it must be a list of"),
        ({**ROW, "meta": []}, "has meta=[], but it must be an object"),
        ({**ROW, "schema": True}, "has schema=True, but rft writes a whole number"),
        ({k: v for k, v in ROW.items() if k != "gold"}, "has no `gold`"),
        ({**ROW, "gold": 5}, "has gold=5, but it must be text"),
        ({**ROW, "tokens": True}, "has tokens=True, but it must be a whole number from 0, or null"),
        ({**ROW, "correct": 1}, "has correct=1, but it must be true, false or null"),
        ({**ROW, "total": "1"}, "has total='1', but it must be a number or null"),
        ({**ROW, "notes": {"a": None}}, "has notes={'a': None}, but it must be text by term"),
    ],
)
def test_a_row_of_another_form_is_named_with_its_file_and_line(row, fault):
    with pytest.raises(RunError) as error:
        read_completions([ROW, row], "runs/a/rollouts.jsonl")

    assert str(error.value).startswith(f"runs/a/rollouts.jsonl line 2 {fault}")
