"""The later stages: teach the decoder to read, and to speak about images.

Rows of many short samples (`rows`), some over images and some of text
alone; the loss is on answers only. The tower keeps its heads and their loss,
so that it goes on seeing while it learns to be read, what it sees is drawn to the
words for it (`naming`), and of two images the decoder has to know what is new
before it is asked (`comparison`). What an answer is found by stands half way up as
words: what is new about a thing, what the question names, the points of a number,
the place of a thing in its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from rft_nano.model import IMAGE_TOKENS
from torch.nn import functional

from pretraining import comparison, perception
from pretraining.comparison import comparison_loss, telling_loss
from pretraining.corpus.augment import OBJECTS
from pretraining.corpus.streams import Exhibit
from pretraining.naming import ASKED, Names, naming_loss, words_loss
from pretraining.practice import in_words
from pretraining.practice.wording import Request
from pretraining.rows import Packer, Rows

NAMING, COMPARING = 0.5, 0.3  # weights of words at patches, and of what heads say is new
WORDS_WITH_PICTURE = 0.12  # share of requests over an image that have nothing to do with it


@dataclass(frozen=True)
class Batch:
    """Rows, the images (P, 3, H, W) that they and the tower look at, what these show.

    `spoken_of`: where each of the first images stands, as row and first column of its image
    tokens; the others are for the tower alone. `pairs` are the rows with two images, and
    `compared` what `comparison` should say of the second.
    """

    rows: Rows
    pixels: torch.Tensor | None
    wanted: perception.Targets
    spoken_of: list[tuple[int, int]]
    pairs: list[int]
    compared: perception.Targets


class Lessons:
    """Batches of rows: `pictured` of them start with images, `written` do not.

    `looked_at` more images come without words, for the tower: they cost a tenth of a row.
    """

    def __init__(
        self,
        packer: Packer,
        exhibits: Callable[[], Exhibit] | None,
        seed: int | str,
        *,
        pictured: int,
        written: int,
        looked_at: int = 0,
    ) -> None:
        self.packer, self.exhibits = packer, exhibits
        self.pictured, self.written, self.looked_at = pictured, written, looked_at
        self.rng = Random(seed)
        self._written_rows = packer.endless(lambda: in_words(self.rng))

    def _about(self, exhibit: Exhibit) -> Callable[[], Request]:
        def ask() -> Request:
            if self.rng.random() < WORDS_WITH_PICTURE:
                return in_words(self.rng)
            return exhibit.ask(self.rng)

        return ask

    def batch(self) -> Batch:
        """The next one."""
        shown: list[Exhibit] = []
        if self.exhibits is not None:
            shown = [self.exhibits() for _ in range(self.pictured + self.looked_at)]
        spoken = shown[: self.pictured]
        filled = [
            (self.packer.about(self._about(e), len(e.pictures)), len(e.pictures)) for e in spoken
        ]
        filled += [(next(self._written_rows), 0) for _ in range(self.written)]
        pixels, wanted = look(shown)
        spoken_of = [
            (row, 1 + number * IMAGE_TOKENS)
            for row, e in enumerate(spoken)
            for number in range(len(e.pictures))
        ]
        pairs = [row for row, e in enumerate(spoken) if len(e.pictures) == 2]
        compared = comparison.targets(
            [(spoken[row].seen[0], spoken[row].seen[1], spoken[row].changes) for row in pairs]
        )
        return Batch(self.packer.rows(filled), pixels, wanted, spoken_of, pairs, compared)


def look(shown: list[Exhibit]) -> tuple[torch.Tensor | None, perception.Targets]:
    """All images of exhibits in one tensor, and what the heads should say of them."""
    if not shown:
        return None, {}
    pixels = torch.stack([torch.from_numpy(p) for e in shown for p in e.pictures])
    wanted = perception.targets(
        [s for e in shown for s in e.seen], [labels for e in shown for labels in e.labels]
    )
    return pixels, wanted


def answer_loss(
    model: Any, rows: Rows, image: torch.Tensor | None, reader: Any = None
) -> tuple[torch.Tensor, float, torch.Tensor]:
    """Weighted mean loss over answer tokens (nats), and the share predicted right.

    Third, the hidden states (B, T, width) that `comparison` reads.
    `image`: (P, IMAGE_TOKENS, width), projected, in the order of the rows' image tokens.
    `reader`: a compiled form of the model's decoder.
    """
    text = model.model.language_model
    embedded = text.embed_tokens(rows.ids)
    if image is not None:
        here = (rows.ids == model.config.image_token_index)[..., None]
        embedded = embedded.masked_scatter(here, image)
    read = (text if reader is None else reader)(
        inputs_embeds=embedded,
        attention_mask=rows.mask,
        position_ids=rows.positions,
        use_cache=False,
        output_hidden_states=True,
    )
    hidden = read.last_hidden_state
    asked = rows.targets >= 0
    logits = functional.linear(hidden[asked], text.embed_tokens.weight)
    wanted, weights = rows.targets[asked], rows.weights[asked]
    loss = (
        functional.cross_entropy(logits, wanted, reduction="none") * weights
    ).sum() / weights.sum()
    right = float((logits.argmax(-1) == wanted).float().mean())
    return loss, right, read.hidden_states[comparison.LAYER]


def lesson_loss(
    model: Any, heads: Any, compare: Any, names: Names, lessons: Lessons, reader: Any = None
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one batch, and what to log of it."""
    batch = lessons.batch()
    table = model.model.language_model.embed_tokens.weight.detach()
    spoken_of, eyes, naming = None, torch.zeros(()), torch.zeros(())
    if batch.pixels is not None:
        seen = perception.features(model, batch.pixels)
        eyes = sum(perception.losses(heads(seen), batch.wanted).values(), eyes)
        image = model.model.multi_modal_projector(seen)
        naming = naming_loss(image, table, names, batch.wanted)
        spoken_of = image[: len(batch.spoken_of)]
    words, right, half_way = answer_loss(model, batch.rows, spoken_of, reader)
    second = half_way[batch.pairs, 1 + IMAGE_TOKENS : 1 + 2 * IMAGE_TOKENS]
    news = comparison_loss(compare(second), batch.compared)
    telling = telling_loss(second, names.vectors(table, "news"), batch.compared)
    asking = words_loss(*asked(half_way, batch.rows), names.vectors(table, "asked"))
    if batch.pixels is not None:
        letters = names.vectors(table, "letter")
        asking = asking + words_loss(*carried(half_way, batch), letters)
        asking = asking + words_loss(*ranked(half_way, batch), names.vectors(table, "rank"))
    positions = batch.rows.positions
    log = {
        "words": float(words.detach()),
        "eyes": float(eyes.detach()),
        "naming": float(naming.detach()),
        "news": float(news.detach()),
        "telling": float(telling.detach()),
        "asking": float(asking.detach()),
        "tokens_right": right,
        "samples": int((positions.diff(dim=1) < 0).sum()) + len(positions),
    }
    return words + eyes + NAMING * (naming + telling + asking) + COMPARING * news, log


