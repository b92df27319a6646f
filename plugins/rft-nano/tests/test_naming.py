"""Image tokens are drawn to the words for what their patch shows."""

import pytest
import torch
from rft_nano import perception
from rft_nano.corpus.augment import Seen
from rft_nano.corpus.diagrams import Label
from rft_nano.model import build_processor
from rft_nano.naming import Names, naming_loss
from rft_nano.things import ATTRIBUTES, Thing

CUBE = Thing("large", "red", "rubber", "cube", u=0.3, v=0.6)
LABELS = [Label("K", 0.2, 0.2), Label("137°", 0.7, 0.3), Label("4.5", 0.5, 0.8)]
SPELT = {"K": "K", "137°": "137", "4.5": "4"}


@pytest.fixture(scope="module")
def tokenizer():
    return build_processor().tokenizer


@pytest.fixture(scope="module")
def names(tokenizer):
    return Names(tokenizer)


@pytest.fixture(scope="module")
def embedding(tokenizer):
    return torch.nn.functional.normalize(torch.randn(len(tokenizer), 512), dim=-1)


def spelt(tokenizer, embedding, words):
    return embedding[tokenizer(words, add_special_tokens=False)["input_ids"]].sum(0)


def test_a_patch_that_looks_like_the_words_for_its_thing_costs_next_to_nothing(
    tokenizer, names, embedding
):
    wanted = perception.targets([[Seen(CUBE, radius=0.01, number=0)]], [[]])
    tokens = torch.zeros(1, perception.IMAGE_TOKENS, 512)
    tokens[wanted["centre"] > 0] = spelt(tokenizer, embedding, CUBE.name())

    assert naming_loss(tokens, embedding, names, wanted) < 0.1 * len(ATTRIBUTES)


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.text)
def test_a_patch_that_looks_like_its_label_costs_next_to_nothing(
    tokenizer, names, embedding, label
):
    wanted = perception.targets([[]], [[label]])
    there = (wanted["name"] > 0) | (wanted["number"] > 0)
    tokens = torch.zeros(1, perception.IMAGE_TOKENS, 512)
    tokens[there] = spelt(tokenizer, embedding, SPELT[label.text])

    assert naming_loss(tokens, embedding, names, wanted) < 0.1
    assert naming_loss(-tokens, embedding, names, wanted) > 3


def test_naming_moves_the_picture_and_not_the_words(names, embedding):
    wanted = perception.targets([[]], [LABELS])
    tokens = torch.randn(1, perception.IMAGE_TOKENS, 512, requires_grad=True)
    words = embedding.clone().requires_grad_()
    naming_loss(tokens, words, names, wanted).backward()

    assert tokens.grad is not None
    assert words.grad is None


def test_a_number_is_drawn_to_the_letters_it_belongs_to(tokenizer, names, embedding):
    wanted = perception.targets([[]], [[Label("24", 0.5, 0.5, of=("V", "Z"))]])
    there = wanted["number"] > 0
    right, wrong = (torch.zeros(1, perception.IMAGE_TOKENS, 512) for _ in "ab")
    right[there] = spelt(tokenizer, embedding, "24 V Z")
    wrong[there] = spelt(tokenizer, embedding, "24 K L")

    losses = [float(naming_loss(said, embedding, names, wanted)) for said in (right, wrong)]
    assert losses[1] > losses[0] + 3
