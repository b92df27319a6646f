"""A tiny Idefics, the first: image features enter by gated cross-attention, not as tokens."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.idefics import template
from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ids_of,
    small_tokenizer,
)

SIDE = 28  # pixels: 2 x 2 patches
TEMPLATE = template("")


@builder(TEMPLATE)
def tiny_idefics(chat_template: str | None) -> Parts:
    """Write an Idefics, every layer of which attends to the images."""
    from transformers import IdeficsConfig, IdeficsForVisionText2Text, IdeficsProcessor
    from transformers.models.idefics.image_processing_idefics import IdeficsImageProcessor

    classes: Any = (IdeficsProcessor, IdeficsImageProcessor)
    whole, of_images = classes
    marks = ("<fake_token_around_image>", "<image>", "<end_of_utterance>")
    tokenizer = small_tokenizer(
        ("<unk>", "<s>", "</s>", *marks), pad="<unk>", end="</s>", begin="<s>", writes_begin=True
    )
    processor = whole(of_images(image_size=SIDE), tokenizer)
    processor.chat_template = chat_template
    text = {name: value for name, value in TEXT.items() if name != "num_key_value_heads"}
    tower = {name: value for name, value in TOWER.items() if name != "hidden_size"}
    config = IdeficsConfig(
        **{**text, **ids_of(tokenizer, begin="<s>", end="</s>", pad="<unk>")},
        alpha_initializer="ones",  # of gates, which are closed at first otherwise
        vision_config={**tower, "embed_dim": 32, "image_size": SIDE},
    )
    generation = {
        "bos_token_id": "<s>",
        "eos_token_id": ["</s>", "<end_of_utterance>"],
        "pad_token_id": "<unk>",
    }
    return Parts(IdeficsForVisionText2Text, config, processor, generation)
