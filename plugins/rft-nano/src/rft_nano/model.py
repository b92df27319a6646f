"""The architecture of `nano`, and the folder that it is saved to.

A LLaVA model: a Swin tower turns a 128x128 image into 64 features, a two-layer
projector turns them into tokens, and a Qwen2 decoder reads these before the text.
Nothing is custom: the folder loads with plain transformers.

The first patches have 4 pixels, small enough for letters and for the edges of small
objects. They are merged twice, and the last stage attends to the whole image.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

IMAGE_SIZE = 128  # pixels; the image processor resizes every image to this square
FINEST, MERGES = 4, 2  # pixels of the first patches; how often four are merged
PATCH = FINEST * 2**MERGES  # pixels: what one token stands for
GRID = IMAGE_SIZE // PATCH
IMAGE_TOKENS = GRID * GRID
TOWER_DEPTHS, TOWER_HEADS = (1, 1, 4), (2, 4, 5)  # of each stage
FINEST_WIDTH = 40
TOWER_WIDTH = FINEST_WIDTH * 2**MERGES
TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS, TEXT_HIDDEN = 192, 4, 6, 512

DEFAULTS = Path(__file__).parent / "weights" / "rft.yaml"  # recipe defaults of every nano


def build_processor() -> LlavaProcessor:
    """Tokenizer and image processor in one, with the chat template."""
    from transformers import LlavaProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    from rft_nano.tokenizer import CHAT_TEMPLATE, IMAGE, build_tokenizer

    return LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=SiglipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}),
        tokenizer=build_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        image_token=IMAGE,
        chat_template=CHAT_TEMPLATE,
    )


def build_config(processor: Any) -> LlavaConfig:
    """The sizes above, and the token ids of `processor`."""
    from transformers import LlavaConfig, Qwen2Config, SwinConfig

    tokenizer = processor.tokenizer
    tower = SwinConfig(
        image_size=IMAGE_SIZE,
        patch_size=FINEST,
        embed_dim=FINEST_WIDTH,
        depths=TOWER_DEPTHS,
        num_heads=TOWER_HEADS,
        window_size=GRID,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        hidden_act="relu2",  # GELU takes a quarter of the tower's time on a CPU
        use_absolute_embeddings=True,
    )
    text = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=TEXT_HIDDEN,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        num_key_value_heads=TEXT_HEADS,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return LlavaConfig(
        vision_config=tower,
        text_config=text,
        image_token_index=processor.image_token_id,
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
        dtype="float32",
        **ends,
    )


def build_model(processor: Any, seed: int = 0) -> LlavaForConditionalGeneration:
    """The model with random weights; the same seed gives the same weights."""
    import torch
    from transformers import LlavaForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(build_config(processor))
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return model


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write what `from_pretrained` reads, and `rft.yaml`, each file atomically.

    The weights are stored as float16 and load as float32: half the file, and
    the rounding (2^-11 relative) changed no answer in any test.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        half = {
            key: value.to(torch.float16)
            for key, value in model.state_dict().items()
            if key != "lm_head.weight"  # tied to the embedding
        }
        with _no_bar():
            model.save_pretrained(name, state_dict=half)
        processor.save_pretrained(name)
        if not (folder / "rft.yaml").exists():
            shutil.copyfile(DEFAULTS, Path(name, "rft.yaml"))
        for file in sorted(Path(name).iterdir()):
            shutil.copyfile(file, folder / (file.name + ".part"))
            (folder / (file.name + ".part")).replace(folder / file.name)


@contextmanager
def _no_bar() -> Iterator[None]:
    """Disable transformers' progress bar, the first line of a `--smoke` run otherwise."""
    from transformers.utils import logging

    log: Any = logging  # untyped in transformers
    shown = log.is_progress_bar_enabled()
    log.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            log.enable_progress_bar()


def build_untrained(folder: Path, seed: int = 0) -> Path:
    """Write `nano` with random weights to a folder, and return the folder."""
    processor = build_processor()
    save(build_model(processor, seed), processor, Path(folder))
    return Path(folder)
