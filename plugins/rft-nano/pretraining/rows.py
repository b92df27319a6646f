"""Pack many short samples into rows of one length, without padding to speak of.

A row is a shared start (the tokens of one or two images, or nothing) and then
segments, one per instruction and answer. A segment sees the start and itself;
its positions go on from the start. So one pass over an image serves several
questions, and the model sees exactly what it will see alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rft_nano.model import IMAGE_TOKENS
from rft_nano.tokenizer import ASSISTANT, END, IMAGE, USER
from rft_nano.words import PLURALS

from pretraining.naming import ASKED
from pretraining.practice.wording import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH = 288  # tokens in a row: two images, and a request about six things
Segment = tuple[list[int], int]  # tokens, and how many of them are the answer with its end
Filled = Sequence[tuple[Sequence[Segment], int]]  # of each row, and its number of images
ALSO_WORDS = "AI"  # letters that are words too: they need not name a point
MOST_ASKED = 4  # words that a question names; more are a list, not what is asked for
AT_A_TIME = 6  # requests that are encoded together
START, PADDING = 0, -1  # segment numbers with a meaning; the others count from 1


@dataclass(frozen=True)
class Rows:
    """A batch. Shapes (B, LENGTH), except `mask` (B, 1, LENGTH, LENGTH).

    `mask` is True where a token may look. `targets` is the next token where
    an answer is to be predicted and -100 elsewhere; `weights` sum to one per
    segment to the power 1/2: long lists count more than one number, not 50 times.
    `asked`: row, column and words (as in `naming.ASKED`) of each place where the answer to a
    question about an image begins, if the question names a few points, looks or places.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    asked: list[tuple[int, int, list[int]]]


class Packer:
    """Turns pairs into rows with one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        # A copy: whoever calls the tokenizer with padding=True turns it on in the original.
        self._core = type(tokenizer.backend_tokenizer).from_str(
            tokenizer.backend_tokenizer.to_str()
        )
        self._core.no_padding()
        ids = tokenizer.convert_tokens_to_ids
        self._user, self.image = ids(USER), ids(IMAGE)
        self._end, self._assistant, self._pad = ids(END), ids(ASSISTANT), tokenizer.pad_token_id
        self._named = self._words()

    def _words(self) -> dict[int, int]:
        """Tokens of words that a question may name, each with its place in `naming.ASKED`."""
        out: dict[int, int] = {}
        for index, word in enumerate(ASKED):
            if word not in ALSO_WORDS:
                forms = {word, word.capitalize(), PLURALS.get(word, word)}
                out |= {ids[0]: index for ids in self.encode(sorted(forms)) if len(ids) == 1}
        return out

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        return [e.ids for e in self._core.encode_batch(list(texts), add_special_tokens=False)]

    def segments(self, requests: Sequence[Request], *, pictures: int) -> list[Segment]:
        """Each request's tokens; with images, the user's turn has begun before them."""
        flat = self.encode([text for request in requests for text in request])
        head = [] if pictures else [self._user]
        return [
            ([*head, *ask, self._end, self._assistant, *answer, self._end], len(answer) + 1)
            for ask, answer in zip(flat[::2], flat[1::2], strict=True)
        ]

    def row(self, segments: Sequence[Segment], *, pictures: int) -> tuple[NDArray[Any], ...]:
        """ids, positions, segment numbers, targets and weights of one row."""
        start = [self._user] + [self.image] * (IMAGE_TOKENS * pictures) if pictures else []
        ids = np.full(LENGTH, self._pad)
        positions, number = np.zeros(LENGTH, int), np.full(LENGTH, PADDING)
        targets, weights = np.full(LENGTH, -100), np.zeros(LENGTH, np.float32)
        at = len(start)
        ids[:at], positions[:at], number[:at] = start, np.arange(at), START
        for index, (tokens, answer) in enumerate(segments, 1):
            end = at + len(tokens)
            ids[at:end], number[at:end] = tokens, index
            positions[at:end] = len(start) + np.arange(len(tokens))
            targets[end - answer - 1 : end - 1] = tokens[-answer:]
            weights[end - answer - 1 : end - 1] = answer**-0.5
            at = end
        return ids, positions, number, targets, weights

    def rows(self, filled: Filled) -> Rows:
        """A batch."""
        columns = zip(
            *(self.row(segments, pictures=pictures) for segments, pictures in filled), strict=True
        )
        ids, positions, number, targets, weights = (torch.from_numpy(np.stack(c)) for c in columns)
        return Rows(ids, positions, see(number), targets, weights, self._asked(filled))

    def _asked(self, filled: Filled) -> list[tuple[int, int, list[int]]]:
        out = []
        for row, (segments, pictures) in enumerate(filled):
            end = 1 + IMAGE_TOKENS * pictures
            for tokens, answer in segments if pictures else ():
                end += len(tokens)
                named = {self._named[t] for t in tokens[:-answer] if t in self._named}
                if 0 < len(named) <= MOST_ASKED:
                    out.append((row, end - answer - 1, sorted(named)))
        return out

    def about(self, ask: Callable[[], Request], pictures: int) -> list[Segment]:
        """As many requests about the same images as fit into a row."""
        room = LENGTH - 1 - IMAGE_TOKENS * pictures
        row: list[Segment] = []
        while True:
            for segment in self.segments([ask() for _ in range(AT_A_TIME)], pictures=pictures):
                if len(segment[0]) <= room:
                    room -= len(segment[0])
                    row.append(segment)
                elif row:
                    return row

    def endless(self, ask: Callable[[], Request]) -> Iterator[list[Segment]]:
        """Rows of text alone; what does not fit opens the next one."""
        waiting: list[Segment] = []
        while True:
            row: list[Segment] = []
            room = LENGTH
            while True:
                if not waiting:
                    waiting = self.segments([ask() for _ in range(AT_A_TIME)], pictures=0)
                if len(waiting[0][0]) > room and row:
                    break
                room -= len(waiting[0][0])
                if room >= 0:
                    row.append(waiting.pop(0))
                else:  # too long for any row
                    waiting.pop(0)
                    room = LENGTH
            yield row


def see(number: torch.Tensor) -> torch.Tensor:
    """Who sees whom, from segment numbers (B, T): the start and one's own past. (B, 1, T, T)."""
    same = number[:, :, None] == number[:, None, :]
    start = (number == START)[:, None, :]
    past = torch.ones(number.shape[1], number.shape[1], dtype=torch.bool).tril()
    return ((same | start) & past)[:, None]
