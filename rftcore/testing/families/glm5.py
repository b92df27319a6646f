"""A tiny GLM-5.3: one layer of linear and one of indexed attention, in several streams."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.glm import END, IMAGES, ROLES, TEMPLATE, VISION
from rftcore.testing.families.parts import TEXT, Parts, builder, ids_of, small_tokenizer


@builder(TEMPLATE)
def tiny_glm5_next(chat_template: str | None) -> Parts:
    """Write a GLM-5.3, whose indexer chooses the tokens that a layer attends to."""
    from transformers import Glm5NextConfig, Glm5NextForConditionalGeneration, Glm5NextProcessor
    from transformers.models.glm5_next.image_processing_glm5_next import Glm5NextImageProcessor
    from transformers.models.glm5_next.video_processing_glm5_next import Glm5NextVideoProcessor

    classes: Any = (Glm5NextProcessor, Glm5NextImageProcessor, Glm5NextVideoProcessor)
    whole, of_images, of_videos = classes
    names = {"image_token": "<|image|>", "video_token": "<|video|>"}
    specials = (END, "[gMASK]", "<sop>", *ROLES, *IMAGES.values())
    tokenizer = small_tokenizer(specials, pad=END, end=END, names=names)
    processor = whole(
        of_images(min_image_tokens=4, max_image_tokens=16),
        tokenizer,
        of_videos(),
        chat_template=chat_template,
    )
    text = {
        **TEXT,
        **ids_of(tokenizer, begin=None, end=END, pad=END),
        "num_key_value_heads": 4,
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "mlp_layer_types": ["dense", "sparse"],
        "layer_types": ["linear_attention", "indexed_attention"],
        "indexer_types": ["full", "full"],
        "kv_lora_rank": 16,
        "q_lora_rank": 32,
        "v_head_dim": 16,
        "qk_nope_head_dim": 16,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "linear_head_dim": 16,
        "linear_num_heads": 2,
        "hc_mult": 2,
    }
    marks = {name.replace("vision_", "image_"): mark for name, mark in IMAGES.items()}
    config = Glm5NextConfig(
        text_config=text,
        vision_config={**VISION, "projection_intermediate_size": 64},
        **{name: tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()},
    )
    generation = {"eos_token_id": [END, "<|user|>", "<|observation|>"], "pad_token_id": END}
    return Parts(Glm5NextForConditionalGeneration, config, processor, generation)
