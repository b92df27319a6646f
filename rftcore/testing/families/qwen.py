"""Tiny Qwen2-VL to Qwen3.5, dense or of experts: one token per 2 x 2 patches, any image size."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rftcore.testing.families.parts import TEXT, Parts, builder, ids_of, small_tokenizer

CHATML = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
# The families' own default system turn comes before a conversation that has none.
CHATML_WITH_SYSTEM = (
    "{%- if messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' -}}"
    "{%- endif -%}"
) + CHATML
# Qwen3.5 writes a think block into each answer, of the reasoning that the answer has or empty,
# and, where it is not to think, an empty one before a completion.
CHATML_WITH_THINKING = (
    "{%- macro text(content) -%}"
    "{%- if content is string -%}{{- content -}}{%- else -%}"
    "{%- for part in content -%}"
    "{%- if part['type'] == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
    "{%- for message in messages -%}"
    "{%- set whole = text(message['content']) | trim -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- set parts = whole.split('</think>') -%}"
    "{%- set reasoning = parts[0].split('<think>')[-1] if parts | length > 1 else '' -%}"
    "{{- '<think>\n' + reasoning | trim + '\n</think>\n\n' -}}"
    "{%- set whole = parts[-1].lstrip('\n') -%}"
    "{{- whole -}}"
    "{%- else -%}{{- whole -}}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|im_start|>assistant\n<think>\n' -}}"
    "{%- if enable_thinking is not defined or not enable_thinking -%}"
    "{{- '\n</think>\n\n' -}}"
    "{%- endif -%}"
    "{%- endif -%}"
)
SPECIALS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
MOST_PIXELS = 128 * 128  # of an image, height times width
ENDS = ("<|im_end|>", "<|endoftext|>")
VISION: Mapping[str, Any] = MappingProxyType({"depth": 2, "num_heads": 2, "temporal_patch_size": 2})
# The vision tower of those after Qwen2-VL. Qwen3's has a table of 8 x 8 positions.
TOWER: Mapping[str, Any] = MappingProxyType(
    {"hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 64}
)
OF_QWEN3: Mapping[str, Any] = MappingProxyType(
    {"patch_size": 16, "num_position_embeddings": 64, "spatial_merge_size": 2}
)

EXPERTS: Mapping[str, Any] = MappingProxyType(
    {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
)


@builder(CHATML)
def tiny_qwen2_vl(chat_template: str | None) -> Parts:
    """Write a Qwen2-VL of about 190,000 random parameters with its processor; return the folder.

    Images keep their aspect ratio, in multiples of 28 pixels and at most
    `MOST_PIXELS`, so their number of tokens varies.
    Raises: ImportError if torchvision is not installed, which its processor needs.
    """
    vision = {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2, "patch_size": 14}
    shape = Shape("Qwen2VL", rope_text([2, 3, 3]), vision)
    return shape_parts(shape, _generation(), chat_template)


@builder(CHATML_WITH_SYSTEM)
def tiny_qwen2_5_vl(chat_template: str | None) -> Parts:
    """Write a Qwen2.5-VL, whose first vision layer attends in windows of 2 x 2 tokens."""
    windows = {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    shape = Shape("Qwen2_5_VL", rope_text([2, 3, 3]), {**TOWER, **windows})
    generation = _generation(repetition_penalty=1.05, temperature=1e-6)
    return shape_parts(shape, generation, chat_template)


@builder(CHATML)
def tiny_qwen3_vl(chat_template: str | None) -> Parts:
    """Write a Qwen3-VL, whose first text layer also receives features of a vision layer."""
    text = {**rope_text([4, 2, 2]), "head_dim": 16}
    text["rope_parameters"]["mrope_interleaved"] = True
    vision = {**TOWER, **OF_QWEN3, "deepstack_visual_indexes": [0]}
    shape = Shape("Qwen3VL", text, vision, processor="Qwen3VL", videos="Qwen3VL")
    generation = _generation(temperature=0.7, top_p=0.8, top_k=20)
    return shape_parts(shape, generation, chat_template)


@builder(CHATML_WITH_THINKING)
def tiny_qwen3_5(chat_template: str | None) -> Parts:
    """Write a Qwen3.5, one of whose two text layers is linear attention."""
    text = linear_text()
    vision = {**TOWER, **OF_QWEN3}
    shape = Shape("Qwen3_5", text, vision, processor="Qwen3VL", videos="Qwen3VL")
    generation = _generation(temperature=0.6, top_p=0.95, top_k=20)
    return shape_parts(shape, generation, chat_template)


@builder(CHATML)
def tiny_qwen3_vl_moe(chat_template: str | None) -> Parts:
    """Write a Qwen3-VL with four experts in each text layer."""
    text = {**rope_text([4, 2, 2]), **EXPERTS, "head_dim": 16, "decoder_sparse_step": 1}
    text["rope_parameters"]["mrope_interleaved"] = True
    vision = {**TOWER, **OF_QWEN3, "deepstack_visual_indexes": [0]}
    shape = Shape("Qwen3VLMoe", text, vision, processor="Qwen3VL", videos="Qwen3VL")
    generation = _generation(temperature=0.7, top_p=0.8, top_k=20)
    return shape_parts(shape, generation, chat_template)


@builder(CHATML_WITH_THINKING)
def tiny_qwen3_5_moe(chat_template: str | None) -> Parts:
    """Write a Qwen3.5 with four experts, and one for all tokens, in each text layer."""
    text = {**linear_text(), **EXPERTS, "shared_expert_intermediate_size": 32}
    vision = {**TOWER, **OF_QWEN3}
    shape = Shape("Qwen3_5Moe", text, vision, processor="Qwen3VL", videos="Qwen3VL")
    generation = _generation(temperature=0.6, top_p=0.95, top_k=20)
    return shape_parts(shape, generation, chat_template)


def linear_text() -> dict[str, Any]:
    """A text configuration whose first layer is linear attention."""
    text = {
        **rope_text([2, 1, 1]),
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    }
    text["rope_parameters"] |= {"mrope_interleaved": True, "partial_rotary_factor": 0.25}
    return text


class Shape(NamedTuple):
    """A family by the name that its classes begin with, and its configurations.

    processor, videos: the names of its processor's classes, where they are of another family.
    own: other entries of its configuration.
    """

    name: str
    text: dict[str, Any]
    vision: dict[str, Any]
    processor: str = ""
    videos: str = "Qwen2VL"
    own: Mapping[str, Any] = MappingProxyType({})


def shape_parts(shape: Shape, generation: Mapping[str, Any], template: str | None) -> Parts:
    """The parts of a family with Qwen's image processor and tokens."""
    import transformers

    processor = _processor(shape, template)
    config = _config(getattr(transformers, f"{shape.name}Config"), processor, shape)
    model = getattr(transformers, f"{shape.name}ForConditionalGeneration")
    return Parts(model, config, processor, generation)


