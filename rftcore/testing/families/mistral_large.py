"""A tiny Mistral Large 4: compressed keys and values, an indexer, experts, after Pixtral."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.mistral import IMAGES, MARKS, SIDE, TEMPLATE
from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ends_of,
    ids_of,
    small_tokenizer,
)


@builder(TEMPLATE)
def tiny_mistral_large4(chat_template: str | None) -> Parts:
    """Write a Mistral Large 4, with Mistral 3's processor."""
    from transformers import (
        MistralLarge4Config,
        MistralLarge4ForConditionalGeneration,
        PixtralProcessor,
    )
    from transformers.models.pixtral.image_processing_pixtral import PixtralImageProcessor

    specials = ("<unk>", "<s>", "</s>", "<pad>", *MARKS, *IMAGES)
    tokenizer = small_tokenizer(specials, pad="<pad>", end="</s>", begin="<s>", writes_begin=True)
    classes: Any = (PixtralProcessor, PixtralImageProcessor)
    whole, of_images = classes
    processor = whole(
        of_images(size={"longest_edge": SIDE}, patch_size=14),
        tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=chat_template,
    )
    text = {
        **TEXT,
        **ids_of(tokenizer, begin="<s>", end="</s>", pad="<pad>"),
        "num_key_value_heads": 4,
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "kv_lora_rank": 16,
        "q_lora_rank": 32,
        "v_head_dim": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    tower = {**TOWER, "model_type": "pixtral", "image_size": SIDE}
    config = MistralLarge4Config(
        text_config=text,
        vision_config={**tower, "rope_parameters": {"rope_type": "axial", "rope_theta": 10000.0}},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    generation = ends_of("</s>", pad="<pad>", begin="<s>")
    return Parts(MistralLarge4ForConditionalGeneration, config, processor, generation)
