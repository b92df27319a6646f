"""A tiny MiniMax M3: a mixture of experts, one layer of which chooses blocks of keys."""

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

BEGIN, END, PAD = "]~!b[", "[e~[", "]!p~["
IMAGE, VIDEO = "]<]image[>[", "]<]video[>["
VISION = ("]<]start of image[>[", "]<]end of image[>[")
TEMPLATE = (
    f"{{{{- '{BEGIN}' -}}}}"
    "{%- for message in messages -%}"
    "{{- ']~b]' + ('ai' if message['role'] == 'assistant' else message['role']) + '\n' -}}"
    f"{content(IMAGE)}"
    "{{- '[e~[\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- ']~b]ai\n' -}}{%- endif -%}"
)


@builder(TEMPLATE)
def tiny_minimax_m3_vl(chat_template: str | None) -> Parts:
    """Write a MiniMax M3, of which a later layer attends to the 2 best of all blocks of 8 keys."""
    from transformers import (
        MiniMaxM3SparseForConditionalGeneration,
        MiniMaxM3VLConfig,
        MiniMaxM3VLProcessor,
    )
    from transformers.models.minimax_m3_vl.image_processing_minimax_m3_vl import (
        MiniMaxM3VLImageProcessor,
    )
    from transformers.models.minimax_m3_vl.video_processing_minimax_m3_vl import (
        MiniMaxM3VLVideoProcessor,
    )

    classes: Any = (MiniMaxM3VLProcessor, MiniMaxM3VLImageProcessor, MiniMaxM3VLVideoProcessor)
    whole, of_images, of_videos = classes
    specials = (PAD, BEGIN, END, "]~b]", IMAGE, VIDEO, *VISION)
    tokenizer = small_tokenizer(specials, pad=PAD, end=END, begin=BEGIN)
    size = {"shortest_edge": 28 * 28, "longest_edge": 84 * 84}
    processor = whole(of_images(size=size), tokenizer, of_videos(), chat_template=chat_template)
    text = {
        **TEXT,
        **ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD),
        "head_dim": 16,
        "rotary_dim": 8,
        "intermediate_size": 32,
        "dense_intermediate_size": 64,
        "shared_intermediate_size": 32,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "mlp_layer_types": ["dense", "sparse"],
        "layer_types": ["full_attention", "minimax_m3_sparse"],
        "index_n_heads": 2,
        "index_head_dim": 16,
        "index_block_size": 8,
        "index_topk_blocks": 2,
    }
    config = MiniMaxM3VLConfig(
        text_config=text,
        vision_config={**TOWER, "image_size": 84},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        video_token_index=tokenizer.convert_tokens_to_ids(VIDEO),
        projector_hidden_size=64,
    )
    generation = ends_of(END, pad=PAD, begin=BEGIN)
    return Parts(MiniMaxM3SparseForConditionalGeneration, config, processor, generation)
