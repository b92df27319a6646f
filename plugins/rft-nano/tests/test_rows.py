"""A packed row teaches what its segments would teach alone."""

import numpy as np
import pytest
import torch
from rft_nano import perception
from rft_nano.corpus.augment import Seen
from rft_nano.corpus.diagrams import Label
from rft_nano.corpus.streams import Exhibit
from rft_nano.language import Lessons, answer_loss, asked, carried, ranked
from rft_nano.model import (
    IMAGE_SIZE,
    IMAGE_TOKENS,
    TEXT_WIDTH,
    build_model,
    build_processor,
)
from rft_nano.naming import ASKED
from rft_nano.rows import LENGTH, Packer
from rft_nano.things import Thing

REQUESTS = [
    ("What color is it?", "red"),
    ("List all objects.", "small red cube, large car"),
    ("2 + 3", "5"),
]


@pytest.fixture(scope="module")
def parts():
    processor = build_processor()
    return build_model(processor).eval(), Packer(processor.tokenizer)


def rows(packer, requests, pictures):
    return packer.rows([(packer.segments(requests, pictures=pictures), pictures)])


@pytest.mark.parametrize("pictures", [0, 1, 2])
def test_a_segment_among_others_has_the_loss_it_has_alone(parts, pictures):
    model, packer = parts
    features = torch.randn(pictures, IMAGE_TOKENS, TEXT_WIDTH) if pictures else None
    together = answer_loss(model, rows(packer, REQUESTS, pictures), features)[0]
    alone = [rows(packer, [request], pictures) for request in REQUESTS]
    weights = torch.tensor([row.weights.sum() for row in alone])
    losses = torch.stack([answer_loss(model, row, features)[0] for row in alone])

    assert torch.allclose(together, (losses * weights).sum() / weights.sum(), atol=1e-5)


def test_a_row_gives_the_loss_that_the_whole_model_gives_over_its_pictures(parts):
    model, packer = parts
    pixels = torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    row = rows(packer, REQUESTS[:1], 2)
    used = int((row.positions > 0).sum()) + 1
    labels = torch.where(row.targets < 0, -100, row.targets)[:, :used]
    with torch.no_grad():
        image = model.model.multi_modal_projector(perception.features(model, pixels))
        ours = answer_loss(model, row, image)[0]
        whole = model(input_ids=row.ids[:, :used], pixel_values=pixels).logits
    theirs = torch.nn.functional.cross_entropy(whole[0], labels[0], ignore_index=-100)

    assert torch.allclose(ours, theirs, atol=1e-4)


def test_the_loss_is_on_the_answer_and_its_end_only(parts):
    _, packer = parts
    row = rows(packer, REQUESTS[:1], 0)
    red, end = packer.encode(["red"])[0][0], packer._end

    assert row.targets[row.targets >= 0].tolist() == [red, end]


def test_padding_that_others_ask_for_does_not_reach_the_rows():
    processor = build_processor()
    packer = Packer(processor.tokenizer)
    before = packer.segments(REQUESTS, pictures=0)
    processor.tokenizer([text for request in REQUESTS for text in request], padding=True)

    assert packer.segments(REQUESTS, pictures=0) == before


def test_text_rows_are_nearly_full(parts):
    batch = Lessons(parts[1], None, 0, pictured=0, written=20).batch().rows

    assert (batch.ids != parts[1]._pad).float().mean() > 0.75
    assert batch.ids.shape == (20, LENGTH)


def test_a_batch_has_a_picture_for_every_image_token(parts):
    def exhibit():
        count = next(counts)
        blank = np.zeros((3, IMAGE_SIZE, IMAGE_SIZE), np.float32)
        return Exhibit([blank] * count, [[]] * count, [[]] * count, lambda rng: ("What?", "none"))

    counts = iter([1, 2, 2, 1])
    batch = Lessons(parts[1], exhibit, 0, pictured=3, written=1, looked_at=1).batch()
    tokens = (batch.rows.ids == parts[1].image).sum()

    assert (len(batch.spoken_of), len(batch.pixels)) == (5, 6)
    assert tokens == 5 * IMAGE_TOKENS


def test_the_tokens_that_carry_points_are_those_of_the_numbers(parts):
    def exhibit():
        count, text = next(shown)
        labels = [Label(text, 0.9, 0.2, ("K", "L")), Label("K", 0.4, 0.4)] if text else []
        blank = np.zeros((3, IMAGE_SIZE, IMAGE_SIZE), np.float32)
        return Exhibit([blank] * count, [[]] * count, [labels] * count, lambda rng: ("What?", "no"))

    shown = iter([(2, ""), (1, "12"), (1, "45°"), (1, "7")])
    batch = Lessons(parts[1], exhibit, 0, pictured=3, written=1, looked_at=1).batch()
    places = torch.arange(4 * LENGTH).reshape(4, LENGTH, 1)
    columns, points = carried(places, batch)
    patch = perception.patches([(0.9, 0.2)])[0]

    assert columns.flatten().tolist() == [LENGTH + 1 + patch, 2 * LENGTH + 1 + patch]
    assert points.nonzero()[:, 1].tolist() == [ord("K") - ord("A"), ord("L") - ord("A")] * 2


def test_a_things_token_carries_its_place_from_the_left(parts):
    rows_ = [Thing("small", "red", "metal", "cube", u=u, v=0.5) for u in (0.2, 0.6, 0.9)]

    def exhibit():
        blank = np.zeros((3, IMAGE_SIZE, IMAGE_SIZE), np.float32)
        seen = [Seen(thing, radius=0.01, number=0) for thing in rows_]
        return Exhibit([blank], [seen], [[]], lambda rng: ("What?", "no"))

    batch = Lessons(parts[1], exhibit, 0, pictured=2, written=0, looked_at=1).batch()
    places = torch.arange(2 * LENGTH).reshape(2, LENGTH, 1)
    columns, ranks = ranked(places, batch)
    patches = perception.patches([(thing.u, thing.v) for thing in rows_])

    assert columns.flatten().tolist() == [row * LENGTH + 1 + p for row in (0, 1) for p in patches]
    assert ranks.argmax(-1).tolist() == [0, 1, 2] * 2


NAMED = [
    ("How long is K L?", "5", {"K", "L"}),
    ("A question: what is angle X K O?", "40", {"K", "O", "X"}),
    ("What is the color of the small cube?", "red", {"small", "cube"}),
    ("Red or blue aeroplanes, how many?", "2", {"red", "blue", "aeroplane"}),
    ("Name the third object from the right.", "small car", {"third"}),
    ("Which letters are there?", "K L", set()),
    ("E is 5. F is 6. G is 7. H is 8. J is 9. What is E?", "5", set()),
]


@pytest.mark.parametrize("pictures", [0, 1, 2])
def test_what_a_question_names_is_wanted_where_its_answer_begins(parts, pictures):
    _, packer = parts
    packed = rows(packer, [(ask, answer) for ask, answer, _ in NAMED], pictures)
    first = [packer.encode([answer])[0][0] for _, answer, named in NAMED if named]
    states, words = asked(torch.randn(1, LENGTH, 8), packed)
    said = [{ASKED[i] for i in row.nonzero()} for row in words]

    assert said == ([named for *_, named in NAMED if named] if pictures else [])
    assert [int(packed.targets[row, at]) for row, at, _ in packed.asked] == first[: len(said)]
    assert states.shape == (len(said), 8)
