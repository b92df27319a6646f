"""Rows of a batch with the same prompt: the same tokens and the same images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rftcore.training.shared_prefix.images import BatchImages

Group = list[int]  # rows of the batch


def group_rows(prefixes: Sequence[Tensor], images: BatchImages) -> list[Group]:
    """Rows with equal prefixes and equal images, whatever their order.

    prefixes: tensors (B, ...), all of which two rows of a group agree in.
    Returns: groups in the order of their first rows; each row is in one of them.
    """
    columns = [prefix.flatten(1).tolist() for prefix in prefixes]
    groups: dict[tuple[object, ...], Group] = {}
    for row, parts in enumerate(zip(*columns, strict=True)):
        key = (*(tuple(part) for part in parts), images.images_of(row))
        groups.setdefault(key, []).append(row)
    return list(groups.values())
