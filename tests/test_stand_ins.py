"""Images of families that TRL does not know reach the loss of GRPO whole, whatever TRL does."""

import copy
from types import SimpleNamespace

import pytest
import torch
from PIL import Image as pil

from rftcore.errors import ModelError
from rftcore.models.encoding import apply_processor
from rftcore.models.loading import load_model
from rftcore.models.processors import load_processor
from rftcore.training.stand_ins import StandIns, are_stand_ins, prompts_of

NEEDED = {
    "llava_onevision": ["batch_num_images"],
    "deepseek_vl_hybrid": ["high_res_pixel_values"],
    "aria": ["pixel_mask"],
}
OF_TEXT = ("input_ids", "attention_mask")
every = pytest.mark.parametrize("family", NEEDED)


def batch(processor, *prompts):
    """Texts and images of prompts, as TRL passes them: one color per image."""
    mark = processor.image_token
    texts = [f"{mark * len(colors)}How many?" for colors in prompts]
    return texts, [
        [pil.new("RGB", (60 + 20 * len(c), 64), c) for c in colors] for colors in prompts
    ]


def call(processor, texts, images):
    return processor(text=texts, images=images, padding=True, return_tensors="pt")


def standing(family, tiny):
    plain = load_processor(tiny(family))
    images = StandIns(plain)
    return plain, images, images.processor(plain)


def read(images, folder, values):
    """What the model's own forward is called with, for these stand-ins."""
    seen, model = {}, load_model(folder, device="cpu").model
    model.forward = lambda **inputs: seen.update(inputs)
    images.install(SimpleNamespace(model=model, ref_model=None))
    model.forward(pixel_values=values)
    return seen


@every
def test_a_model_reads_what_its_processor_makes_of_the_prompts_of_a_call(family, tiny):
    plain, images, processor = standing(family, tiny)
    texts, shown = batch(plain, ("red", "blue"), ("green",), ("white", "red"))
    values = call(processor, texts, shown)["pixel_values"]
    expected = apply_processor(plain, [texts[2], texts[0]], [shown[2], shown[0]])
    found = read(images, tiny(family), values[[3, 4, 0, 1]])

    assert are_stand_ins(values)
    assert images.names == NEEDED[family]
    assert {*found} >= {*NEEDED[family], "pixel_values"}
    assert all(torch.equal(found[name], expected[name]) for name in found)


@every
def test_rollouts_get_all_fields_and_the_loss_stand_ins_alone(family, tiny):
    plain, _, processor = standing(family, tiny)
    parts = [{"type": "image", "image": pil.new("RGB", (64, 64))}, {"type": "text", "text": "?"}]
    options = {"tokenize": True, "return_dict": True, "add_generation_prompt": True}
    made = processor.apply_chat_template([[{"role": "user", "content": parts}]], **options)
    texts, shown = batch(plain, ("red",))

    assert {*NEEDED[family]} <= {*made}
    assert {*call(processor, texts, shown)} == {*OF_TEXT, "pixel_values"}


def test_equal_prompts_have_one_number_and_one_pixel_makes_another(tiny):
    plain, _, processor = standing("aria", tiny)
    texts, shown = batch(plain, ("red",), ("red",), ("red",))
    shown[2][0].putpixel((0, 0), (254, 0, 0))
    numbers = [number for number, _ in prompts_of(call(processor, texts, shown)["pixel_values"])]

    assert numbers[0] == numbers[1] != numbers[2]


def test_a_prompt_of_an_earlier_batch_is_an_error_that_names_the_fields(tiny):
    plain, images, processor = standing("aria", tiny)
    old, _ = (call(processor, *batch(plain, (color,)))["pixel_values"] for color in ("red", "blue"))

    with pytest.raises(ModelError, match="pixel_mask: 1 prompts of this step are not of the batch"):
        read(images, tiny("aria"), old)


def test_a_part_of_the_images_of_a_prompt_is_an_error(tiny):
    plain, _, processor = standing("aria", tiny)
    values = call(processor, *batch(plain, ("red", "blue")))["pixel_values"]

    with pytest.raises(ModelError, match="TRL has divided the 2 images of a prompt"):
        prompts_of(values[:1])


def test_a_processor_that_makes_stand_ins_is_saved_as_the_plain_one(tiny, tmp_path):
    plain, _, processor = standing("aria", tiny)
    call(processor, *batch(plain, ("red",)))
    for name, each in (("plain", plain), ("standing", copy.copy(processor))):
        each.save_pretrained(tmp_path / name)
    files = [sorted((tmp_path / name).iterdir()) for name in ("plain", "standing")]

    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


@pytest.mark.parametrize("family", ["qwen2_vl", "llava", "idefics3", "internvl", "gemma3"])
def test_what_trl_passes_on_by_itself_has_no_stand_ins(family, tiny):
    assert StandIns(load_processor(tiny(family))).names == []


def test_stand_ins_that_were_padded_are_an_error_and_no_endless_loop():
    with pytest.raises(ModelError, match="TRL has divided the 0 images"):
        prompts_of(torch.tensor([[5, 1], [0, 0]]))
