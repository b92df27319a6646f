"""Tiny DeepSeek-VL, its hybrid with a second tower, and Janus: SigLIP, an aligner, Llama."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
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

SIDE = 56  # pixels: 4 x 4 patches
BEGIN, END, PAD, IMAGE = "<|bos|>", "<|eos|>", "<|pad|>", "<image_placeholder>"
SIGLIP: Mapping[str, Any] = MappingProxyType(
    {
        **TOWER,
        "model_type": "siglip_vision_model",
        "image_size": SIDE,
        "vision_use_head": False,
    }
)


def _template(user: str, assistant: str) -> str:
    return (
        "{%- for message in messages -%}"
        "{%- set reply = message['role'] == 'assistant' -%}"
        f"{{{{- '{assistant}: ' if reply else '{user}: ' -}}}}"
        f"{content(IMAGE)}"
        "{{- eos_token if reply else '\n\n' -}}"
        "{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- '{assistant}:' -}}}}{{%- endif -%}}"
    )


TEMPLATE, JANUS = _template("User", "Assistant"), _template("<|User|>", "<|Assistant|>")


@builder(TEMPLATE)
def tiny_deepseek_vl(chat_template: str | None) -> Parts:
    """Write a DeepSeek-VL: an image is 16 tokens, whatever its size."""
    return _parts("DeepseekVL", {"vision_config": dict(SIGLIP)}, {}, chat_template)


@builder(TEMPLATE)
def tiny_deepseek_vl_hybrid(chat_template: str | None) -> Parts:
    """Write a DeepSeek-VL whose images are also read at a higher resolution, by SAM's tower."""
    sam = {
        "hidden_size": 32,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 128,
        "patch_size": 16,
        "window_size": 4,
        "global_attn_indexes": [1],
        "mlp_dim": 64,
    }
    towers = {"vision_config": dict(SIGLIP), "high_res_vision_config": sam}
    sizes = {"high_res_size": {"height": 128, "width": 128}}
    return _parts("DeepseekVLHybrid", towers, sizes, chat_template)


@builder(JANUS)
def tiny_janus(chat_template: str | None) -> Parts:
    """Write a Janus, which has the parts that draw images as well."""
    vision = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "mlp_ratio": 2.0,
        "image_size": SIDE,
        "patch_size": 14,
        "num_image_tokens": 16,
        "projection_dim": 64,
    }
    drawing = {
        "embed_dim": 4,
        "num_embeddings": 16,
        "latent_channels": 32,
        "base_channels": 32,
        "channel_multiplier": [1],
        "num_res_blocks": 0,
        "projection_dim": 64,
        "image_token_embed_dim": 16,
    }
    return _parts("Janus", {"vision_config": vision, "vq_config": drawing}, {}, chat_template)


def _parts(
    name: str, towers: Mapping[str, Any], sizes: Mapping[str, Any], chat_template: str | None
) -> Parts:
    """name: what the names of the family's classes begin with. sizes: of its image processor."""
    import transformers

    names = {
        "image_token": IMAGE,
        "boi_token": "<begin_of_image>",
        "eoi_token": "<end_of_image>",
    }
    tokenizer = small_tokenizer(
        (BEGIN, END, PAD, *names.values()),
        pad=PAD,
        end=END,
        begin=BEGIN,
        writes_begin=True,
        names=names,
    )
    model, config, whole, of_images = (
        getattr(transformers, f"{name}{kind}")
        for kind in ("ForConditionalGeneration", "Config", "Processor", "ImageProcessor")
    )
    images = of_images(size={"height": SIDE, "width": SIDE}, **sizes)
    ids = ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD)
    return Parts(
        model,
        config(
            text_config={**TEXT, **ids, "model_type": "llama"},
            image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
            **towers,
        ),
        whole(images, tokenizer, chat_template=chat_template, num_image_tokens=16),
        ends_of(END, pad=PAD, begin=BEGIN),
    )
