"""What the decoder must know in the middle of its layers: what a thing was in the first image.

To say what changed, a model has to find each thing of the second image in the
first and hold both against each other. Answers alone teach that slowly, since a
single word hangs on the whole chain. So the tokens of the second image have
to know, half way up, what stood there and what is new about it; the upper half
only has to find the thing asked for, or the one that changed, and read.

Knowing is not enough: a head can read what is written too faintly for the layers
above it. So what is new must also stand there as the decoder's own word for it
("color", "position"), as `naming` has it for the image itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rft_nano.model import GRID, IMAGE_TOKENS
from torch import nn
from torch.nn import functional

from pretraining.corpus.augment import Seen
from pretraining.corpus.pairs import Change
from pretraining.naming import words_loss
from pretraining.perception import Targets, patches
from pretraining.practice.changes import SAID_WAYS
from pretraining.things import ATTRIBUTES, VALUES

LAYER = 2  # of the decoder's four: what comes out of it is read
STAYED = "stayed"
WAYS = (STAYED, *SAID_WAYS)
WAS = {f"was_{attribute}": len(VALUES[attribute]) for attribute in ATTRIBUTES}
HALVES = 2 * GRID  # of the image's width or height in half patches
STOOD = {"was_column": HALVES, "was_row": HALVES}  # a move is the way from there to here
CLASSES = {
    "changed": 2,
    **{f"new_{a}": 2 for a in ATTRIBUTES},
    **WAS,
    "way": len(WAYS),
    **STOOD,
}
Story = tuple[Sequence[Seen], Sequence[Seen], Sequence[Change]]  # before, after, what is new


class Comparison(nn.Module):
    """Reads what is new off the hidden states (N, IMAGE_TOKENS, width) of second images."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, sum(CLASSES.values()))

    def forward(self, hidden: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits by name."""
        parts = self.out(self.norm(hidden)).split(list(CLASSES.values()), dim=-1)
        return dict(zip(CLASSES, parts, strict=True))


def targets(stories: Sequence[Story]) -> Targets:
    """The class of each head in each patch (N, IMAGE_TOKENS), -100 where no thing is centered."""
    out = {name: torch.full((len(stories), IMAGE_TOKENS), -100) for name in CLASSES}
    for row, (before, after, changes) in enumerate(stories):
        was = {s.number: s.thing for s in before}
        ways = {c.number: c.value for c in changes if c.attribute == "position"}
        middles = patches([(s.thing.u, s.thing.v) for s in after])
        for patch, s in zip(middles, after, strict=True):
            old, way = was[s.number], WAYS.index(ways.get(s.number, STAYED))
            out["way"][row, patch] = way
            out["was_column"][row, patch] = _half(old.u)
            out["was_row"][row, patch] = _half(old.v)
            for a in ATTRIBUTES:
                out[f"was_{a}"][row, patch] = VALUES[a].index(getattr(old, a))
                out[f"new_{a}"][row, patch] = getattr(old, a) != getattr(s.thing, a)
            new = [bool(out[f"new_{a}"][row, patch]) for a in ATTRIBUTES]
            out["changed"][row, patch] = any(new) or way > 0
    return out


def _half(share: float) -> int:
    return int(min(HALVES - 1, max(0, share * HALVES)))


def comparison_loss(said: dict[str, torch.Tensor], wanted: Targets) -> torch.Tensor:
    """The sum over heads of the mean cross-entropy (nats) over things.

    Without a pair it is zero, with gradients: every process of a team must have some.
    """
    there = wanted["changed"] >= 0
    total = torch.stack(
        [
            functional.cross_entropy(said[name][there], wanted[name][there], reduction="sum")
            for name in CLASSES
        ]
    ).sum()
    return total / max(1, int(there.sum()))


def told(wanted: Targets) -> torch.Tensor:
    """Which words of `naming.NEWS` should stand in each patch: (N, IMAGE_TOKENS, words)."""
    new = [wanted[f"new_{a}"] > 0 for a in ATTRIBUTES] + [wanted["way"] > 0]
    return torch.stack([*new, wanted["changed"] == 0], dim=-1).float()


def telling_loss(hidden: torch.Tensor, words: torch.Tensor, wanted: Targets) -> torch.Tensor:
    """`words_loss` over the things in hidden states (N, IMAGE_TOKENS, width)."""
    there = wanted["changed"] >= 0
    return words_loss(hidden[there], told(wanted)[there], words)