def _processor(shape: Shape, template: str | None) -> Any:
    import transformers
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

    whole: Any = getattr(transformers, f"{shape.processor or shape.name}Processor")
    of_videos: Any = getattr(transformers, f"{shape.videos}VideoProcessor")
    of_images: Any = Qwen2VLImageProcessor  # untyped in transformers
    patch = shape.vision["patch_size"]
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": MOST_PIXELS}
    tokenizer = small_tokenizer(SPECIALS, pad="<|endoftext|>", end="<|im_end|>")
    return whole(
        image_processor=of_images(size=size, patch_size=patch),
        tokenizer=tokenizer,
        video_processor=of_videos(size=size, patch_size=patch),
        chat_template=template,
    )


def rope_text(sections: list[int]) -> dict[str, Any]:
    """A text configuration; sections: frequencies of time, height and width."""
    rope = {"rope_type": "default", "mrope_section": sections, "rope_theta": 10000.0}
    return {**copy.deepcopy(dict(TEXT)), "rope_parameters": rope}


def _config(config: Any, processor: Any, shape: Shape) -> Any:
    tokenizer = processor.tokenizer
    ids = ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>")
    marks = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return config(
        text_config={**shape.text, **ids},
        vision_config={**VISION, **shape.vision},
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in marks.items()},
        **shape.own,
    )


def _generation(**settings: float) -> dict[str, Any]:
    sampling = {"do_sample": True, **settings} if settings else {}
    return {"eos_token_id": list(ENDS), "pad_token_id": "<|endoftext|>", **sampling}
