"""A tiny Kimi K2.5: DeepSeek-V3's mixture of experts after MoonViT."""

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

BEGIN, END, PAD = "[BOS]", "<|im_end|>", "[PAD]"
IMAGE, VIDEO = "<|media_pad|>", "<|kimi_k25_video_placeholder|>"
MEDIA = ("<|media_begin|>", "<|media_content|>", "<|media_end|>")
TURNS = ("<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>")
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_' + message['role'] + '|>' + message['role'] + '<|im_middle|>' -}}"
    f"{content('<|media_begin|>image<|media_content|><|media_pad|><|media_end|>')}"
    "{{- '<|im_end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|im_assistant|>assistant<|im_middle|>' -}}"
    "{%- endif -%}"
)


@builder(TEMPLATE)
def tiny_kimi_k25(chat_template: str | None) -> Parts:
    """Write a Kimi K2.5, whose keys and values are compressed (MLA)."""
    from transformers import Kimi_K25Config, Kimi_K25ForConditionalGeneration, Kimi_K25Processor
    from transformers.models.kimi_k25.image_processing_kimi_k25 import Kimi_K25ImageProcessor
    from transformers.models.kimi_k25.video_processing_kimi_k25 import Kimi_K25VideoProcessor

    classes: Any = (Kimi_K25Processor, Kimi_K25ImageProcessor, Kimi_K25VideoProcessor)
    whole, of_images, of_videos = classes
    tokenizer = small_tokenizer(
        (PAD, BEGIN, "[EOS]", END, IMAGE, VIDEO, *MEDIA, *TURNS),
        pad=PAD,
        end=END,
        begin=BEGIN,
        names={"image_token": IMAGE, "video_token": VIDEO},
    )
    processor = whole(
        of_images(max_patches=64), tokenizer, of_videos(), chat_template=chat_template
    )
    latent = {"kv_lora_rank": 16, "q_lora_rank": 32, "v_head_dim": 16}
    heads = {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "num_key_value_heads": 4}
    experts = {
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
    }
    ids = ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD)
    marks = {
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "vision_start_token_id": MEDIA[0],
        "vision_end_token_id": MEDIA[2],
    }
    config = Kimi_K25Config(
        text_config={**TEXT, **ids, **latent, **heads, **experts, "model_type": "deepseek_v3"},
        vision_config={**TOWER, "pos_emb_height": 8, "pos_emb_width": 8},
        projection_hidden_size=32,
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in marks.items()},
    )
    generation = ends_of(END, pad=PAD, begin=BEGIN)
    return Parts(Kimi_K25ForConditionalGeneration, config, processor, generation)
