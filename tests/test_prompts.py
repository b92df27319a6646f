"""What the policy is shown, and what SFT teaches it to write."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rftcore import parsers, prompts, tags
from rftcore.errors import SampleError
from rftcore.images import Image
from rftcore.types import Sample

plain = st.text(min_size=1).filter(lambda text: text.strip() and not tags.has_tags(text))


def sample(**changes) -> Sample:
    fields = {"id": "a", "question": "How many?", "gold": "5", "cot": "1, 2", "origin": "f row 3"}
    return Sample(**{**fields, **changes})


@given(question=plain, gold=st.text(), cot=st.text())
def test_a_prompt_depends_on_the_question_and_the_images_alone(question: str, gold: str, cot: str):
    maker = prompts.think_then_answer("Answer with one number.")
    one = sample(question=question, gold=gold, cot=cot)

    assert maker(one) == maker(sample(question=question))


def test_images_are_handed_on_in_order():
    images = (Image.from_bytes(b"one"), Image.from_bytes(b"two"))

    assert prompts.direct("One word.")(sample(images=images)).images == images


def test_asking_to_think_shows_the_tags_and_asking_directly_does_not():
    text = prompts.think_then_answer("One word.")(sample()).text

    assert text == f"How many? {tags.REQUEST} One word."
    assert prompts.direct("One word.")(sample()).text == "How many? One word."


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("How many?", "How many? One word."),
        ("How many?\n", "How many?\nOne word."),
        ("How many?\n \n ", "How many?\n \nOne word."),
        ("Which?\nA. one\nB. two", "Which?\nA. one\nB. two\nOne word."),
        ("", "One word."),
    ],
)
def test_the_request_begins_a_line_of_its_own_after_lines(question: str, shown: str):
    assert prompts.direct("One word.")(sample(question=question)).text == shown


@given(question=plain)
def test_a_question_is_in_its_prompt_as_it_is(question: str):
    assert prompts.direct("One word.")(sample(question=question)).text.startswith(question.strip())


def test_makers_travel_between_processes():
    maker = prompts.think_then_answer("One word.")

    assert pickle.loads(pickle.dumps(maker)) == maker


@given(cot=plain, gold=st.integers())
def test_what_sft_teaches_is_well_formed_and_reads_as_the_gold(cot: str, gold: int):
    target = prompts.sft_target(sample(cot=cot, gold=str(gold)))

    assert tags.is_well_formed(target)
    assert parsers.Integer().parse(target).value == gold


@pytest.mark.parametrize(
    "changes", [{"cot": None}, {"cot": " "}, {"cot": "so </think>"}, {"gold": "<answer>5</answer>"}]
)
def test_a_sample_that_would_teach_broken_tags_is_an_error_that_names_its_origin(changes: dict):
    with pytest.raises(SampleError, match="f row 3"):
        prompts.sft_target(sample(**changes))
