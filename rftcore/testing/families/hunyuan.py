"""A tiny HunYuan-VL: a token ends each line of patches, and two enclose the image."""

from __future__ import annotations

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

BEGIN, END, PAD = "<|hy_begin_of_sentence|>", "<|hy_end|>", "<|hy_pad|>"
NAMES = {
    "image_token": "<|hy_image_pad|>",
    "image_start_token": "<|hy_image_start|>",
    "image_end_token": "<|hy_image_end|>",
}
IMAGE = "".join(NAMES[f"image_{part}token"] for part in ("start_", "", "end_"))
TEMPLATE = (
    f"{{{{- '{BEGIN}' -}}}}"
    "{%- for message in messages -%}"
    f"{content(IMAGE)}"
    "{{- '<|hy_user|>' if message['role'] == 'user' else '<|hy_end|>' -}}"
    "{%- endfor -%}"
)


@builder(TEMPLATE)
def tiny_hunyuan_vl(chat_template: str | None) -> Parts:
    """Write a HunYuan-VL: one token per 32 x 32 pixels, images of any shape."""
    from transformers import (
        HunYuanVLConfig,
        HunYuanVLForConditionalGeneration,
        HunYuanVLProcessor,
    )
    from transformers.models.hunyuan_vl.image_processing_hunyuan_vl import HunYuanVLImageProcessor

    classes: Any = (HunYuanVLProcessor, HunYuanVLImageProcessor)
    whole, of_images = classes
    tokenizer = small_tokenizer(
        (PAD, BEGIN, END, "<|hy_user|>", "<|hy_newline|>", *NAMES.values()),
        pad=PAD,
        end=END,
        begin=BEGIN,
        names=NAMES,
    )
    size = {"shortest_edge": 32 * 32, "longest_edge": 128 * 128}
    processor = whole(of_images(size=size), tokenizer, chat_template=chat_template)
    ids = ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2, 2]}
    marks = {
        "image_token_id": NAMES["image_token"],
        "im_start_id": NAMES["image_start_token"],
        "im_end_id": NAMES["image_end_token"],
        "im_newline_id": "<|hy_newline|>",
    }
    config = HunYuanVLConfig(
        text_config={**TEXT, **ids, "head_dim": 16, "rope_parameters": rope},
        vision_config={
            **TOWER,
            "patch_size": 16,
            "out_hidden_size": 64,
            "text_hidden_size": 64,
            "max_image_size": 128,
            "img_max_token_num": 64,
        },
        **{name: tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()},
    )
    generation = ends_of(END, pad=PAD, begin=BEGIN)
    return Parts(HunYuanVLForConditionalGeneration, config, processor, generation)
