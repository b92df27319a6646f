"""A tiny LFM2-VL: convolutions beside attention, tiles or one image of any shape."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    chatml,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 56  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
BEGIN, END, PAD = "<|startoftext|>", "<|im_end|>", "<|pad|>"
PLACES = tuple(f"<|img_row_{row}_col_{column}|>" for row in range(1, 5) for column in range(1, 5))
IMAGES: Mapping[str, str] = MappingProxyType(
    {
        "image_token": "<image>",
        "image_start_token": "<|image_start|>",
        "image_end_token": "<|image_end|>",
        "image_thumbnail_token": "<|img_thumbnail|>",
    }
)
TEMPLATE = chatml("<image>", BEGIN)


@builder(TEMPLATE)
def tiny_lfm2_vl(chat_template: str | None) -> Parts:
    """Write an LFM2-VL: an image is at most 8 tokens, or up to 4 tiles and the whole."""
    from transformers import Lfm2VlConfig, Lfm2VlForConditionalGeneration, Lfm2VlProcessor
    from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor

    tokenizer = small_tokenizer(
        (PAD, BEGIN, "<|endoftext|>", "<|im_start|>", END, *IMAGES.values(), *PLACES),
        pad=PAD,
        end=END,
        begin=BEGIN,
        writes_begin=True,
        names=IMAGES,
    )
    processors: Any = (Lfm2VlProcessor, Lfm2VlImageProcessor)
    whole, of_images = processors
    images = of_images(
        encoder_patch_size=14,
        tile_size=SIDE,
        size={"height": SIDE, "width": SIDE},
        min_image_tokens=2,
        max_image_tokens=8,
        max_tiles=4,
    )
    kind = {"model_type": "lfm2", "conv_L_cache": 3, "block_auto_adjust_ff_dim": False}
    layers = {"layer_types": ["conv", "full_attention"]}
    ids = ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD)
    tower = {"model_type": "siglip2_vision_model", "num_patches": 64, "vision_use_head": False}
    config = Lfm2VlConfig(
        text_config={**TEXT, **ids, **kind, **layers},
        vision_config={**TOWER, **tower},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        projector_hidden_size=64,
    )
    processor = whole(images, tokenizer, chat_template=chat_template)
    generation = ends_of(END, pad=PAD, begin=BEGIN)
    return Parts(Lfm2VlForConditionalGeneration, config, processor, generation)
