"""Stage one: teach the tower, patch by patch, what stands where.

A patch that holds a thing's center must say so, and name the thing's size,
color, material and shape, its exact place and its rank from the left. In
diagrams, a patch with the middle of a letter or of a number says which, and
that of a number which points it belongs to. The heads that read this off are
small, and thrown away at the end; a caption then only has to read out what the
patches already know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from rft_nano.model import GRID, IMAGE_TOKENS
from torch import nn
from torch.nn import functional

from pretraining.corpus.augment import OBJECTS, Seen
from pretraining.corpus.diagrams import Label
from pretraining.things import ATTRIBUTES, VALUES

THINGS = {**{a: len(VALUES[a]) for a in ATTRIBUTES}, "rank": OBJECTS}
BLANK = 10  # where a number has no digit
DIGITS = ("hundreds", "tens", "units", "tenths")
LETTER = {"letter": 26}
NUMBER = {**dict.fromkeys(DIGITS, BLANK + 1), "degrees": 2}
# what can stand in a patch -> what is said of it
KINDS = {"centre": THINGS, "name": LETTER, "number": NUMBER}
CLASSES = {name: size for classes in KINDS.values() for name, size in classes.items()}
POINTS = 3  # of an angle, its vertex in the middle; a side has two
BELONGS = {"of": LETTER["letter"], "vertex": LETTER["letter"]}  # a number's points, any of them
Targets = dict[str, torch.Tensor]
NEAR = 0.4  # weight of the patches around a thing's center
FOUND = 4.0  # weight of "is there something"


class Heads(nn.Module):
    """Reads what stands where off every patch feature (B, IMAGE_TOKENS, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.sizes = {**dict.fromkeys(KINDS, 1), "place": 2, **CLASSES, **BELONGS}
        self.out = nn.Linear(width, sum(self.sizes.values()))

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits by name; "place" is a thing's (dx, dy) from the patch's middle in patches."""
        parts = self.out(self.norm(features)).split(list(self.sizes.values()), dim=-1)
        return dict(zip(self.sizes, parts, strict=True))


def patches(spots: Sequence[tuple[float, float]]) -> list[int]:
    """The patch of each spot (u, v): the one it lies in, or the nearest still free."""
    taken: list[int] = []
    for u, v in spots:
        x, y = u * GRID, v * GRID
        free = [p for p in range(IMAGE_TOKENS) if p not in taken]
        taken.append(
            min(free, key=lambda p: (p % GRID + 0.5 - x) ** 2 + (p // GRID + 0.5 - y) ** 2)
        )
    return taken


def covered(seen: Sequence[Seen]) -> dict[int, int]:
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


def digits(text: str) -> list[int]:
    """A number's digits in the order of `DIGITS`: "45.5°" is blank, 4, 5, 5."""
    whole, _, tenth = text.rstrip("°").partition(".")
    padded = [BLANK] * (3 - len(whole)) + [int(d) for d in whole]
    return [*padded, int(tenth) if tenth else BLANK]


def targets(seen: Sequence[list[Seen]], labels: Sequence[list[Label]]) -> Targets:
    """What the heads should say of each image; classes are -100 where nothing is centered.

    "near_" classes are for the other patches that a thing covers; "of" (P, IMAGE_TOKENS, POINTS)
    are the points a number belongs to, in their order.
    """
    shape = (len(seen), IMAGE_TOKENS)
    names = [*CLASSES, *(f"near_{name}" for name in THINGS)]
    out: dict[str, Any] = {name: np.full(shape, -100) for name in names}
    out |= {kind: np.zeros(shape, np.float32) for kind in KINDS}
    out["place"] = np.zeros((*shape, 2), np.float32)
    out["of"] = np.full((*shape, POINTS), -100)
    for row, (things, signs) in enumerate(zip(seen, labels, strict=True)):
        _write_things(out, row, things)
        _write_labels(out, row, signs)
    return {name: torch.from_numpy(array) for name, array in out.items()}


def _write_things(out: dict[str, Any], row: int, seen: Sequence[Seen]) -> None:
    middles = patches([(s.thing.u, s.thing.v) for s in seen])
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


def _write(out: dict[str, Any], prefix: str, at: tuple[int, int], s: Seen, rank: int) -> None:
    for attribute in ATTRIBUTES:
        out[prefix + attribute][at] = VALUES[attribute].index(getattr(s.thing, attribute))
    out[prefix + "rank"][at] = rank


def _write_labels(out: dict[str, Any], row: int, labels: Sequence[Label]) -> None:
    letters = [label for label in labels if label.is_letter]
    numbers = [label for label in labels if not label.is_letter]
    for label, patch in zip(letters, patches([(lb.u, lb.v) for lb in letters]), strict=True):
        out["name"][row, patch] = 1
        out["letter"][row, patch] = _letter(label.text)
    for label, patch in zip(numbers, patches([(lb.u, lb.v) for lb in numbers]), strict=True):
        out["number"][row, patch] = 1
        out["degrees"][row, patch] = label.text.endswith("°")
        for name, digit in zip(DIGITS, digits(label.text), strict=True):
            out[name][row, patch] = digit
        out["of"][row, patch, : len(label.of)] = [_letter(point) for point in label.of]


def _letter(text: str) -> int:
    return ord(text) - ord("A")


def losses(said: dict[str, torch.Tensor], wanted: Targets) -> dict[str, torch.Tensor]:
    """One loss per head, in nats (place: mean squared patches)."""
    out = {}
    for kind, classes in KINDS.items():
        there = wanted[kind] > 0
        out[kind] = FOUND * functional.binary_cross_entropy_with_logits(
            said[kind][..., 0], wanted[kind]
        )
        if there.any():
            for name in classes:
                out[name] = functional.cross_entropy(said[name][there], wanted[name][there])
    numbers = wanted["number"] > 0
    if numbers.any():
        points, vertex = belonging(wanted["of"][numbers])
        out["of"] = len(points[0]) * functional.binary_cross_entropy_with_logits(
            said["of"][numbers], points
        )
        if (vertex >= 0).any():
            out["vertex"] = functional.cross_entropy(
                said["vertex"][numbers], vertex, ignore_index=-100
            )
    there, near = wanted["centre"] > 0, wanted["near_rank"] >= 0
    if there.any():
        out["place"] = functional.mse_loss(said["place"][there], wanted["place"][there])
    if near.any():
        for name in THINGS:
            out[f"near_{name}"] = NEAR * functional.cross_entropy(
                said[name][near], wanted[f"near_{name}"][near]
            )
    return out


def belonging(of: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in their order (N, POINTS) as a set (N, 26) of ones, and the vertex, -100 if none."""
    letters = BELONGS["of"]
    there = torch.where(of >= 0, of, letters)  # one column more, for points that are missing
    points = torch.zeros(len(of), letters + 1).scatter_(1, there, 1.0)
    return points[:, :letters], torch.where(of[:, -1] >= 0, of[:, 1], -100)


@torch.no_grad()
def accuracy(said: dict[str, torch.Tensor], wanted: Targets) -> dict[str, float]:
    """Share right per head; "object", "sign" and "value": found and right in everything."""
    report: dict[str, float] = {}
    for kind, whole_name in (("centre", "object"), ("name", "sign"), ("number", "value")):
        there = wanted[kind] > 0
        if not there.any():
            continue
        right = {n: (said[n].argmax(-1) == wanted[n])[there] for n in KINDS[kind]}
        report |= {name: float(hits.float().mean()) for name, hits in right.items()}
        found = said[kind][..., 0] > 0
        whole = found[there]
        for name, hits in right.items():
            whole = whole if name == "rank" else whole & hits
        report[f"found_{kind}"] = float(found[there].float().mean())
        report[f"false_{kind}"] = float((found & ~there).sum() / there.sum())
        report[whole_name] = float(whole.float().mean())
        if kind == "number":
            points, _ = belonging(wanted["of"][there])
            report["of"] = float(((said["of"][there] > 0) == (points > 0)).all(-1).float().mean())
    return report


def features(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The patch features the projector reads: the last layer's, before the final norm."""
    hidden: torch.Tensor = model.model.vision_tower(
        pixels, output_hidden_states=True
    ).hidden_states[-1]
    return hidden
