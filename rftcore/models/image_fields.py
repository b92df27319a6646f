"""Which of the fields that a processor makes reach the loss of GRPO through TRL.

TRL passes on the fields that it knows by name, and divides `pixel_values` between the rows of a
batch by rules of its own. What it leaves out is restored by `rftcore.training.stand_ins` if it
belongs to images. What has a number per token cannot be: TRL adds completions to the prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PIXELS = "pixel_values"
KINDS = "mm_token_type_ids"  # 0 for tokens of text
OF_TOKENS = frozenset(("input_ids", "attention_mask", "token_type_ids", KINDS))
# What TRL 1.16 passes from a processor to the loss of GRPO
PASSED = OF_TOKENS | frozenset(
    (
        *(PIXELS, "pixel_attention_mask", "image_grid_thw", "image_sizes", "image_position_ids"),
        "spatial_shapes",
    )
)


def restored(made: Mapping[str, Any]) -> set[str]:
    """The fields of images that TRL leaves out, of what a processor has made of a prompt."""
    if made.get(PIXELS) is None:
        return set()
    return {*made} - PASSED - _of_tokens(made)


def undivided(made: Mapping[str, Any]) -> bool:
    """Whether `pixel_values`, made of one image, has rows that TRL cannot assign to it (Inkling).

    It can by another field that it passes, and of tiles (tiles, C, H, W) by their counts.
    """
    values = made.get(PIXELS)
    known = {*made} & PASSED - OF_TOKENS - {PIXELS}
    return values is not None and not known and values.ndim != 4 and len(values) != 1


def lost(made: Mapping[str, Any]) -> set[str]:
    """The fields that TRL leaves out and that cannot be restored."""
    return {*made} - PASSED - restored(made)


def _of_tokens(made: Mapping[str, Any]) -> set[str]:
    """The fields that have a number, or more, for each token (B, T)."""
    shape = made["input_ids"].shape
    return {name for name, value in made.items() if getattr(value, "shape", ())[:2] == shape}
