"""Samples with the images of others: what a model that ignores its images does not notice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rftcore.types import Sample


def swaps(samples: Sequence[Sample]) -> dict[int, Sample]:
    """The samples with the images of others, by index: as many, and none of the sample's own.

    The other sample has another gold if there is one. Images are shifted by half of the
    samples, sorted by gold, so that each is used once, unless most samples have the same gold
    or samples share images. Samples without images, or without such another, are left out.
    """
    found: dict[int, Sample] = {}
    for number in {len(sample.images) for sample in samples} - {0}:
        same = [i for i, sample in enumerate(samples) if len(sample.images) == number]
        ring = sorted(same, key=lambda i: samples[i].gold)
        for place, i in enumerate(ring):
            at = (place + len(ring) // 2) % len(ring)
            if other := _other(samples[i], (samples[j] for j in ring[at:] + ring[:at])):
                found[i] = replace(samples[i], images=other.images)
    return {i: found[i] for i in sorted(found)}


def swapped(samples: Sequence[Sample]) -> list[Sample]:
    """The samples that `swaps` finds images for, in order."""
    return list(swaps(samples).values())


def _other(sample: Sample, others: Iterable[Sample]) -> Sample | None:
    """The first with other images and another gold, else the first with other images."""
    first = None
    for other in others:
        if set(other.images).isdisjoint(sample.images):
            if other.gold != sample.gold:
                return other
            first = first or other
    return first
