"""A tiny Llama 4: a mixture of experts, tiles of one size, pixels in bfloat16."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import TEXT, Parts, builder, content, ids_of, small_tokenizer

SIDE = 56  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
BEGIN, END, PAD = "<|begin_of_text|>", "<|eot|>", "<|finetune_right_pad|>"
MARKS = ("<|end_of_text|>", "<|header_start|>", "<|header_end|>", "<|eom|>")
IMAGES = (
    *("<|image|>", "<|image_start|>", "<|image_end|>", "<|patch|>"),
    *("<|tile_x_separator|>", "<|tile_y_separator|>"),
)
TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|header_start|>' + message['role'] + '<|header_end|>\n\n' -}}"
    f"{content('<|image|>')}"
    "{{- '<|eot|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|header_start|>assistant<|header_end|>\n\n' -}}"
    "{%- endif -%}"
)
ROPE = (("rope_type", "default"), ("rope_theta", 10000.0))


@builder(TEMPLATE)
def tiny_llama4(chat_template: str | None) -> Parts:
    """Write a Llama 4: the second of two text layers has two experts; an image is up to 4 tiles."""
    from transformers import Llama4Config, Llama4ForConditionalGeneration, Llama4Processor
    from transformers.models.llama4.image_processing_llama4 import Llama4ImageProcessor

    tokenizer = small_tokenizer(
        (BEGIN, END, PAD, *MARKS, *IMAGES), pad=PAD, end=END, begin=BEGIN, writes_begin=True
    )
    processors: Any = (Llama4Processor, Llama4ImageProcessor)
    whole, of_images = processors
    processor = whole(
        of_images(size={"height": SIDE, "width": SIDE}, max_patches=4),
        tokenizer,
        patch_size=14,
        chat_template=chat_template,
    )
    config = Llama4Config(
        text_config={**_text(), **ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD)},
        vision_config=_vision(),
        boi_token_index=tokenizer.convert_tokens_to_ids("<|image_start|>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<|image_end|>"),
        image_token_index=tokenizer.convert_tokens_to_ids("<|patch|>"),
    )
    return Parts(
        Llama4ForConditionalGeneration,
        config,
        processor,
        {
            "bos_token_id": BEGIN,
            "eos_token_id": ["<|end_of_text|>", "<|eom|>", END],
            "pad_token_id": PAD,
            "do_sample": True,
            "temperature": 0.6,
        },
    )


def _text() -> dict[str, Any]:
    return {
        **TEXT,
        "intermediate_size": 32,
        "intermediate_size_mlp": 128,
        "head_dim": 16,
        "num_local_experts": 2,
        "interleave_moe_layer_step": 2,
        "attention_chunk_size": 256,
        "no_rope_layer_interval": 2,
        "rope_parameters": dict(ROPE),
    }


def _vision() -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "vision_output_dim": 64,
        "image_size": SIDE,
        "patch_size": 14,
        "projector_input_dim": 64,
        "projector_output_dim": 64,
        "rope_parameters": dict(ROPE),
    }
