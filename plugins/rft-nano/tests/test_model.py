"""nano is an ordinary model: plain transformers load it, and it sees."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from PIL import Image
from rft_nano import WEIGHTS, nano, rft_models, toy
from rft_nano.model import IMAGE_TOKENS, build_untrained

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module", params=["untrained", "shipped"])
def loaded(request, tmp_path_factory):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    shipped = request.param == "shipped"
    folder = WEIGHTS if shipped else build_untrained(tmp_path_factory.mktemp("nano"))
    return AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(
        folder
    )


def inputs(processor, *asks):
    """Each ask is (text, colors of its images)."""
    prompts = [
        processor.apply_chat_template(
            [
                {
                    "role": "user",
                    "content": [{"type": "image"}] * len(colors) + [{"type": "text", "text": text}],
                }
            ],
            add_generation_prompt=True,
        )
        for text, colors in asks
    ]
    images = [[Image.new("RGB", (144, 144), color) for color in colors] for _, colors in asks]
    return processor(text=prompts, images=images, return_tensors="pt", padding=True)


def test_it_loads_in_float32_with_its_own_padding(loaded):
    model, processor = loaded

    assert model.dtype == torch.float32
    assert model.generation_config.pad_token_id == processor.tokenizer.pad_token_id
    assert model.num_parameters() < 4_000_000


def test_the_image_reaches_the_logits(loaded):
    model, processor = loaded
    with torch.no_grad():
        red, blue = (
            model(**inputs(processor, ("What is shown?", [c]))).logits for c in ("red", "blue")
        )

    assert (red[0, -1] - blue[0, -1]).abs().max() > 1e-4


def test_each_image_takes_its_tokens_and_the_second_matters(loaded):
    model, processor = loaded
    one, two = (inputs(processor, ("What changed?", ["red", c])) for c in ("green", "blue"))
    with torch.no_grad():
        moved = (model(**one).logits - model(**two).logits)[0, -1].abs().max()

    assert (one["input_ids"] == processor.image_token_id).sum() == 2 * IMAGE_TOKENS
    assert moved > 1e-4


def test_a_batch_with_left_padding_answers_as_one_by_one(loaded):
    model, processor = loaded
    asks = [
        ("What is shown?", ["red"]),
        ("List all the objects from left to right, please.", ["blue"]),
    ]
    batch = inputs(processor, *asks)
    together = model.generate(**batch, max_new_tokens=6, do_sample=False)[
        :, batch["input_ids"].shape[1] :
    ]
    for row, ask in zip(together, asks, strict=True):
        single = inputs(processor, ask)
        alone = model.generate(**single, max_new_tokens=6, do_sample=False, use_cache=False)
        text = processor.decode(alone[0, single["input_ids"].shape[1] :], skip_special_tokens=True)
        assert processor.decode(row, skip_special_tokens=True) == text


def test_the_plugin_offers_nano_without_loading_torch():
    code = "import sys, rft_nano; print(rft_nano.nano()); assert 'torch' not in sys.modules"

    assert rft_models()["nano"] is nano
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(WEIGHTS)


def test_two_processes_that_make_toy_at_once_both_get_a_whole_one(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    both = Barrier(2, timeout=10)

    def build(folder):
        folder.mkdir()
        both.wait()  # neither is finished before the other has begun
        (folder / "config.json").write_text("{}")
        return folder

    monkeypatch.setattr("rft_nano.model.build_untrained", build)
    with ThreadPoolExecutor(2) as pool:
        made = {found.result() for found in [pool.submit(toy), pool.submit(toy)]}
    assert [[file.name for file in folder.iterdir()] for folder in made] == [["config.json"]]
    assert [*tmp_path.rglob("config.json")] == [folder / "config.json" for folder in made]


def test_the_shipped_folder_is_small_and_has_the_recipe_defaults():
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 8_000_000
    assert {"config.json", "rft.yaml"} <= {file.name for file in WEIGHTS.iterdir()}
    assert (WEIGHTS / "rft.yaml").read_text() == (toy() / "rft.yaml").read_text()
