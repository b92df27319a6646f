"""Which images belong to which row of a batch, and which of them are the same image.

A batch holds all its images in one tensor, in the order of the rows. Where one
image ends depends on the family: LLaVA's batch has one entry per image, that of
Qwen2-VL one entry per patch, with the grid of each image beside it. In
`generate` the images arrive encoded, one tensor of features each.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rftcore.training.cpu import plain_products
from rftcore.training.shared_prefix.errors import NotShared
from rftcore.training.stand_ins import are_stand_ins, prompts_of

if TYPE_CHECKING:
    from transformers.utils.generic import ModelOutput

Encoder = Callable[..., "ModelOutput"]

# What an encoder returns that no decoder reads, or that `_features` can take apart
KNOWN = {
    *("pooler_output", "last_hidden_state", "hidden_states", "attentions"),
    *("reshaped_hidden_states", "deepstack_features"),
}


@dataclass(frozen=True)
class BatchImages:
    """The images of a batch, separated.

    images: one tensor per image, its pixels or its features. grids: (images, 3), or
    None where all images are of one size. encoded: what the encoder returned, where
    the images are features. of_row: the images of each row. same_as: for each image
    the first one that is equal to it, value by value.
    """

    images: Sequence[Tensor]
    grids: Tensor | None
    encoded: Any  # a `ModelOutput`, or None
    of_row: Sequence[Sequence[int]]
    same_as: Sequence[int]

    def images_of(self, row: int) -> tuple[int, ...]:
        """The images of row `row` by number: equal for two rows exactly if their images are."""
        return tuple(self.same_as[image] for image in self.of_row[row])

    def inputs(self, rows: Sequence[int]) -> dict[str, Any]:
        """The model's arguments for the images of these rows, in this order."""
        chosen = [image for row in rows for image in self.of_row[row]]
        if not chosen:
            return {}
        if self.encoded is not None:
            return {"mm_encoder_outputs": {"image": _features(self.encoded, chosen)}}
        return _pixels(self.images, self.grids, chosen)