def asked(half_way: torch.Tensor, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Where answers begin: hidden states (N, width), the words of `ASKED` that the question names.

    Half way up, the points, looks or places asked for should stand there, to be held against
    those that a diagram's numbers (`carried`) and things (`ranked`) carry.
    """
    at = [row for row, _, _ in rows.asked], [column for _, column, _ in rows.asked]
    marks = torch.zeros(len(rows.asked), len(ASKED))
    for index, (_, _, words) in enumerate(rows.asked):
        marks[index, words] = 1.0
    return half_way[at], marks


def carried(half_way: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Where numbers stand: hidden states (N, width), letters of their points (N, 26)."""
    of = batch.wanted["of"][: len(batch.spoken_of)]
    there = batch.wanted["number"][: len(batch.spoken_of)] > 0
    return _tokens(half_way, batch, there), perception.belonging(of[there])[0]


def ranked(half_way: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Where things stand: hidden states (N, width), places from the left (N, OBJECTS)."""
    rank = batch.wanted["rank"][: len(batch.spoken_of)]
    there = rank >= 0
    return _tokens(half_way, batch, there), functional.one_hot(rank[there], OBJECTS).float()


def _tokens(half_way: torch.Tensor, batch: Batch, there: torch.Tensor) -> torch.Tensor:
    """The hidden states (N, width) of the patches that a mask (images, IMAGE_TOKENS) picks."""
    picture, patch = there.nonzero(as_tuple=True)
    places = torch.tensor(batch.spoken_of).reshape(-1, 2)[picture]
    return half_way[places[:, 0], places[:, 1] + patch]
