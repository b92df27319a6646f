"""Stage one: teach the tower, patch by patch, what stands where.

A patch that holds a thing's centre must say so, and name the thing's size,
colour, material and shape, its exact place and its rank from the left. The
heads that read this off are small, and thrown away at the end; a caption
then only has to read out what the patches already know.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from rft_nano.corpus import OBJECTS, Seen
from rft_nano.model import GRID, IMAGE_TOKENS
from rft_nano.things import ATTRIBUTES, VALUES

CLASSES = {**{a: len(VALUES[a]) for a in ATTRIBUTES}, "rank": OBJECTS}
Targets = dict[str, torch.Tensor]
NEAR = 0.4  # weight of the patches around a centre


class Heads(nn.Module):
    """Reads centre, place and classes off every patch feature (B, 64, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 1 + 2 + sum(CLASSES.values()))

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits by name; "place" is (dx, dy) from the patch's centre in patches."""
        sizes = [1, 2, *CLASSES.values()]
        parts = self.out(self.norm(features)).split(sizes, dim=-1)
        return dict(zip(["centre", "place", *CLASSES], parts, strict=True))


def patches(seen: list[Seen]) -> list[int]:
    """The patch of each thing: the one with its centre, or the nearest still free."""
    taken: list[int] = []
    for s in seen:
        x, y = s.thing.u * GRID, s.thing.v * GRID
        free = [p for p in range(IMAGE_TOKENS) if p not in taken]
        taken.append(
            min(free, key=lambda p: (p % GRID + 0.5 - x) ** 2 + (p // GRID + 0.5 - y) ** 2)
        )
    return taken


def covered(seen: list[Seen]) -> dict[int, int]:
    """Which thing each patch lies on: the nearest whose disc holds the patch's middle."""
    out: dict[int, tuple[float, int]] = {}
    for index, s in enumerate(seen):
        x, y, reach = s.thing.u * GRID, s.thing.v * GRID, s.radius * GRID
        for row in range(max(0, int(y - reach)), min(GRID, int(y + reach) + 1)):
            for column in range(max(0, int(x - reach)), min(GRID, int(x + reach) + 1)):
                away = ((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2) / reach**2
                patch = row * GRID + column
                if away < min(1.2, out.get(patch, (9.0, 0))[0]):
                    out[patch] = (away, index)
    return {patch: index for patch, (_, index) in out.items()}


def targets(batch: list[list[Seen]]) -> Targets:
    """What the heads should say; classes are -100 where no thing is centred.

    "near_" classes are for the other patches that a thing covers.
    """
    shape = (len(batch), IMAGE_TOKENS)
    names = [*CLASSES, *(f"near_{name}" for name in CLASSES)]
    out: dict[str, Any] = {name: np.full(shape, -100) for name in names}
    out["centre"], out["place"] = np.zeros(shape, np.float32), np.zeros((*shape, 2), np.float32)
    for row, seen in enumerate(batch):
        middles = patches(seen)
        for patch, rank in covered(seen).items():
            if patch not in middles:
                _write(out, "near_", (row, patch), seen[rank], rank)
        for rank, (patch, s) in enumerate(zip(middles, seen, strict=True)):
            out["centre"][row, patch] = 1
            out["place"][row, patch] = (
                s.thing.u * GRID - patch % GRID - 0.5,
                s.thing.v * GRID - patch // GRID - 0.5,
            )
            _write(out, "", (row, patch), s, rank)
    return {name: torch.from_numpy(array) for name, array in out.items()}


def _write(out: dict[str, Any], prefix: str, at: tuple[int, int], s: Seen, rank: int) -> None:
    for attribute in ATTRIBUTES:
        out[prefix + attribute][at] = VALUES[attribute].index(getattr(s.thing, attribute))
    out[prefix + "rank"][at] = rank


def losses(said: dict[str, torch.Tensor], wanted: Targets) -> dict[str, torch.Tensor]:
    """One loss per head, in nats (place: mean squared patches)."""
    there, near = wanted["centre"] > 0, wanted["near_rank"] >= 0
    out = {
        "centre": 4
        * functional.binary_cross_entropy_with_logits(said["centre"][..., 0], wanted["centre"]),
        "place": functional.mse_loss(said["place"][there], wanted["place"][there]),
    }
    for name in CLASSES:
        out[name] = functional.cross_entropy(said[name][there], wanted[name][there])
        if near.any():
            out[f"near_{name}"] = NEAR * functional.cross_entropy(
                said[name][near], wanted[f"near_{name}"][near]
            )
    return out


@torch.no_grad()
def accuracy(said: dict[str, torch.Tensor], wanted: Targets) -> dict[str, float]:
    """Share right per head, and "object": centre and all four attributes at once."""
    there = wanted["centre"] > 0
    right = {name: (said[name].argmax(-1) == wanted[name])[there] for name in CLASSES}
    centre = said["centre"][..., 0] > 0
    report = {name: float(hits.float().mean()) for name, hits in right.items()}
    whole = centre[there]
    for name in ATTRIBUTES:
        whole = whole & right[name]
    report["found"] = float(centre[there].float().mean())
    report["false_centres"] = float((centre & ~there).sum() / there.sum())
    report["object"] = float(whole.float().mean())
    return report


def features(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The patch features the projector reads: the last layer's, before the final norm."""
    hidden: torch.Tensor = model.model.vision_tower(
        pixels, output_hidden_states=True
    ).hidden_states[-1]
    return hidden
