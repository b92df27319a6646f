"""A tiny InternVL in the form of the hub's `-hf` models: tiles of one size, and the whole image."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 56  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
NAMES = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{- '<IMG_CONTEXT>\n' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


@builder(TEMPLATE)
def tiny_internvl(chat_template: str | None) -> Parts:
    """Write an InternVL: an image is read whole and in up to 4 tiles, 4 tokens each."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLProcessor
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor
    from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor

    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *NAMES.values())
    tokenizer = small_tokenizer(specials, pad="<|endoftext|>", end="<|im_end|>", names=NAMES)
    size = {"height": SIDE, "width": SIDE}
    processors: Any = (InternVLProcessor, GotOcr2ImageProcessor, InternVLVideoProcessor)
    whole, of_images, of_videos = processors
    processor = whole(
        image_processor=of_images(size=size, crop_to_patches=True, max_patches=4),
        tokenizer=tokenizer,
        video_processor=of_videos(size=size),
        image_seq_length=4,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>")
    tower = {**TOWER, "image_size": [SIDE, SIDE], "patch_size": [14, 14]}
    config = InternVLConfig(
        text_config={**TEXT, **ids, "model_type": "qwen2"},
        vision_config=tower,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    return Parts(
        InternVLForConditionalGeneration,
        config,
        processor,
        ends_of("<|im_end|>", pad="<|endoftext|>"),
    )
