"""Hashes of samples: equal for equal content, on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

from rftcore.datasets.slices import Slice
from rftcore.images.decoding import pixel_hash
from rftcore.types import Sample


def fingerprint(part: Slice) -> str:
    """The hash of all samples of a slice, as `checks.check` computes it."""
    digest = hashlib.sha256()
    for sample in part:
        digest.update(content(sample))
    return digest.hexdigest()


def content(sample: Sample, pixels: Sequence[str] | None = None) -> bytes:
    """A hash of everything in a sample except its id, independent of paths and machines.

    `pixels` has a hash per image; without it the images are opened.
    """
    if pixels is None:
        pixels = [pixel_hash(image.open()) for image in sample.images]
    return digest([sample.question, sample.gold, sample.cot, pixels, _plain(sample.meta)])


def digest(value: object) -> bytes:
    """The SHA-256 of a value as JSON."""
    return hashlib.sha256(json.dumps(value).encode()).digest()


def _plain(value: object, depth: int = 50) -> object:
    """A value as JSON that is equal for equal values; objects by type and public fields."""
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return hex(value)  # of any length
    if depth == 0:
        return type(value).__name__
    if isinstance(value, Mapping):
        items = ([_plain(key, depth - 1), _plain(item, depth - 1)] for key, item in value.items())
        return {"items": sorted(items, key=json.dumps)}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, set | frozenset):
        return {"set": sorted((_plain(item, depth - 1) for item in value), key=json.dumps)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return [type(value).__name__, _plain(named, depth - 1)]
    return type(value).__name__
