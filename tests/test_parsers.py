"""Laws of the parsers: they never raise, never look into the reasoning, never choose for us."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import parsers, rewards, tags
from rftcore.boxes import Box
from rftcore.errors import PluginError
from rftcore.types import Parser

FUNCTIONS = {"change_size": ("small", "large"), "change_position": ("left", "front_left", "behind")}
CALLS = parsers.Calls(FUNCTIONS, low=0, high=12, most=5)
PARSERS = [
    *(parsers.Integer(), parsers.Integer(low=-5, high=99), parsers.Number(), parsers.Choice()),
    *(CALLS, parsers.Boxes(), parsers.Boxes(most=3), parsers.Quantity(), parsers.Text()),
]
FORGIVING = [parsers.forgiving(parser) for parser in PARSERS]
a_call = st.sampled_from(sorted(FUNCTIONS)).flatmap(
    lambda name: st.builds(
        parsers.Call, st.just(name), st.integers(0, 12), st.sampled_from(FUNCTIONS[name])
    )
)
side = st.lists(st.integers(0, 1000), min_size=2, max_size=2, unique=True).map(sorted)
a_box = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), side, side)
some_calls = st.lists(a_call, min_size=1, max_size=5).map(tuple)
GOLDS = {
    PARSERS[0]: st.integers(-(10**30), 10**30),
    PARSERS[1]: st.integers(-5, 99),
    PARSERS[2]: st.floats(allow_nan=False, allow_infinity=False),
    PARSERS[3]: st.sampled_from("ABCD"),
    CALLS: some_calls,
    PARSERS[5]: a_box.map(lambda box: (box,)),
    PARSERS[6]: st.lists(a_box, max_size=3).map(lambda found: tuple(sorted(found))),
    PARSERS[7]: st.integers(-(10**9), 10**9).map(lambda n: PARSERS[7].gold(f"{n} mm").value),
}
EXPRESSIONS = ["\\frac{1}{2}", "1 / 2", "x^2 + 1", "a < b", "5 cm", "<", "answer>"]

PIECES = ["<think>", "</think>", "<answer>", "</answer>", "<ANSWER x=1>", "< / answer >", "<"]
PIECES += ["5", "6", "-1", "1,000", "A", "(B)", ".", " ", "\n", "\0", "\uff15", "\u200b", "left"]
PIECES += ["change_size", "change size", "(", ")", ",", "'", '"', "small", "change_size(0, small)"]
texts = st.text() | st.lists(st.sampled_from(PIECES)).map("".join)
space = st.text(" \n\t\r")
GOLDS[PARSERS[-1]] = (
    (texts | st.sampled_from(EXPRESSIONS))
    .map(parsers.Text().gold)
    .filter(lambda parsed: parsed.ok)
    .map(lambda parsed: parsed.value)
)

every_parser = pytest.mark.parametrize("parser", PARSERS, ids=repr)


@pytest.mark.parametrize("parser", [*PARSERS, *FORGIVING, parsers.Choice(several=True)], ids=repr)
@given(text=texts)
def test_any_text_is_an_answer_or_a_parse_error_with_a_reason(parser: Parser, text: str):
    for parsed in (parser.parse(text), parser.gold(text)):
        assert parsed.ok or (parsed.value is None and parsed.error)


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

    assert parser.parse(tags.write(reasoning, parser.show(value))).value == value


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


@given(
    words=st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1)), gap=space
)
def test_a_text_is_its_words_whatever_is_between_them(words: list[str], gap: str):
    parsed = parsers.Text(10**6).parse(f"<answer>{f' {gap}'.join(words)}</answer>")

    assert parsed.value == (" ".join(words) or None)


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (r"<think>x</think><answer> \frac{1}{2} </answer>", r"\frac{1}{2}"),
        ("<answer>1/2</answer><answer> 1/2\n</answer>", "1/2"),
        ("<answer>1/2</answer><answer>0.5</answer>", None),  # another spelling is another text
        ("<answer>X</answer><answer>x</answer>", None),
        ("<answer> \n </answer>", None),
        ("x = 3", "x = 3"),
        ("I think that it is 3. " * 20, None),
    ],
)
def test_a_text_is_the_answer_block_and_nothing_is_made_of_it(completion: str, value: str | None):
    parsed = parsers.Text().parse(completion)

    assert (parsed.value, parsed.ok) == (value, value is not None)


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
        ("<think>x</think>5", 5),  # a thinking model that was never taught answer tags
        ("<think>a</think>\n\n5", 5),
        ("a</think>\n\n5", 5),
        ("<think>a <answer>4</answer></think>5", 5),
        ("<think>x</think>It is 5", None),
        ("<think>x</think>", None),
        ("<think>x</think>5</think>", None),
        ("<think>x</think>5<think>", None),
        ("<think>x</think>5 <answ", None),
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


UNSEEN = ["\u200b", "\ufeff", "\u2060", "\xa0", "\u202f", "\u3000", "\u00ad"]


@pytest.mark.parametrize("unseen", UNSEEN)
@pytest.mark.parametrize(
    ("parser", "text"),
    [
        *((PARSERS[0], "-5"), (PARSERS[2], "1.5"), (PARSERS[3], "B"), (PARSERS[-1], "a b")),
        (CALLS, "change_size(0, small)"),
    ],
)
def test_an_invisible_character_makes_no_right_answer_wrong(parser, text, unseen):
    expected = parser.gold(text)

    assert parser.gold(f"{unseen}{text}{unseen}") == expected
    assert parser.parse(f"<answer>{unseen}{text}</answer>") == expected
    assert parser.gold(text.replace(" ", "\xa0")) == expected


@pytest.mark.parametrize("other", ["cafe\u0301", "ca\u200bfé", "\ufeffcafé", "caf\u00ade\u0301"])
def test_texts_that_look_the_same_are_the_same(other: str):
    assert parsers.Text().gold(other) == parsers.Text().gold("café")


@given(blank=st.lists(st.sampled_from([*" \n\u200b\ufeff\xa0"])).map("".join))
def test_form_needs_content_that_can_be_seen_and_nothing_else_that_can(blank: str):
    assert tags.is_well_formed(f"{blank}<think>a</think>{blank}<answer>5</answer>{blank}")
    assert not tags.is_well_formed(f"<think>{blank}</think><answer>5</answer>")
    assert not tags.is_well_formed(f"<think>a</think><answer>{blank}</answer>")


def test_a_minus_sign_is_a_minus_sign():
    assert parsers.Integer().gold("\u22125").value == -5
    assert parsers.Number().gold("\u22120.5").value == -0.5


@pytest.mark.parametrize("text", ["1\u200b2", "\uff15", "5\u2009%", "\u0665", "\ud83d5"])
def test_an_odd_character_inside_is_named(text):
    odd = next(char for char in text if not char.isascii())

    assert f"U+{ord(odd):04X}" in parsers.Integer().gold(text).error


@every_parser
@pytest.mark.parametrize("half", ["\ud83d", "5\udc00", "<answer>A\ud83d</answer>"])
def test_half_a_character_is_no_answer(parser: Parser, half: str):
    parsed = parser.parse(half)

    assert not parsed.ok
    parsed.error.encode()


FORGIVEN = [
    *(("**5**", 5), ("$5$", 5), (r"\boxed{5}", 5), (r"$\boxed{5}$.", 5), ("`5`", 5), ("5.", 5)),
    *(("\uff15", 5), ("\u22125", -5), ("1\u202f000", 1000), (r"1\,000", 1000), ("5\u200b", 5)),
    *(("The answer is 5.", 5), ("**Answer:** 5", 5), ("Answer: **5**", 5), ("# 5", None)),
    *((r"So it is \boxed{5}. Done.", 5), (r"\boxed{4} or \boxed{5}", None), ("5 or 6", None)),
    *(("I see it.\n\nFinal answer: 5", 5), ("Answer: 4\nAnswer: 5", None), ("It is 5", None)),
    *((r"\boxed{5} and \boxed{5}", 5), ("the answer is 5 or 6", None), ("\u201c5\u201d", 5)),
    *((r"\text{5}", 5), (r"\boxed{\text{5}}", 5), (r"\boxed{", None), ("**", None), ("", None)),
    *(("<think>a</think>**5**", 5), ("<think>5</think><answer>**6**</answer>", 6)),
    *(("so\n#### 5", 5), ("####5", 5), ("#### 4\n#### 5", None), ("## Answer\n5", 5)),
    *(("**Answer:**\n\n**5**\n\nBecause.", 5), ("## Answer\n5\n6", None), ("Answer:\n", None)),
    *(("#### Answer\n5", 5), ("#### The answer is 5", 5), ("Answer: 4\n#### 5", None)),
    *(("```\n5\n```", 5), ("It is:\n```text\n5\n```", 5), ("```5```", 5), ("```\n5", None)),
    *(("```\n4\n```\n```\n5\n```", None), ("```\n4\n``` or 5", None), ("```\na 5\n```", None)),
    *(('{"answer": 5}', 5), ('```json\n{"answer": "5"}\n```', 5), ('{"a": 4, "Answer": 5}', 5)),
    *(('{"answer": 4, "answer": 5}', None), ('{"answer": [5]}', None), ('{"a": 5}', None)),
    *(('{"answer": true}', None), ("{" * 9 + "}" * 9, None), ("{5}", None)),
    *(("<|begin_of_box|>5<|end_of_box|>", 5), ("<|begin_of_box|>5", None)),
    ("<|begin_of_box|>4<|end_of_box|> <|begin_of_box|>5<|end_of_box|>", None),
    *(("<think>5", None), ("<answer>5", None), ("<answer>**4**</answer><answer>5</answer>", None)),
]


@pytest.mark.parametrize(("completion", "value"), FORGIVEN)
def test_a_forgiving_parser_reads_what_a_person_reads(completion: str, value: int | None):
    assert parsers.Integer(forgiving=True).parse(completion).value == value


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        *(("A.", "A"), ("A:", "A"), ("\uff08A\uff09", "A"), ("A. text", "A"), ("C. Mixed", "C")),
        *(
            (r"\boxed{D}", "D"),
            ("**A**", "A"),
            ("(B) a dog", "B"),
            ("**C. Mixed**", "C"),
            ("C - Mixed", "C"),
        ),
        *(("The answer is (B).", "B"), ("A dog", None), ("E. Mixed", None), ("AB", None)),
        *(("The correct option is A.", "A"), ("Option A", "A"), ("{A}", "A"), ("Option (A)", "A")),
        *(("Option B: a dog", "B"), ("The answer is option **C**.", "C"), ("Option", None)),
        *(("Option A. Option B.", None), ("Option A or B", None), ("Options A", None)),
        *(("Correct choice: D", "D"), ("## Answer\n\n(B) a dog", "B"), ("{A, B}", None)),
        *(('{"answer": "B"}', "B"), ("The correct option is A or B.", None), ("Option dog", None)),
        *(("A. yes B. no", None), ("A: 1\nB: 2", None), ("A or B", None), ("A.B.C", None)),
    ],
)
def test_a_forgiving_choice_is_a_letter_with_its_text(completion: str, value: str | None):
    assert parsers.Choice(forgiving=True).parse(completion).value == value


@pytest.mark.parametrize("text", ["Yes", "Yes.", "**Yes**", r"\text{Yes}", "Answer: Yes."])
def test_a_forgiving_text_is_read_alike_in_golds_and_answers(text: str):
    parser = parsers.Text(forgiving=True)

    assert parser.parse(f"<answer>{text}</answer>").value == parser.gold("Yes.").value == "Yes"


marks = st.sampled_from([("**", "**"), ("$", "$"), (r"\boxed{", "}"), ("Answer: ", "."), ("", "")])


@every_parser
@given(data=st.data(), marks=marks, strict=texts)
def test_forgiving_reads_all_that_strict_reads_and_the_same_in_marks(
    parser: Parser, data: st.DataObject, marks: tuple[str, str], strict: str
):
    forgiving = parsers.forgiving(parser)
    value = data.draw(GOLDS[parser])
    text = parser.show(value)
    if not isinstance(parser, parsers.Text):
        assert not parser.parse(strict).ok or forgiving.parse(strict) == parser.parse(strict)
        assert forgiving.parse(marks[0] + text + marks[1]).value == value
    assert forgiving.gold(forgiving.show(value)).ok or isinstance(parser, parsers.Text)


@given(text=texts)
def test_a_parser_without_the_option_is_read_for_in_the_same_way(text: str):
    class Own:
        def parse(self, completion):
            return parsers.in_tags(completion, self.gold)

        gold, show = parsers.Integer().gold, parsers.Integer().show

    mine = parsers.forgiving(Own())
    assert mine.parse(text) == parsers.Integer(forgiving=True).parse(text)
    assert mine.parse("<answer>**5**</answer>").value == 5


def test_a_forgiving_parser_is_not_made_twice():
    for parser in (parsers.Integer(), parsers.Forgiving(parsers.Integer())):
        assert parsers.forgiving(parsers.forgiving(parser)) == parsers.forgiving(parser)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("AB", "AB"), ("A, B", "AB"), ("B, A", "AB"), ("A,B", "AB"), ("(A) and (B)", "AB")),
        *(("A B", "AB"), ("A, B and C", "ABC"), ("A, C, and D.", "ACD"), ("a, b", "AB")),
        *(("A", "A"), ("(b)", "B"), ("AE", None), ("AA", None), ("A, A", None), ("bad", None)),
        *(("A or B", None), ("A dog", None), ("", None), ("A,", None)),
    ],
)
def test_several_letters_are_one_choice_in_any_order(text: str, value: str | None):
    parser = parsers.Choice(several=True)

    assert parser.gold(text).value == value
    assert value is None or parser.gold(parser.show(value)).value == value


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"ignore_case": True}, ["Yes", "yes", "YES"]),
        ({"ignore_stop": True}, ["Yes", "Yes.", "Yes. "]),
        ({"ignore_case": True, "ignore_stop": True}, ["Yes", "yes.", "YES ."]),
    ],
)
def test_a_text_may_ignore_case_and_the_final_stop(options: dict, texts: list[str]):
    values = {parsers.Text(**options).gold(text).value for text in texts}

    assert len(values) == 1
    assert len({parsers.Text().gold(text).value for text in texts}) > 1
    assert parsers.Text(**options).gold(values.pop()).ok


@pytest.mark.parametrize("text", ["B", "b", "(B)", "B.", "B)", " (b). "])
def test_one_choice_has_many_spellings(text: str):
    assert parsers.Choice().gold(text).value == "B"


@pytest.mark.parametrize("text", ["E", "AB", "A or B", "(A", "A, B", "ß", ""])
def test_what_is_not_one_offered_letter_is_no_choice(text: str):
    assert not parsers.Choice().gold(text).ok


def respelt(text: str, data: st.DataObject) -> str:
    """A canonical answer as somebody else might write it."""
    quote = data.draw(st.sampled_from(["", "'", '"']))
    joint = data.draw(st.sampled_from(["_", "-", " ", " _ ", "\t"]))
    case = data.draw(st.sampled_from([str.lower, str.upper, str.title, str.swapcase]))
    between = data.draw(st.sampled_from([",", ", ", "\n", ";\n", " ", ",\n\n", ""]))
    gap = data.draw(st.sampled_from(["", " ", "\n", " \n "]))
    before, after = data.draw(st.sampled_from([("", ""), ("[", "]"), ("", "."), (" [", "]. ")]))
    calls = [
        re.sub(
            r"\((\d+), (\w+)\)", rf"{gap}({gap}{quote}\1{quote}{gap},{quote}\2{quote}{gap})", call
        )
        for call in re.findall(r"\w+\(\d+, \w+\)", text)
    ]
    return before + case(between.join(calls).replace("_", joint)) + after


@given(calls=some_calls, data=st.data())
def test_calls_in_any_spelling_are_the_same_calls(
    calls: tuple[parsers.Call, ...], data: st.DataObject
):
    assert CALLS.gold(respelt(CALLS.show(calls), data)).value == calls


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no call"),
        ("[]", "there is no call"),
        ("nothing changed", "not a call such as change_size(0, small)"),
        ("change_sise(0, small)", "Did you mean 'change_size'"),
        ("changesize(0, small)", "not a function"),
        ("change_size(0, smal)", "not a value of change_size. Did you mean 'small'"),
        ("change_size(0, left)", "Offered: small, large"),
        ("change_size(13, small)", "not an object from 0 to 12"),
        ("change_size(-1, small)", "not a call"),
        ("change_size(\uff11, small)", "not a call"),
        (f"change_size({'9' * 5000}, small)", "not an object"),
        ("change_size(small, 0)", "not a call"),
        ("change_size(0)", "not a call"),
        ("change_size(0, small", "not a call"),
        ("change_size(0, 'small)", "not a call"),
        ("change_size(0, 'small\")", "not a call"),
        ("change_size(0, small) and change_size(1, small)", "'and change_size' is not a function"),
        ("change_size(0, small) because it shrank", "'because it shrank' is not a call"),
        ("I see change_size(0, small)", "not a function"),
        ("change_size(0, small)\n" * 6, "more than 5 calls"),
    ],
)
def test_what_is_not_a_list_of_calls_is_a_parse_error_with_the_reason(text: str, why: str):
    assert why in CALLS.gold(text).error


def test_a_repeated_call_stays_in_the_answer():
    assert len(CALLS.gold("change_size(0, small) change_size(0, small)").value) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"functions": {}},
        {"functions": {"f": ()}},
        {"functions": {"f": "left"}},
        {"functions": {"f2": ("a",)}},
        {"functions": {"f": ("a-b", "a_b")}},
        {"low": 3, "high": 2},
        {"low": -1},
        {"most": 0},
    ],
)
def test_impossible_calls_are_errors(options: dict):
    with pytest.raises(PluginError, match=next(iter(options))):
        parsers.Calls(**{"functions": {"f": ("a",)}, **options})


@pytest.mark.parametrize("parser", [*PARSERS, *FORGIVING, parsers.Choice(several=True)], ids=repr)
@pytest.mark.parametrize(
    "piece",
    [
        *(" \u200b", r"\boxed{", "Answer: ", "*", "$", "{", "A, ", "A. ", "\u200b"),
        *("<", "< ", "<think>", "<answer ", "0", "1,", " ", "<answer>5", "a", "a ", "f(", "[", "_"),
        *("change_size(0, small),", "change_size(0, ", "change_size(", "change_size(0,'"),
    ],
)
def test_time_grows_with_length_and_no_faster(parser: Parser, piece: str):
    start = time.process_time()
    parser.parse(piece * 100_000 + "x")

    assert time.process_time() - start < 2  # quadratic time would be minutes


@pytest.mark.parametrize(
    "make", [lambda: parsers.Integer(3, 2), lambda: parsers.Choice("AA"), lambda: parsers.Text(0)]
)
def test_meaningless_options_are_errors(make):
    with pytest.raises(PluginError):
        make()


@pytest.mark.parametrize(
    ("prompt", "opening"),
    [
        ("q<|assistant|>", ""),
        ("q<|assistant|><think>", "<think>"),
        ("q<|assistant|><think>\n", "<think>\n"),
        ("q<|assistant|><think>\n\n</think>\n\n", ""),  # thinking switched off
        ("Think in <think> </think>, then answer in <answer> </answer>.<|assistant|>", ""),
        ("Think in <think>.<|assistant|>", ""),
        ("a < b<|assistant|>< THINK >", "< THINK >"),
    ],
)
def test_a_prompt_opens_the_tag_that_it_ends_in(prompt: str, opening: str):
    assert tags.opened(prompt) == opening


@given(reasoning=texts.filter(lambda text: text.strip() and not tags.has_tags(text)))
def test_a_completion_after_an_opened_tag_is_well_formed_whoever_opened_it(reasoning: str):
    whole = tags.write(reasoning, "5")
    tag, _, rest = whole.partition("\n")

    assert tags.is_well_formed(tags.after_prompt(tag + "\n", rest)) == tags.is_well_formed(whole)
    assert tags.after_prompt(tag, whole) == whole
    assert tags.after_prompt("", rest) == rest


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *(("30,5", "30.5"), ("-1,0", "-1.0"), ("0,500", "0.500"), ("3,5 mm", "3.5")),
        *(("12345,678", "12345.678"), ("1.234,5", "1234.5"), ("1 234,50 €", "1234.50")),
        *((r"$3{,}5$", "3.5"), ("**3,5**", "3.5"), ("$3,50", "3.50"), ("3,5 %", "3.5")),
        *(("x", None), ("3,5,7", None), ("3, 5", None), ("1,234,5", None)),
        *(("1,234 xyz", None), (r"3{,}500 xyz", None)),
    ],
)
@pytest.mark.parametrize("forgiving", [False, True])
@pytest.mark.parametrize("parser", [parsers.Integer, parsers.Number, parsers.Quantity])
def test_a_decimal_comma_is_named_and_never_another_number(parser, forgiving, text, meant):
    parsed = parser(forgiving=forgiving).parse(f"<think>a</think><answer>{text}</answer>")

    assert not parsed.ok
    named = parsed.error.partition("it has a decimal comma, but commas group thousands: write ")[2]
    assert named == (meant or "")


@pytest.mark.parametrize(
    ("text", "number"), [("1,234", 1234), ("12,000,000", 12_000_000), ("-999,001", -999_001)]
)
def test_a_comma_that_groups_thousands_is_no_decimal_comma(text: str, number: int):
    assert parsers.Integer().gold(text).value == parsers.Number().gold(text).value == number
    assert parsers.Quantity().gold(f"{text} m").value.number == number


@pytest.mark.parametrize("text", ["0,500", r"0\,500", "0 500", "0{,}500", "0'500", "00,500"])
def test_a_group_of_thousands_does_not_start_with_zero(text: str):
    assert not parsers.Number(forgiving=True).parse(text).ok
    assert rewards.relaxed_score(text, "500") == 0


def test_decimal_commas_in_a_box_are_named():
    error = parsers.Boxes().gold("[0,5, 0,5, 1,5, 2,25]").error

    assert error.endswith("commas separate coordinates: write [0.5, 0.5, 1.5, 2.25]")
