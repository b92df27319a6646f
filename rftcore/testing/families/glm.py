"""Tiny GLM-4.1V, 4.5V, 4.6V and GLM-OCR: a turn ends where the next begins, with no token."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    Parts,
    builder,
    content,
    ids_of,
    small_tokenizer,
)

ROLES = ("<|user|>", "<|assistant|>", "<|system|>", "<|observation|>")
IMAGES: Mapping[str, str] = MappingProxyType(
    {
        "image_token_id": "<|image|>",
        "video_token_id": "<|video|>",
        "image_start_token_id": "<|begin_of_image|>",
        "image_end_token_id": "<|end_of_image|>",
        "video_start_token_id": "<|begin_of_video|>",
        "video_end_token_id": "<|end_of_video|>",
    }
)
END = "<|endoftext|>"
TEMPLATE = (
    "{{- '[gMASK]<sop>\n' -}}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>\n' -}}"
    f"{content('<|begin_of_image|><|image|><|end_of_image|>')}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%}"
)
ROPE: Mapping[str, Any] = MappingProxyType(
    {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 3, 3],
        "partial_rotary_factor": 1.0,
    }
)


VISION: Mapping[str, Any] = MappingProxyType(
    {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "image_size": 112,
        "patch_size": 14,
        "out_hidden_size": 64,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
)


@builder(TEMPLATE)
def tiny_glm4v(chat_template: str | None) -> Parts:
    """Write a GLM-4.1V: one token per 28 x 28 pixels, images of any shape."""
    return _parts("Glm4v", "Glm4v", {}, chat_template)


@builder(TEMPLATE)
def tiny_glm4v_moe(chat_template: str | None) -> Parts:
    """Write a GLM-4.5V, whose second text layer has four experts, and no `num_experts`."""
    experts = {
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
        "head_dim": 16,
    }
    return _parts("Glm4vMoe", "Glm4v", experts, chat_template)


@builder(TEMPLATE)
def tiny_glm46v(chat_template: str | None) -> Parts:
    """Write a GLM-4.6V Flash: GLM-4.1V's model with a processor of its own."""
    return _parts("Glm46V", "Glm46V", {}, chat_template)


@builder(TEMPLATE)
def tiny_glmga(chat_template: str | None) -> Parts:
    """Write a GLM-GA: GLM-4.6V's model and processor, with an image processor of its own."""
    return _parts("Glmga", "Glm46V", {}, chat_template, images="Glmga", model="Glm46V")


@builder(TEMPLATE)
def tiny_glm_ocr(chat_template: str | None) -> Parts:
    """Write a GLM-OCR, which has GLM-4.6V's processor."""
    return _parts("GlmOcr", "Glm46V", {"head_dim": 16}, chat_template)


def _parts(
    name: str,
    processor: str,
    text: Mapping[str, int],
    chat_template: str | None,
    *,
    images: str = "",
    model: str = "",
) -> Parts:
    """A model and a processor by what the names of their classes begin with.

    images, model: where the names of image processor or model begin otherwise.
    """
    import transformers

    specials = (END, "[gMASK]", "<sop>", *ROLES, *IMAGES.values())
    names = {"image_token": "<|image|>", "video_token": "<|video|>"}
    tokenizer = small_tokenizer(specials, pad=END, end=END, names=names)
    size = {"shortest_edge": 56 * 56, "longest_edge": 2 * 112 * 112}  # pixels, of two frames
    whole, of_images, of_videos = (
        getattr(transformers, each)
        for each in (
            f"{processor}Processor",
            f"{images or processor}ImageProcessor",
            f"{images or processor}VideoProcessor",
        )
    )
    ids = ids_of(tokenizer, begin=None, end=END, pad=END)
    config = getattr(transformers, f"{name}Config")(
        text_config={**TEXT, **ids, **text, "rope_parameters": dict(ROPE)},
        vision_config=dict(VISION),
        **{n: tokenizer.convert_tokens_to_ids(token) for n, token in IMAGES.items()},
    )
    return Parts(
        getattr(transformers, f"{model or name}ForConditionalGeneration"),
        config,
        whole(of_images(size=size), tokenizer, of_videos(size=size), chat_template=chat_template),
        {
            "eos_token_id": [END, "<|user|>", "<|observation|>"],
            "pad_token_id": END,
            "do_sample": True,
            "top_p": 0.6,
        },
    )
