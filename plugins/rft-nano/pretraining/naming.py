"""Image tokens in the decoder's own words: what a patch shows should look like its name.

The decoder learns from text alone to pick words out of lists. If the token of a patch with
a large red rubber cube lies near the embeddings of "large", "red", "rubber" and "cube",
that skill carries over to images at once; left to find a code of its own, it takes far
longer (docs/nano.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

import torch
from rft_nano.words import BIGGEST_NUMBER
from torch.nn import functional

from pretraining.perception import BLANK, NEAR, POINTS, Targets
from pretraining.things import ATTRIBUTES, ORDINALS, VALUES

SHARPNESS = 20.0  # logits are cosines times this; a patch near four words has cosines of a half
ASKED = (*ascii_uppercase, *(value for a in ATTRIBUTES for value in VALUES[a]), *ORDINALS)
OF = 0.8  # weight of each of the points that a number belongs to
NEWS = (*ATTRIBUTES, "position", "same")  # what can be said to be new about a thing
_PLACES = (("hundreds", 100), ("tens", 10), ("units", 1))


class Names:
    """Which tokens spell each value of each group, as after a space."""

    def __init__(self, tokenizer: Any) -> None:
        def ids(value: str) -> list[int]:
            return list(tokenizer(value, add_special_tokens=False)["input_ids"])

        words: Mapping[str, Any] = {
            **{attribute: VALUES[attribute] for attribute in ATTRIBUTES},
            "letter": ascii_uppercase,
            "number": [str(number) for number in range(BIGGEST_NUMBER + 1)],
            "news": NEWS,
            "asked": ASKED,
            "rank": ORDINALS,
        }
        self.ids = {group: [ids(value) for value in values] for group, values in words.items()}

    def vectors(self, embedding: torch.Tensor, group: str) -> torch.Tensor:
        """The unit vector of each value of a group, (values, width): the mean of its tokens."""
        rows = [embedding[tokens].mean(0) for tokens in self.ids[group]]
        return functional.normalize(torch.stack(rows), dim=-1)


def named(wanted: Targets) -> dict[str, list[tuple[torch.Tensor, float]]]:
    """By group: targets (P, IMAGE_TOKENS), -100 where nothing is named, and their weight."""
    out = {a: [(wanted[a], 1.0), (wanted[f"near_{a}"], NEAR)] for a in ATTRIBUTES}
    out["letter"] = [(wanted["letter"], 1.0)]
    out["letter"] += [(wanted["of"][..., point], OF) for point in range(POINTS)]
    number = torch.zeros_like(wanted["units"])
    for place, worth in _PLACES:
        digit = wanted[place]
        number = number + worth * torch.where(digit == BLANK, torch.zeros_like(digit), digit)
    out["number"] = [(torch.where(wanted["number"] > 0, number, -100), 1.0)]
    return out


def naming_loss(
    projected: torch.Tensor, embedding: torch.Tensor, names: Names, wanted: Targets
) -> torch.Tensor:
    """Cross-entropy (nats, summed over groups) of each patch's names among those of the group.

    `projected`: (P, IMAGE_TOKENS, width), what the decoder reads; `embedding`: (V, width), not
    moved by this loss: words belong to the decoder, and images come to them.
    """
    total = projected.new_zeros(())
    unit = functional.normalize(projected, dim=-1)
    for group, targets in named(wanted).items():
        vectors: torch.Tensor | None = None
        for target, weight in targets:
            there = target >= 0
            if there.any():
                vectors = names.vectors(embedding.detach(), group) if vectors is None else vectors
                logits = SHARPNESS * unit[there] @ vectors.T
                total = total + weight * functional.cross_entropy(logits, target[there])
    return total


def words_loss(hidden: torch.Tensor, marks: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy (nats) of the words that should stand in hidden states, by cosine.

    `hidden`: (N, width). `marks`: (N, V), one where a word should stand. `words`: unit vectors
    (V, width), as of `Names.vectors`, which this loss does not move. Of no hidden states it is
    zero, with gradients: every process of a team must have some.
    """
    wanted = marks / marks.sum(-1, keepdim=True).clamp(min=1)
    said = (SHARPNESS * functional.normalize(hidden, dim=-1) @ words.T).log_softmax(-1)
    return -(wanted * said).sum() / max(1, len(hidden))
