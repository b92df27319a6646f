"""How many pixels of an image a policy sees: settings of its image processor, in one place.

They are applied once, where the processor is loaded, and saved with the policy. So the data
check, training, rollouts and evaluation see the same pixels as the same number of tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rftcore.config import PixelsRecipe, PolicyRecipe
from rftcore.errors import ModelError, similar

# What decides the number of tokens of an image, of the image processors of transformers.
BUDGET = (
    *("size", "crop_size", "do_resize", "do_center_crop", "do_pad", "pad_size", "max_image_size"),
    *("min_pixels", "max_pixels", "max_pixels_tolerance", "patch_size", "merge_size"),
    *("temporal_patch_size", "encoder_patch_size", "downsample_factor", "pooling_kernel_size"),
    *("do_image_splitting", "image_grid_pinpoints", "aspect_ratio_setting", "use_thumbnail"),
    *("crop_to_patches", "min_patches", "max_patches", "max_num_patches", "max_image_tiles"),
    *("min_tiles", "max_tiles", "tile_size", "min_image_tokens", "max_image_tokens"),
    *("max_soft_tokens", "do_pan_and_scan", "pan_and_scan_min_crop_size"),
    *("pan_and_scan_max_num_crops", "pan_and_scan_min_ratio_to_activate"),
)
# ... and of processors, which write the placeholders.
BUDGET_OF_PROCESSOR = (
    *("image_seq_length", "image_seq_len", "patch_size", "num_additional_image_tokens"),
    *("vision_feature_select_strategy", "downsample_factor"),
)


def pixel_budget(processor: Any) -> dict[str, object]:
    """The settings that decide how many tokens an image is, as plain data for the manifest."""
    found = {f"processor.{name}": getattr(processor, name, None) for name in BUDGET_OF_PROCESSOR}
    found = _settings(processor.image_processor) | found
    return {name: _as_json(value) for name, value in found.items() if value is not None}


def apply(processor: Any, policy: PolicyRecipe) -> None:
    """Give a processor the image settings of a recipe, in place.

    Raises: `ModelError` naming the setting, if its image processor does not have it.
    """
    if changed := changes(processor, policy):
        old = processor.image_processor
        processor.image_processor = type(old).from_dict({**old.to_dict(), **changed})


def changes(processor: Any, policy: PolicyRecipe) -> dict[str, Any]:
    """The image settings of a recipe, by the names of the image processor.

    Raises: `ModelError` naming the setting, if its image processor does not have it.
    """
    found = {**_pixel_changes(processor.image_processor, policy.pixels)}
    for name, value in policy.processor.items():
        _require(processor.image_processor, name, value)
        found[name] = value
    return found


def _pixel_changes(processor: Any, pixels: PixelsRecipe | None) -> dict[str, Any]:
    """`policy.pixels` as a setting of this image processor."""
    if pixels is None:
        return {}
    if not _counts_pixels(processor):
        raise ModelError(
            f"policy.pixels: {type(processor).__name__} does not choose an image's size by its "
            f"number of pixels. Use policy.processor; its settings are {_shown(processor)}"
        )
    size = {"shortest_edge": pixels.min, "longest_edge": pixels.max}
    known = {**_as_dict(processor.size), **{k: v for k, v in size.items() if v is not None}}
    if known["shortest_edge"] > known["longest_edge"]:
        raise ModelError(
            f"policy.pixels: at least {known['shortest_edge']} and at most "
            f"{known['longest_edge']} pixels: the minimum is above the maximum (what is not set "
            "is the model's own)"
        )
    return {"size": known}


def _counts_pixels(processor: Any) -> bool:
    """Whether the image processor takes bounds of pixels: Qwen's and those after it.

    In `size` they are "shortest_edge" and "longest_edge", whatever these names suggest.
    """
    named = getattr(getattr(processor, "valid_kwargs", None), "__annotations__", {})
    size = getattr(processor, "size", None)
    edges = ("shortest_edge", "longest_edge")
    bounded = size is not None and all(_as_dict(size).get(edge) for edge in edges)
    return bounded and {"min_pixels", "max_pixels"} <= {*named}


def _require(processor: Any, name: str, value: Any) -> None:
    """Raise `ModelError` if an image processor has no such setting, or one of another kind."""
    there = _settings(processor)
    if name not in there:
        meant = similar(name, [*there])
        hint = f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""
        raise ModelError(
            f"policy.processor.{name}: {type(processor).__name__} has no such setting.{hint} Its "
            f"settings are {_shown(processor)}"
        )
    now = there[name]
    kinds = _kind(now), _kind(value)
    if now is not None and kinds[0] != kinds[1]:
        raise ModelError(
            f"policy.processor.{name} = {value!r}: must be {kinds[0]}, such as the model's own "
            f"{_as_json(now)!r}"
        )
    if kinds[0] == "a mapping" and (odd := {*value} ^ {*_as_dict(now)}):
        raise ModelError(
            f"policy.processor.{name} = {value!r}: must have the keys of the model's own "
            f"{_as_json(now)!r}; {', '.join(sorted(odd))} is in one of them only"
        )


def _settings(processor: Any) -> dict[str, Any]:
    """The settings of an image processor that decide how many tokens an image is."""
    return {name: getattr(processor, name) for name in BUDGET if hasattr(processor, name)}


def _shown(processor: Any) -> str:
    found = {n: _as_json(v) for n, v in _settings(processor).items() if v is not None}
    return ", ".join(f"{name}={value}" for name, value in found.items())[:600]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a mapping" if _is_mapping(value) else "a list"


def _is_mapping(value: Any) -> bool:
    """Whether a setting has names: a mapping, or the `SizeDict` of transformers."""
    return isinstance(value, Mapping) or dataclasses.is_dataclass(value)


def _as_dict(value: Any) -> dict[str, Any]:
    return {key: one for key, one in dict(value).items() if one is not None}


def _as_json(value: Any) -> Any:
    if _is_mapping(value):
        return _as_dict(value)
    if isinstance(value, bool | int | float | str):
        return value
    return [*_items(value)] if hasattr(value, "__iter__") else str(value)


def _items(values: Any) -> Iterator[Any]:
    return (_as_json(value) for value in values)
