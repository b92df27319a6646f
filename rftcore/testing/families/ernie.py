"""A tiny Ernie 4.5 VL: text and images have experts of their own."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    Parts,
    builder,
    content,
    ends_of,
    ids_of,
    small_tokenizer,
)

BEGIN, END, PAD = "<|begin_of_sentence|>", "</s>", "<unk>"
NAMES = {
    "image_token": "<|IMAGE_PLACEHOLDER|>",
    "image_start_token": "<|IMAGE_START|>",
    "image_end_token": "<|IMAGE_END|>",
    "video_token": "<|VIDEO_PLACEHOLDER|>",
    "video_start_token": "<|VIDEO_START|>",
    "video_end_token": "<|VIDEO_END|>",
}
TEMPLATE = (
    f"{{{{- '{BEGIN}' -}}}}"
    "{%- for message in messages -%}"
    "{{- ('User' if message['role'] == 'user' else 'Assistant') + ': ' -}}"
    f"{content('Picture: <|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>')}"
    f"{{{{- '{END}' if message['role'] == 'assistant' else '\n' -}}}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'Assistant: ' -}}{%- endif -%}"
)


@builder(TEMPLATE)
def tiny_ernie4_5_vl_moe(chat_template: str | None) -> Parts:
    """Write an Ernie 4.5 VL, whose second text layer has four experts of each kind."""
    from transformers import (
        Ernie4_5_VLMoeConfig,
        Ernie4_5_VLMoeForConditionalGeneration,
        Ernie4_5_VLMoeImageProcessor,
        Ernie4_5_VLMoeProcessor,
        Ernie4_5_VLMoeVideoProcessor,
    )

    specials = (PAD, BEGIN, END, *NAMES.values())
    tokenizer = small_tokenizer(specials, pad=PAD, end=END, begin=BEGIN, names=NAMES)
    classes: Any = (
        *(Ernie4_5_VLMoeProcessor, Ernie4_5_VLMoeImageProcessor),
        Ernie4_5_VLMoeVideoProcessor,
    )
    whole, of_images, of_videos = classes
    size = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    processor = whole(
        of_images(size=size),
        tokenizer,
        of_videos(size=size, draw_on_frames=False),
        chat_template=chat_template,
    )
    text = {
        **TEXT,
        **ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD),
        "moe_num_experts": 4,
        "moe_k": 2,
        "moe_num_shared_experts": 1,
        "moe_intermediate_size": [32, 16],
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [3, 3, 2],
        },
    }
    config = Ernie4_5_VLMoeConfig(
        text_config=text,
        vision_config={"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64},
        **{f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in NAMES.items()},
    )
    generation = ends_of(END, pad=PAD, begin=BEGIN)
    return Parts(Ernie4_5_VLMoeForConditionalGeneration, config, processor, generation)
