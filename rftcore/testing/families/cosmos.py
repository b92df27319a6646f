"""Tiny Cosmos 3: Omni, which is Qwen3-VL's reasoner, and Edge, whose tower reads any shape."""

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
from rftcore.testing.families.qwen import (
    CHATML,
    ENDS,
    MOST_PIXELS,
    OF_QWEN3,
    SPECIALS,
    Shape,
    rope_text,
    shape_parts,
)
from rftcore.testing.families.qwen import TOWER as QWEN_TOWER


@builder(CHATML)
def tiny_cosmos3_omni(chat_template: str | None) -> Parts:
    """Write a Cosmos 3 Omni, of which transformers has the part that reads and writes text."""
    text = {**rope_text([4, 2, 2]), "head_dim": 16}
    text["rope_parameters"]["mrope_interleaved"] = True
    vision = {**QWEN_TOWER, **OF_QWEN3, "deepstack_visual_indexes": [0]}
    shape = Shape("Cosmos3Omni", text, vision, processor="Qwen3VL", videos="Qwen3VL")
    return shape_parts(shape, ends_of(list(ENDS), pad="<|endoftext|>"), chat_template)


@builder(CHATML)
def tiny_cosmos3_edge(chat_template: str | None) -> Parts:
    """Write a Cosmos 3 Edge: one token per 32 x 32 pixels, images of any shape."""
    from transformers import (
        Cosmos3EdgeConfig,
        Cosmos3EdgeForConditionalGeneration,
        Cosmos3EdgeProcessor,
    )
    from transformers.models.cosmos3_edge.image_processing_cosmos3_edge import (
        Cosmos3EdgeImageProcessor,
    )
    from transformers.models.cosmos3_edge.video_processing_cosmos3_edge import (
        Cosmos3EdgeVideoProcessor,
    )

    classes: Any = (Cosmos3EdgeProcessor, Cosmos3EdgeImageProcessor, Cosmos3EdgeVideoProcessor)
    whole, of_images, of_videos = classes
    tokenizer = small_tokenizer(SPECIALS, pad="<|endoftext|>", end="<|im_end|>")
    size = {"shortest_edge": 32 * 32, "longest_edge": MOST_PIXELS}
    processor = whole(
        of_images(size=size), tokenizer, of_videos(size=size), chat_template=chat_template
    )
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
    marks = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    ids = ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>")
    config = Cosmos3EdgeConfig(
        text_config={**TEXT, **ids, "head_dim": 16, "rope_parameters": rope},
        vision_config={**TOWER, "patch_size": 16, "num_patches": 64},
        projector_hidden_size=64,
        **{name: tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()},
    )
    generation = ends_of(list(ENDS), pad="<|endoftext|>")
    return Parts(Cosmos3EdgeForConditionalGeneration, config, processor, generation)
