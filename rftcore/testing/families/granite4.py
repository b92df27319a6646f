"""A tiny Granite 4 Vision: features of several layers of SigLIP are added in layers of Granite."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.granite import END, PAD, ROLES, TEMPLATE
from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 16  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
GRID = ((SIDE, 2 * SIDE), (2 * SIDE, SIDE), (2 * SIDE, 2 * SIDE))


@builder(TEMPLATE)
def tiny_granite4_vision(chat_template: str | None) -> Parts:
    """Write a Granite 4 Vision: an image is read whole and in up to 2 x 2 tiles."""
    from transformers import (
        Granite4VisionConfig,
        Granite4VisionForConditionalGeneration,
        Granite4VisionProcessor,
    )
    from transformers.models.llava_next.image_processing_llava_next import LlavaNextImageProcessor

    classes: Any = (Granite4VisionProcessor, LlavaNextImageProcessor)
    whole, of_images = classes
    tokenizer = small_tokenizer((END, PAD, *ROLES, "<image>"), pad=PAD, end=END, begin=END)
    size = {"height": SIDE, "width": SIDE}
    grid = [list(one) for one in GRID]
    processor = whole(
        of_images(size=size, crop_size=size, image_grid_pinpoints=grid),
        tokenizer,
        patch_size=4,
        vision_feature_select_strategy="full",
        downsample_rate="1/2",
        chat_template=chat_template,
    )
    small = {"hidden_size": 32, "intermediate_size": 64}  # the resamplers are most of this model
    # ... which have one head per 64 numbers of the tower
    tower = {"hidden_size": 64, "intermediate_size": 16, "num_hidden_layers": 1, "patch_size": 4}
    kind = {"model_type": "siglip_vision_model", "vision_use_head": False}
    config = Granite4VisionConfig(
        text_config={**TEXT, **ids_of(tokenizer, begin=END, end=END, pad=PAD), **small},
        vision_config={**TOWER, **kind, **tower, "image_size": SIDE},
        qformer_config={
            "model_type": "blip_2_qformer",
            "num_hidden_layers": 1,
            "intermediate_size": 8,
            "cross_attention_frequency": 1,
            "use_qformer_text_input": False,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_select_strategy="full",
        image_grid_pinpoints=grid,
        downsample_rate="1/2",
        projector_dropout=0.0,
        deepstack_layer_map=[[-1, 0]],
        spatial_target_layers=[1],
    )
    generation = ends_of(END, pad=PAD, begin=END)
    return Parts(Granite4VisionForConditionalGeneration, config, processor, generation)
