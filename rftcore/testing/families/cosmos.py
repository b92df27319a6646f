"""Tiny Cosmos 3 Omni: Qwen3-VL's reasoner."""

from __future__ import annotations

from rftcore.testing.families.parts import Parts, builder, ends_of
from rftcore.testing.families.qwen import CHATML, ENDS, OF_QWEN3, Shape, rope_text, shape_parts
from rftcore.testing.families.qwen import TOWER as QWEN_TOWER


@builder(CHATML)
def tiny_cosmos3_omni(chat_template: str | None) -> Parts:
    """Write a Cosmos 3 Omni, of which transformers has the part that reads and writes text."""
    text = {**rope_text([4, 2, 2]), "head_dim": 16}
    text["rope_parameters"]["mrope_interleaved"] = True
    vision = {**QWEN_TOWER, **OF_QWEN3, "deepstack_visual_indexes": [0]}
    shape = Shape("Cosmos3Omni", text, vision, processor="Qwen3VL", videos="Qwen3VL")
    return shape_parts(shape, ends_of(list(ENDS), pad="<|endoftext|>"), chat_template)
