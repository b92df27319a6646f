"""The tiny models are what they claim to be: a family's own classes, plainly loaded."""

import pytest
from PIL import Image as pil

from rftcore.images import Image
from rftcore.models.encoding import apply_processor, render
from rftcore.models.loading import load_processor
from rftcore.testing.families import tiny_qwen2_vl
from rftcore.types import Prompt


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_qwen2_vl(tmp_path_factory.mktemp("tiny") / "qwen2_vl")


def photo(folder, width, height):
    path = folder / f"{width}x{height}.png"
    pil.new("RGB", (width, height), "red").save(path)
    return Image.from_path(path)


def test_tiny_qwen2_vl_loads_in_plain_transformers_with_the_real_classes(folder):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)

    assert type(model).__name__ == "Qwen2VLForConditionalGeneration"
    assert type(processor).__name__ == "Qwen2VLProcessor"


def test_tiny_qwen2_vl_reads_more_tokens_from_a_larger_image(folder, tmp_path):
    processor = load_processor(folder)
    sizes = [(28, 28), (56, 28), (56, 56), (84, 56)]
    shown = [Prompt("?", (photo(tmp_path, *size),)) for size in sizes]
    texts = [render(processor, prompt) for prompt in shown]
    made = [apply_processor(processor, [texts[0]], [[p.images[0].open()]]) for p in shown]
    counts = [each["input_ids"].shape[1] for each in made]

    assert [count - counts[0] for count in counts] == [0, 1, 3, 5]


@pytest.mark.parametrize("text", ["How many cubes?", "é 😀\n\ttabs", "<think>a</think> 1,300"])
def test_the_small_tokenizer_spells_any_text(folder, text):
    tokenizer = load_processor(folder).tokenizer

    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
