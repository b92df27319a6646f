"""The size at which a model sees an image, from the `pixel_budget` of its run.

The rules of the image processors that resize a whole image. One that cuts it into tiles has no
single size; neither has one whose rule is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Size = tuple[int, int]  # width and height
TILES = (
    *("do_image_splitting", "crop_to_patches", "do_pan_and_scan", "image_grid_pinpoints"),
    *("max_image_tiles", "max_tiles", "max_num_patches", "max_soft_tokens"),
)


def seen_size(budget: Mapping[str, Any], size: Size) -> Size | None:
    """Width and height after the image processor's resize; None if the rule is not known."""
    if any(budget.get(name) for name in TILES):
        return None
    if budget.get("do_resize") is False:
        return size
    wanted = budget.get("size")
    if not isinstance(wanted, Mapping):
        return None
    match {name: value for name, value in wanted.items() if value}:
        case {"height": int(height), "width": int(width)}:
            return width, height
        case {"shortest_edge": int(least), "longest_edge": int(most)}:
            return _within_pixels(budget, size, least, most)
        case {"shortest_edge": int(edge)}:
            return _by_shortest(size, edge)
    return None


def cropped_size(budget: Mapping[str, Any]) -> Size | None:
    """Width and height of the part in the middle that is kept after the resize; None if all is."""
    crop = budget.get("crop_size")
    if not budget.get("do_center_crop") or not isinstance(crop, Mapping):
        return None
    width, height = crop.get("width"), crop.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _within_pixels(budget: Mapping[str, Any], size: Size, least: int, most: int) -> Size | None:
    """Qwen's rule: multiples of a patch, and `least` to `most` pixels in all.

    Source: `smart_resize` of transformers; the processors of Qwen2-VL and those after it.
    """
    patch, merge = budget.get("patch_size"), budget.get("merge_size")
    if not isinstance(patch, int) or not isinstance(merge, int):
        return None
    width, height = size
    unit = patch * merge
    rows, columns = round(height / unit) * unit, round(width / unit) * unit
    if rows * columns > most:
        by = math.sqrt(height * width / most)
        rows, columns = (max(unit, math.floor(n / by / unit) * unit) for n in (height, width))
    elif rows * columns < least:
        by = math.sqrt(least / (height * width))
        rows, columns = (math.ceil(n * by / unit) * unit for n in (height, width))
    return columns, rows


def _by_shortest(size: Size, edge: int) -> Size:
    width, height = size
    if width <= height:
        return edge, int(edge * height / width)
    return int(edge * width / height), edge
