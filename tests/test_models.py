"""A policy that does not see must not train; one prompt is the same tokens everywhere."""

import io
from types import SimpleNamespace

import pytest

from rftcore import models, prompts
from rftcore.errors import ModelError, VisionError
from rftcore.types import Image, Prompt

pytest.importorskip("rft_nano")


def picture(color):
    from PIL import Image as pil

    buffer = io.BytesIO()
    pil.new("RGB", (32, 32), color).save(buffer, "PNG")
    return Image.from_bytes(buffer.getvalue())


PROMPTS = [Prompt("How many?", (picture(color),)) for color in ("red", "blue", "lime")]
TARGETS = ["1", "2", "3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from rft_nano.model import build_untrained

    return build_untrained(tmp_path_factory.mktemp("toy"), seed=1)


@pytest.fixture
def policy(folder):
    return models.load(folder, device="cpu")


def test_a_model_that_sees_passes_and_says_how_much(policy):
    assert models.check_vision(policy, PROMPTS, TARGETS, min_shift=1e-4) > 1e-4


def test_a_model_whose_pixels_are_lost_is_stopped(policy):
    projector = policy.model.model.multi_modal_projector
    for parameter in projector.parameters():
        parameter.data.zero_()

    with pytest.raises(VisionError, match="does not see"):
        models.check_vision(policy, PROMPTS, TARGETS, min_shift=1e-4)


def test_the_vision_check_needs_images_that_differ(policy):
    with pytest.raises(VisionError, match="two samples with different images"):
        models.check_vision(policy, [PROMPTS[0]] * 2, TARGETS[:2], min_shift=1e-4)


def test_a_log_probability_counts_the_answer_and_nothing_else(policy):
    import torch

    prompt, target = PROMPTS[0], "4 red cubes"
    ids = models.encode(policy, [prompt], [target])
    start = models.encode(policy, [prompt])["input_ids"].shape[1]
    with torch.inference_mode():
        logits = policy.model.eval()(**ids).logits[0].log_softmax(-1)
    tokens = ids["input_ids"][0]
    by_hand = sum(logits[i - 1, tokens[i]].item() for i in range(start, len(tokens)))

    # padding by a longer neighbour must not change it
    batch = models.answer_logprobs(policy, [prompt, PROMPTS[1]], [target, target + " and more"])
    assert batch[0].item() == pytest.approx(by_hand, abs=1e-3)


def test_greedy_decoding_repeats_and_ignores_its_neighbours(policy):
    alone = models.generate(policy, PROMPTS[:1], 8)
    together = models.generate(policy, PROMPTS, 8)

    assert alone[0] == together[0]
    assert together[0].clipped == (together[0].tokens == 8)


def test_the_trainer_shows_the_policy_the_tokens_that_evaluation_shows(policy):
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = DataCollatorForVisionLanguageModeling(policy.processor, completion_only_loss=True)
    target = prompts.markup.write("one, two", "2")
    row = {
        "prompt": [{"role": "user", "content": PROMPTS[0].text}],
        "completion": [{"role": "assistant", "content": target}],
        "images": [image.open() for image in PROMPTS[0].images],
    }
    trained, shown = collate([row]), models.encode(policy, PROMPTS[:1], [target])

    assert trained["input_ids"].tolist() == shown["input_ids"].tolist()
    assert trained["pixel_values"].equal(shown["pixel_values"])


@pytest.mark.parametrize("text", ["2", "one, two\n\nthree", prompts.markup.write("one", "3")])
def test_tokens_can_be_counted_without_the_weights(policy, folder, text):
    processor, prompt = models.load_processor(folder), PROMPTS[0]
    end = {policy.tokenizer.eos_token_id}
    ids = models.encode(policy, [prompt], [text])["input_ids"][0].tolist()
    last = max(at for at, token in enumerate(ids) if token in end)  # a line break may follow
    whole = models.prompt_tokens(processor, prompt) + models.reply_tokens(processor, text)

    assert whole == last + 1


def test_freezing_the_vision_tower_leaves_the_rest_trainable(policy):
    whole = models.freeze(policy, [])
    rest = models.freeze(policy, ["vision"])

    assert 0 < rest < whole
    tower = [p for n, p in policy.model.named_parameters() if "vision_tower" in n]
    assert not any(p.requires_grad for p in tower)


def test_freezing_what_is_not_there_is_an_error(policy):
    bare = models.Policy(SimpleNamespace(named_parameters=list), policy.processor, "bare")
    with pytest.raises(ModelError, match="no part of that name"):
        models.freeze(bare, ["projector"])


@pytest.mark.parametrize("source", ["./no/such/folder", "/no/such/folder"])
def test_a_folder_without_a_model_is_refused_by_name(source):
    with pytest.raises(ModelError, match="no config"):
        models.load(source)
