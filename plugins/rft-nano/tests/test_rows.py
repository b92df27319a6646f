"""A packed row teaches what its segments would teach alone."""

import pytest
import torch
from rft_nano.language import Lessons, answer_loss
from rft_nano.model import IMAGE_TOKENS, build_model, build_processor
from rft_nano.rows import LENGTH, Packer

PAIRS = [
    ("What color is it?", "red"),
    ("List all objects.", "small red cube, large car"),
    ("2 + 3", "5"),
]


@pytest.fixture(scope="module")
def parts():
    processor = build_processor()
    return build_model(processor).eval(), Packer(processor.tokenizer)


def rows(packer, pairs, seen):
    return packer.rows([(packer.segments(pairs, seen=seen), seen)])


@pytest.mark.parametrize("seen", [True, False])
def test_a_segment_among_others_has_the_logits_it_has_alone(parts, seen):
    model, packer = parts
    features = torch.randn(1, IMAGE_TOKENS, 160) if seen else None
    together = answer_loss(model, rows(packer, PAIRS, seen), features)[0]
    alone = [rows(packer, [pair], seen) for pair in PAIRS]
    weights = torch.tensor([row.weights.sum() for row in alone])
    losses = torch.stack([answer_loss(model, row, features)[0] for row in alone])

    assert torch.allclose(together, (losses * weights).sum() / weights.sum(), atol=1e-5)


def test_the_loss_is_on_the_answer_and_its_end_only(parts):
    _, packer = parts
    row = rows(packer, PAIRS[:1], seen=False)
    red, end = packer.encode(["red"])[0][0], packer._end

    assert row.targets[row.targets >= 0].tolist() == [red, end]


def test_text_rows_are_nearly_full(parts):
    lessons = Lessons(parts[1], None, 0, pictured=0, written=20)
    batch, _, _ = lessons.batch()

    assert (batch.ids != parts[1]._pad).float().mean() > 0.75
    assert batch.ids.shape == (20, LENGTH)
