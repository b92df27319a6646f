"""The tokenizer loses nothing and knows the words that matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rft_nano.tokenizer import SPACE, SPECIALS, build_tokenizer
from rft_nano.words import BIGGEST_NUMBER, TAGS, vocabulary

TOKENIZER = build_tokenizer()
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=SPACE)).filter(
    lambda text: not any(special in text for special in SPECIALS)
)
like_answers = st.lists(
    st.sampled_from([*TAGS, "red", "Cubes", "12", "345", ",", ".", "=", "\n", " ", "  ", "zürich"])
).map("".join)


def pieces(text):
    return TOKENIZER.convert_ids_to_tokens(TOKENIZER(text)["input_ids"])


@given(st.one_of(anything, like_answers))
def test_any_text_comes_back_as_it_was(text):
    assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


KNOWN = [*vocabulary(), *TAGS, *map(str, range(BIGGEST_NUMBER + 1))]


def test_a_known_word_is_one_token_in_either_case():
    assert [w for w in KNOWN if len(pieces(w)) > 1 or len(pieces(w.capitalize())) > 1] == []


def test_a_known_word_is_the_same_token_after_a_space_or_a_newline():
    assert [w for w in KNOWN if pieces(f"red {w}")[1:] != pieces(w)] == []
    assert [w for w in KNOWN if pieces(f"red\n{w}")[2:] != pieces(w)] == []


def test_every_word_of_counting_is_known():
    language = pytest.importorskip("rft_counting.language")

    assert [word for word in language.WORDS if len(pieces(word)) > 1] == []


def test_padding_is_not_the_end():
    assert TOKENIZER.pad_token_id != TOKENIZER.eos_token_id


def test_the_chat_template_puts_images_first_and_asks_for_an_answer():
    parts = [{"type": "text", "text": "How many?"}, {"type": "image"}]
    text = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
    )

    assert text == "<|user|><image>How many?<|end|><|assistant|>"
