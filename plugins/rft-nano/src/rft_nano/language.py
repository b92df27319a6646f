"""The later stages: teach the decoder to read, and to speak about pictures.

Rows of many short samples (`rows`), some over pictures and some of text
alone; the loss is on answers only. The tower keeps its heads and their loss,
so that it goes on seeing while it learns to be read.
"""

from __future__ import annotations

from random import Random
from typing import Any

import torch
from torch.nn import functional

from rft_nano import perception
from rft_nano.corpus import Pictures, Seen
from rft_nano.model import IMAGE_TOKENS
from rft_nano.practice import Pair, from_picture, in_words
from rft_nano.rows import Packer, Rows, fill
from rft_nano.things import Thing

WORDS_WITH_PICTURE = 0.12  # share of requests over a picture that have nothing to do with it


class Lessons:
    """Batches of rows: `pictured` of them start with a picture, `written` do not.

    `looked_at` more pictures come without words, for the tower: they cost a tenth of a row.
    """

    def __init__(
        self,
        packer: Packer,
        pictures: Pictures | None,
        seed: int | str,
        *,
        pictured: int,
        written: int,
        looked_at: int = 0,
    ) -> None:
        self.packer, self.pictures = packer, pictures
        self.pictured, self.written, self.looked_at = pictured, written, looked_at
        self.rng = Random(seed)
        self._things: list[Thing] = []
        self._seen_rows = fill(packer, self._about_picture, seen=True)
        self._written_rows = fill(packer, lambda: in_words(self.rng), seen=False)

    def _about_picture(self) -> Pair:
        if self.rng.random() < WORDS_WITH_PICTURE:
            return in_words(self.rng)
        return from_picture(self.rng, self._things)

    def batch(self) -> tuple[Rows, torch.Tensor | None, list[list[Seen]]]:
        """Rows (pictured ones first), pictures (N, 3, 96, 96) in their order, what these show."""
        filled, pixels, shown = [], [], []
        for index in range(self.pictured + self.looked_at if self.pictures else 0):
            assert self.pictures is not None
            picture, seen = self.pictures()
            pixels.append(torch.from_numpy(picture))
            shown.append(seen)
            if index < self.pictured:
                self._things = [s.thing for s in seen]
                filled.append((next(self._seen_rows), True))
        filled += [(next(self._written_rows), False) for _ in range(self.written)]
        return self.packer.rows(filled), torch.stack(pixels) if pixels else None, shown


def answer_loss(
    model: Any, rows: Rows, patch_features: torch.Tensor | None, reader: Any = None
) -> tuple[torch.Tensor, float]:
    """Weighted mean loss over answer tokens (nats), and the share predicted right.

    `patch_features`: (P, 64, width) for the first P rows. `reader`: a compiled form
    of the model's decoder.
    """
    text = model.model.language_model
    embedded = text.embed_tokens(rows.ids)
    if patch_features is not None:
        image = model.model.multi_modal_projector(patch_features)
        count = len(image)
        start, rest = embedded[:count, :1], embedded[:count, 1 + IMAGE_TOKENS :]
        embedded = torch.cat([torch.cat([start, image, rest], 1), embedded[count:]])
    hidden = (text if reader is None else reader)(
        inputs_embeds=embedded,
        attention_mask=rows.mask,
        position_ids=rows.positions,
        use_cache=False,
    ).last_hidden_state
    asked = rows.targets >= 0
    logits = functional.linear(hidden[asked], text.embed_tokens.weight)
    wanted, weights = rows.targets[asked], rows.weights[asked]
    loss = (
        functional.cross_entropy(logits, wanted, reduction="none") * weights
    ).sum() / weights.sum()
    return loss, float((logits.argmax(-1) == wanted).float().mean())


def lesson_loss(
    model: Any, heads: Any, lessons: Lessons, reader: Any = None
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one batch, and what to log of it."""
    rows, pixels, shown = lessons.batch()
    seen_features, eyes = None, torch.zeros(())
    if pixels is not None:
        seen_features = perception.features(model, pixels)
        eyes = sum(
            perception.losses(heads(seen_features), perception.targets(shown)).values(), eyes
        )
        seen_features = seen_features[: lessons.pictured]
    words, right = answer_loss(model, rows, seen_features, reader)
    samples = int((rows.positions.diff(dim=1) < 0).sum()) + len(rows.ids)
    log = {
        "words": float(words.detach()),
        "eyes": float(eyes.detach()),
        "tokens_right": right,
        "samples": samples,
    }
    return words + eyes, log
