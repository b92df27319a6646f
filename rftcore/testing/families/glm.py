"""Tiny GLM-4.1V and GLM-4.5V: a turn ends where the next one begins, with no token of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rftcore.testing.families.parts import TEXT, content, ids_of, small_tokenizer, write

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


def tiny_glm4v(
    folder: str | Path,
    *,
    seed: int = 0,
    dtype: str = "float32",
    chat_template: str | None = TEMPLATE,
) -> Path:
    """Write a GLM-4.1V: one token per 28 x 28 pixels, images of any shape."""
    return _write(folder, "Glm4v", {}, seed, dtype, chat_template)


def tiny_glm4v_moe(
    folder: str | Path,
    *,
    seed: int = 0,
    dtype: str = "float32",
    chat_template: str | None = TEMPLATE,
) -> Path:
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
    return _write(folder, "Glm4vMoe", experts, seed, dtype, chat_template)


def _write(
    folder: str | Path,
    name: str,
    experts: Mapping[str, int],
    seed: int,
    dtype: str,
    template: str | None,
) -> Path:
    import transformers
    from transformers.models.glm4v.image_processing_glm4v import Glm4vImageProcessor
    from transformers.models.glm4v.video_processing_glm4v import Glm4vVideoProcessor

    specials = (END, "[gMASK]", "<sop>", *ROLES, *IMAGES.values())
    names = {"image_token": "<|image|>", "video_token": "<|video|>"}
    tokenizer = small_tokenizer(specials, pad=END, end=END, names=names)
    size = {"shortest_edge": 56 * 56, "longest_edge": 2 * 112 * 112}  # pixels, of two frames
    processors: Any = (transformers.Glm4vProcessor, Glm4vImageProcessor, Glm4vVideoProcessor)
    whole, of_images, of_videos = processors
    processor = whole(of_images(size=size), tokenizer, of_videos(size=size), chat_template=template)
    vision = {
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
    ids = ids_of(tokenizer, begin=None, end=END, pad=END)
    config = getattr(transformers, f"{name}Config")(
        text_config={**TEXT, **ids, **experts, "rope_parameters": dict(ROPE)},
        vision_config=vision,
        **{n: tokenizer.convert_tokens_to_ids(token) for n, token in IMAGES.items()},
    )
    ends = [END, "<|user|>", "<|observation|>"]
    return write(
        *(folder, getattr(transformers, f"{name}ForConditionalGeneration"), config, processor),
        seed=seed,
        dtype=dtype,
        generation={"eos_token_id": ends, "pad_token_id": END, "do_sample": True, "top_p": 0.6},
    )
