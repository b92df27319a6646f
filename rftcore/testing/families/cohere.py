"""Tiny Aya Vision and Command A Vision: Cohere 2 after SigLIP, tiles of one size."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    content,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 56  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
BEGIN, END, PAD = "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<PAD>"
TURNS = ("<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>")
REPLY = ("<|START_RESPONSE|>", "<|END_RESPONSE|>")
GENERATION = ends_of(END, pad=PAD, begin=BEGIN)
IMAGES: Mapping[str, str] = MappingProxyType(
    {
        "boi_token": "<|START_OF_IMG|>",
        "eoi_token": "<|END_OF_IMG|>",
        "image_token": "<|IMG_PATCH|>",
        "img_line_break_token": "<|IMG_LINE_BREAK|>",
    }
)
SIGLIP: Mapping[str, Any] = MappingProxyType(
    {**TOWER, "model_type": "siglip_vision_model", "image_size": SIDE, "vision_use_head": False}
)


def _template(image: str) -> str:
    return (
        "{{- bos_token -}}"
        "{%- for message in messages -%}"
        "{%- set reply = message['role'] == 'assistant' -%}"
        "{%- set role = 'CHATBOT' if reply else message['role'] | upper -%}"
        "{{- '<|START_OF_TURN_TOKEN|><|' + role + '_TOKEN|>' -}}"
        "{%- if reply -%}{{- '<|START_RESPONSE|>' -}}{%- endif -%}"
        f"{content(image)}"
        "{%- if reply -%}{{- '<|END_RESPONSE|>' -}}{%- endif -%}"
        "{{- '<|END_OF_TURN_TOKEN|>' -}}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}"
        "{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>' -}}"
        "{%- endif -%}"
    )


AYA, COMMAND = _template("<image>"), _template("<|IMG_PATCH|>")


@builder(AYA)
def tiny_aya_vision(chat_template: str | None) -> Parts:
    """Write an Aya Vision, whose processor pads by default."""
    from transformers import AyaVisionConfig, AyaVisionForConditionalGeneration, AyaVisionProcessor
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor

    processors: Any = (AyaVisionProcessor, GotOcr2ImageProcessor)
    whole, of_images = processors
    size = {"height": SIDE, "width": SIDE}
    tokenizer = _tokenizer("<image>", "TILE", "TILE_GLOBAL")
    processor = whole(
        of_images(size=size, crop_to_patches=True, max_patches=4, use_thumbnail=True),
        tokenizer,
        patch_size=14,
        img_size=SIDE,
        downsample_factor=2,
        chat_template=chat_template,
    )
    config = AyaVisionConfig(
        text_config=_text(tokenizer),
        vision_config=dict(SIGLIP),
        downsample_factor=2,
        image_token_index=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
    )
    return Parts(AyaVisionForConditionalGeneration, config, processor, GENERATION)


@builder(COMMAND)
def tiny_cohere2_vision(chat_template: str | None) -> Parts:
    """Write a Command A Vision: an image is up to 4 tiles, and the whole."""
    from transformers import (
        Cohere2VisionConfig,
        Cohere2VisionForConditionalGeneration,
        Cohere2VisionProcessor,
    )
    from transformers.models.cohere2_vision.image_processing_cohere2_vision import (
        Cohere2VisionImageProcessor,
    )

    processors: Any = (Cohere2VisionProcessor, Cohere2VisionImageProcessor)
    whole, of_images = processors
    tokenizer = _tokenizer(names=IMAGES)
    processor = whole(
        of_images(size={"height": SIDE, "width": SIDE}, max_patches=4, patch_size=2),
        tokenizer,
        chat_template=chat_template,
    )
    config = Cohere2VisionConfig(
        text_config=_text(tokenizer),
        vision_config=dict(SIGLIP),
        downsample_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
        alignment_intermediate_size=64,
    )
    return Parts(Cohere2VisionForConditionalGeneration, config, processor, GENERATION)


def _tokenizer(*more: str, names: Mapping[str, str] | None = None) -> Any:
    specials = (PAD, "<UNK>", BEGIN, END, *TURNS, *REPLY, *IMAGES.values(), *more)
    return small_tokenizer(specials, pad=PAD, end=END, begin=BEGIN, writes_begin=True, names=names)


def _text(tokenizer: Any) -> dict[str, Any]:
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 32}
    kind = {"model_type": "cohere2", "logit_scale": 1.0, "head_dim": 16}
    return {**TEXT, **ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD), **layers, **kind}
