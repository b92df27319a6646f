"""Laws of the parsers: they never raise, never look into the reasoning, never choose for us."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import markup, parsers
from rftcore.errors import PluginError
from rftcore.types import Parser

PARSERS = [parsers.Integer(), parsers.Integer(low=-5, high=99), parsers.Number(), parsers.Choice()]
GOLDS = {
    PARSERS[0]: st.integers(-(10**30), 10**30),
    PARSERS[1]: st.integers(-5, 99),
    PARSERS[2]: st.floats(allow_nan=False, allow_infinity=False),
    PARSERS[3]: st.sampled_from("ABCD"),
}

PIECES = ["<think>", "</think>", "<answer>", "</answer>", "<ANSWER x=1>", "< / answer >", "<"]
PIECES += ["5", "6", "-1", "1,000", "A", "(B)", ".", " ", "\n", "\0", "\uff15", "\u200b", "left"]
texts = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)
space = st.text(" \n\t\r")

every_parser = pytest.mark.parametrize("parser", PARSERS, ids=repr)


@every_parser
@given(text=texts)
def test_any_text_is_an_answer_or_a_refusal_with_a_reason(parser: Parser, text: str):
    for parsed in (parser.parse(text), parser.gold(text)):
        assert parsed.ok or (parsed.value is None and parsed.refusal)


@every_parser
@given(data=st.data())
def test_what_is_shown_reads_back(parser: Parser, data: st.DataObject):
    value = data.draw(GOLDS[parser])

    assert parser.gold(parser.show(value)).value == value


@every_parser
@given(data=st.data(), reasoning=texts)
def test_nothing_in_the_reasoning_passes_for_an_answer(
    parser: Parser, data: st.DataObject, reasoning: str
):
    value = data.draw(GOLDS[parser])

    assert parser.parse(markup.write(reasoning, parser.show(value))).value == value


@given(reasoning=texts, inside=st.integers())
def test_reasoning_that_is_left_open_holds_no_answer(reasoning: str, inside: int):
    completion = f"{reasoning}<think><answer>{inside}</answer>"

    assert not parsers.Integer().parse(completion).ok


@given(answers=st.lists(st.integers(0, 9), min_size=2, max_size=4))
def test_several_blocks_answer_only_if_they_agree(answers: list[int]):
    completion = "<think>x</think>" + " ".join(f"<answer>{one}</answer>" for one in answers)

    assert parsers.Integer().parse(completion).ok == (len(set(answers)) == 1)


@every_parser
@given(text=texts, before=space, after=space)
def test_outer_white_space_changes_nothing(parser: Parser, text: str, before: str, after: str):
    assert parser.parse(before + text + after) == parser.parse(text)


@given(low=st.integers(), high=st.integers(), value=st.integers(-(10**30), 10**30))
def test_an_integer_answers_only_inside_its_range(low: int, high: int, value: int):
    low, high = sorted([low, high])

    assert parsers.Integer(low, high).gold(str(value)).ok == (low <= value <= high)


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        ("5", 5),  # never taught tags: the whole completion is the bare answer
        ("The answer is 5", None),
        ("There are 3 cubes and 5 spheres", None),
        ("<think>x</think>5", None),
        ("<think>x</think><answer> 5 </answer>", 5),
        ("<answer>5</answer>", 5),
        ("x</think><answer>5</answer>", 5),  # the prompt may have opened the reasoning
        ("<think>maybe <answer>4</answer></think><answer>5</answer>", 5),
        ("<think>a</think><answer>4</answer><think>b</think><answer>5</answer>", 5),
        ("<answer>5</answer><think>x</think>", None),
        ("<think>x</think><answer>4</answer><answer>5</answer>", None),
        ("<think>x</think><answer>4 or 5</answer>", None),
        ("<think>x</think><answer>5</answer> or not", 5),
        ("<think>x</think><answer><answer>5</answer></answer>", None),
        ("<think>x</think><answer>5", None),
        ("<think>x</think>5</answer>", None),
        ("<think>x</think><answer>5</answer><answer>", None),
        ('<think>x</think><answer type="int">5</answer>', 5),
        ("<THINK>x</THINK>< answer >5</ answer >", 5),
        ("<think>x</think><answer></answer>", None),
        ("<think>x</think><answers>5</answers>", None),
        ("<think>x</think><answer>5\0</answer>", None),
        ("", None),
    ],
)
def test_where_an_answer_is_looked_for(completion: str, value: int | None):
    assert parsers.Integer().parse(completion).value == value


@pytest.mark.parametrize(
    ("text", "integer", "number"),
    [
        ("5", 5, 5.0),
        ("+5", 5, 5.0),
        ("-5", -5, -5.0),
        ("05", 5, 5.0),
        ("5.", 5, 5.0),
        ("5.0", 5, 5.0),
        ("5.5", None, 5.5),
        (".5", None, 0.5),
        ("1,000", 1000, 1000.0),
        ("1,00", None, None),
        ("1,0000", None, None),
        ("1_000", None, None),
        ("2e3", None, 2000.0),
        ("1e999", None, None),
        ("nan", None, None),
        ("inf", None, None),
        ("\uff15", None, None),  # full width
        ("\u0665", None, None),  # Arabic-Indic
        ("five", None, None),
        ("5 cubes", None, None),
        ("50%", None, None),
        ("1/2", None, None),
        ("--5", None, None),
        ("9" * 5000, None, None),  # beyond what int() reads
    ],
)
def test_which_texts_are_numbers(text: str, integer: int | None, number: float | None):
    assert parsers.Integer().gold(text).value == integer
    assert parsers.Number().gold(text).value == number


@pytest.mark.parametrize("text", ["B", "b", "(B)", "B.", "B)", " (b). "])
def test_one_choice_has_many_spellings(text: str):
    assert parsers.Choice().gold(text).value == "B"


@pytest.mark.parametrize("text", ["E", "AB", "A or B", "(A", "A, B", "ß", ""])
def test_what_is_not_one_offered_letter_is_no_choice(text: str):
    assert not parsers.Choice().gold(text).ok


@every_parser
@pytest.mark.parametrize("piece", ["<", "< ", "<think>", "<answer ", "0", "1,", " ", "<answer>5"])
def test_time_grows_with_length_and_no_faster(parser: Parser, piece: str):
    start = time.process_time()
    parser.parse(piece * 100_000 + "x")

    assert time.process_time() - start < 2  # quadratic time would be minutes


@pytest.mark.parametrize("make", [lambda: parsers.Integer(3, 2), lambda: parsers.Choice("AA")])
def test_options_that_make_no_sense_are_refused(make):
    with pytest.raises(PluginError):
        make()
