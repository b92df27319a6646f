"""Tiny Qwen4-Exp, LFM3-VL, EXAONE 4.5 and HyperCLOVA X: other parts, Qwen's image processor."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import TEXT, Parts, builder
from rftcore.testing.families.qwen import (
    CHATML,
    ENDS,
    EXPERTS,
    OF_QWEN3,
    TOWER,
    Shape,
    linear_text,
    shape_parts,
)

GENERATION: dict[str, Any] = {"eos_token_id": list(ENDS), "pad_token_id": "<|endoftext|>"}


@builder(CHATML)
def tiny_qwen4_exp(chat_template: str | None) -> Parts:
    """Write a Qwen4-Exp: four residual streams, one layer of linear attention, experts."""
    text = {**linear_text(), **EXPERTS, "shared_expert_intermediate_size": 32}
    text |= {"layer_types": ["linear_attention", "indexed_attention"], "hc_count": 2}
    text |= {"hc_lowrank": 8, "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 16}
    text |= {"indexer_budget": 2048, "indexer_compress_ratio": 4}
    shape = Shape("Qwen4Exp", text, {**TOWER, **OF_QWEN3}, processor="Qwen3VL", videos="Qwen3VL")
    return shape_parts(shape, GENERATION, chat_template)


@builder(CHATML)
def tiny_lfm3_vl(chat_template: str | None) -> Parts:
    """Write an LFM3-VL, whose tower and text model mix convolution and attention."""
    kinds = {"layer_types": ["conv", "full_attention"]}
    text = {**TEXT, **kinds, "model_type": "lfm3", "head_dim": 16}
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "patch_size": 16,
        **kinds,
    }
    shape = Shape("Lfm3Vl", text, vision, videos="Qwen3VL", own={"projector_hidden_size": 64})
    return shape_parts(shape, GENERATION, chat_template)


@builder(CHATML)
def tiny_exaone4_5(chat_template: str | None) -> Parts:
    """Write an EXAONE 4.5, one of whose text layers attends to a window of 32 tokens."""
    text = {**TEXT, "model_type": "exaone4", "sliding_window": 32, "head_dim": 16}
    text |= {"layer_types": ["sliding_attention", "full_attention"]}
    windows = {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    vision = {**TOWER, **windows, "num_key_value_heads": 1}
    shape = Shape("Exaone4_5_", text, vision)
    return shape_parts(shape, GENERATION, chat_template)


@builder(CHATML)
def tiny_hyperclovax_vision_v2(chat_template: str | None) -> Parts:
    """Write a HyperCLOVA X Vision: Qwen2.5-VL's tower before a text model of its own."""
    windows = {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    shape = Shape("HyperCLOVAXVisionV2", {**TEXT, "head_dim": 16}, {**TOWER, **windows})
    return shape_parts(shape, GENERATION, chat_template)
