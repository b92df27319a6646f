"""A tiny DeepSeek-VL: SigLIP, an aligner, Llama."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rftcore.testing.families.parts import TEXT, TOWER, content, ids_of, small_tokenizer, write

SIDE = 56  # pixels: 4 x 4 patches
BEGIN, END, PAD, IMAGE = "<|bos|>", "<|eos|>", "<|pad|>", "<image_placeholder>"
TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- set reply = message['role'] == 'assistant' -%}"
    "{{- message['role'] | capitalize + ': ' -}}"
    f"{content(IMAGE)}"
    "{{- eos_token if reply else '\n\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}"
)


def tiny_deepseek_vl(
    folder: str | Path,
    *,
    seed: int = 0,
    dtype: str = "float32",
    chat_template: str | None = TEMPLATE,
) -> Path:
    """Write a DeepSeek-VL: an image is 16 tokens, whatever its size."""
    from transformers import (
        DeepseekVLConfig,
        DeepseekVLForConditionalGeneration,
        DeepseekVLProcessor,
    )
    from transformers.models.deepseek_vl.image_processing_deepseek_vl import (
        DeepseekVLImageProcessor,
    )

    tokenizer = small_tokenizer(
        (BEGIN, END, PAD, IMAGE),
        pad=PAD,
        end=END,
        begin=BEGIN,
        writes_begin=True,
        names={"image_token": IMAGE},
    )
    processors: Any = (DeepseekVLProcessor, DeepseekVLImageProcessor)
    whole, of_images = processors
    processor = whole(
        of_images(size={"height": SIDE, "width": SIDE}),
        tokenizer,
        chat_template=chat_template,
        num_image_tokens=16,
    )
    tower = {"model_type": "siglip_vision_model", "image_size": SIDE, "vision_use_head": False}
    ids = ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD)
    config = DeepseekVLConfig(
        text_config={**TEXT, **ids, "model_type": "llama"},
        vision_config={**TOWER, **tower},
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
    )
    return write(
        *(folder, DeepseekVLForConditionalGeneration, config, processor),
        seed=seed,
        dtype=dtype,
        generation={"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD},
    )
