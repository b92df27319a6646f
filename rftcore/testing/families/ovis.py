"""A tiny Ovis2: an image is probabilities over a table of visual embeddings."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    Parts,
    builder,
    chatml,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 56  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
MARKS = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
TEMPLATE = chatml("<image>\n")


@builder(TEMPLATE)
def tiny_ovis2(chat_template: str | None) -> Parts:
    """Write an Ovis2: an image is up to 4 tiles, and the whole, 4 tokens each."""
    from transformers import Ovis2Config, Ovis2ForConditionalGeneration, Ovis2Processor
    from transformers.models.ovis2.image_processing_ovis2 import Ovis2ImageProcessor

    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<IMG_ATOM>", *MARKS)
    tokenizer = small_tokenizer(specials, pad="<|endoftext|>", end="<|im_end|>")
    processors: Any = (Ovis2Processor, Ovis2ImageProcessor)
    whole, of_images = processors
    size = {"height": SIDE, "width": SIDE}
    processor = whole(
        of_images(size=size, crop_to_patches=True, max_patches=4),
        tokenizer,
        image_seq_length=4,
        chat_template=chat_template,
    )
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": 14,
        "vocab_size": 32,
        "hidden_stride": 2,
        "num_visual_indicator_tokens": len(MARKS),
    }
    ids = ids_of(tokenizer, begin=None, end="<|im_end|>", pad="<|endoftext|>")
    config = Ovis2Config(
        text_config={**TEXT, **ids, "model_type": "qwen2"},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=[tokenizer.convert_tokens_to_ids(mark) for mark in MARKS],
        vocab_size=len(tokenizer),
        hidden_size=64,
        tie_word_embeddings=False,
    )
    ends = ["<|im_end|>", "<|endoftext|>"]
    return Parts(
        Ovis2ForConditionalGeneration,
        config,
        processor,
        ends_of(ends, pad="<|endoftext|>"),
    )