def read_images(config: Any, inputs: Mapping[str, Any]) -> BatchImages:
    """The images of a batch of model inputs.

    Raises: `NotShared` if the image tokens of the rows and the images do not add up.
    """
    ids, values = inputs["input_ids"], inputs.get("pixel_values")
    encoded: Any = _encoded(inputs.get("mm_encoder_outputs"))
    if values is None and encoded is None:
        return BatchImages((), None, None, [()] * len(ids), ())
    counts = (ids == config.image_token_id).sum(1).tolist()
    if are_stand_ins(values):
        return BatchImages(
            list(values), None, None, _whole(values, counts), equal_images([*values])
        )
    grids = inputs.get("image_grid_thw")
    if encoded is not None:
        images = list(encoded.pooler_output)
        lengths = [len(features) for features in images]
    elif grids is not None:
        images = _apart(values, grids)
        merged = config.vision_config.spatial_merge_size**2
        lengths = (grids.prod(-1) // merged).tolist()
    else:
        images = _apart(values, None)
        lengths = [sum(counts) // len(images)] * len(images)
    return BatchImages(images, grids, encoded, _assign(lengths, counts), equal_images(images))


def encode_once(
    encode: Encoder,
    is_off: Callable[[], bool],
    failed: Callable[[Exception], None],
    limit: Callable[[], float],
) -> Encoder:
    """`get_image_features` of a model, made to encode each distinct image once.

    is_off: whether a call must go through unchanged. failed: is called with an exception of the
    shared form; the call then goes through unchanged. limit: how far the first features may be
    from those of all images encoded, relative to their size.
    """
    signature = inspect.signature(encode)
    checked: list[bool] = []  # of the first call that encoded less: whether its features agree

    @functools.wraps(encode)
    @plain_products()
    def get_image_features(*args: Any, **kwargs: Any) -> ModelOutput:
        if is_off() or checked == [False]:
            return encode(*args, **kwargs)
        try:
            encoded = shared(signature.bind(*args, **kwargs).arguments)
            if encoded is not None and not checked:
                with torch.no_grad():
                    require_equal(encoded, encode(*args, **kwargs), limit())
                checked.append(True)
        except NotShared:  # the rest of the model shares its prompt all the same
            checked[:], encoded = [False], None
        except Exception as error:  # a family or version with other arguments
            failed(error)
            encoded = None
        return encode(*args, **kwargs) if encoded is None else encoded

    def shared(given: Mapping[str, Any]) -> ModelOutput | None:
        values, grids = given.get("pixel_values"), given.get("image_grid_thw")
        options = {name: given[name] for name in given.keys() - {"kwargs", *_PIXELS}}
        options |= {**given.get("kwargs", {}), "return_dict": True}
        if not _understood(values, grids, options):
            return None
        images = _apart(values, grids)
        same_as = equal_images(images)
        distinct = sorted({*same_as})
        if len(distinct) == len(images):
            return None
        encoded: Any = encode(**_pixels(images, grids, distinct), **options)
        if not _readable(encoded) or len(encoded.pooler_output) != len(distinct):
            raise NotShared("its image encoder returns more than the features of each image")
        return _features(encoded, [distinct.index(image) for image in same_as])

    return get_image_features


_PIXELS = ("pixel_values", "image_grid_thw")


def _understood(values: Any, grids: Any, options: Mapping[str, Any]) -> bool:
    """Whether the arguments of an encoder are pixels (images, C, H, W), or patches with grids.

    Any other tensor has rows of its own, which may belong to images, tiles or prompts.
    """
    others = any(_has_tensor(value) for value in options.values())
    return isinstance(values, Tensor) and not others and (grids is not None or values.ndim == 4)


def _has_tensor(value: object) -> bool:
    parts = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(part, Tensor) for part in parts)


def require_equal(shared: Any, plain: Any, limit: float) -> None:
    """Raise `NotShared` if features differ by more than `limit`, relative to their mean size."""
    ours, theirs = (
        torch.cat([f.flatten() for f in each.pooler_output]) for each in (shared, plain)
    )
    if ours.shape != theirs.shape:
        raise NotShared("its image encoder returns features of another shape for fewer images")
    gap = (ours.detach().float() - theirs.float()).abs().mean()
    if not float(gap) <= limit * float(theirs.float().abs().mean()):
        raise NotShared("the features of an image depend on the other images of the batch")


def _apart(values: Any, grids: Tensor | None) -> list[Tensor]:
    """One tensor per image, of pixels (images, C, H, W) or of patches (all patches, D)."""
    return list(values) if grids is None else list(values.split(grids.prod(-1).tolist()))


def _pixels(
    images: Sequence[Tensor], grids: Tensor | None, chosen: Sequence[int]
) -> dict[str, Tensor]:
    pixels = [images[image] for image in chosen]
    if grids is None:
        return {"pixel_values": torch.stack(pixels)}
    return {"pixel_values": torch.cat(pixels), "image_grid_thw": grids[list(chosen)]}


def _features(encoded: Any, chosen: Sequence[int]) -> ModelOutput:
    """An encoder's output for the chosen images, in the containers in which it returns all.

    pooler_output: a tensor (images, tokens, D), or one tensor (tokens, D) for each image.
    deepstack_features: for each layer one tensor (tokens of all images, D), or one per image.
    """
    pooled = encoded.pooler_output
    if isinstance(pooled, Tensor):
        fields: dict[str, Any] = {"pooler_output": pooled[list(chosen)]}
    else:
        fields = {"pooler_output": type(pooled)(pooled[image] for image in chosen)}
    if (layers := encoded.get("deepstack_features")) is not None:
        lengths = [len(features) for features in pooled]
        fields["deepstack_features"] = [_layer(each, lengths, chosen) for each in layers]
    features: ModelOutput = type(encoded)(**{**dict.fromkeys(_required(encoded)), **fields})
    return features


def _required(encoded: Any) -> list[str]:
    """The fields without which such an output cannot be made."""
    if not dataclasses.is_dataclass(encoded):
        return []
    return [f.name for f in dataclasses.fields(encoded) if f.default is dataclasses.MISSING]


def _layer(features: Any, lengths: list[int], chosen: Sequence[int]) -> Any:
    """Features of a layer for the chosen images: one tensor of all tokens, or one per image."""
    if isinstance(features, Tensor):
        parts = torch.split(features, lengths)
        return torch.cat([parts[image] for image in chosen])
    return type(features)(features[image] for image in chosen)


def _readable(encoded: Any) -> bool:
    """Whether `_features` understands all that an encoder returns."""
    return KNOWN.issuperset(encoded.keys()) and encoded.get("pooler_output") is not None


def _encoded(outputs: Mapping[str, Any] | None) -> ModelOutput | None:
    """What the image encoder returned, if `generate` has called it already."""
    given = {name: each for name, each in (outputs or {}).items() if each is not None}
    if given.keys() - {"image"}:
        raise NotShared("the prompt has more than text and images")
    encoded: ModelOutput | None = given.get("image")
    if encoded is not None and not _readable(encoded):
        raise NotShared("its image encoder returns more than the features of each image")
    return encoded


def _assign(lengths: Sequence[int], counts: Sequence[int]) -> list[list[int]]:
    """Assign to each row the next images, until they fill its image tokens."""
    assigned: list[list[int]] = []
    image = 0
    for count in counts:
        mine: list[int] = []
        while image < len(lengths) and sum(lengths[i] for i in mine) < count:
            mine.append(image)
            image += 1
        if sum(lengths[i] for i in mine) != count:
            raise NotShared("the images of a row do not fill its image tokens")
        assigned.append(mine)
    if image != len(lengths):
        raise NotShared("some images belong to no row")
    return assigned


def _whole(values: Tensor, counts: Sequence[int]) -> list[list[int]]:
    """Assign the images of stand-ins (images, 2) to the rows that have image tokens, in order."""
    mine = iter(prompts_of(values))
    assigned: list[list[int]] = []
    at = 0
    for count in counts:
        _, images = next(mine, (0, 0)) if count else (0, 0)
        assigned.append([*range(at, at + images)])
        at += images
    if at != len(values):
        raise NotShared("some images belong to no row")
    return assigned


def equal_images(images: Sequence[Tensor]) -> list[int]:
    """For each image the first one equal to it.

    The sum of the raw bits is exact in any order, so it separates most of the
    unequal ones; the rest are compared value by value.
    """
    sums = torch.stack([_bits(image).sum(dtype=torch.int64) for image in images]).tolist()
    known: dict[tuple[int, ...], list[int]] = {}
    first = []
    for i, total in enumerate(sums):
        alike = known.setdefault((*images[i].shape, total), [])
        match = next((j for j in alike if torch.equal(images[i], images[j])), i)
        if match == i:
            alike.append(i)
        first.append(match)
    return first


def _bits(image: Tensor) -> Tensor:
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return image.detach().contiguous().view(whole[image.element_size()])
