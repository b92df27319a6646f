"""Pack many short samples into rows of one length, without padding to speak of.

A row is a shared start (the picture's 64 tokens, or nothing) and then
segments, one per instruction and answer. A segment sees the start and itself;
its positions go on from the start. So one pass over a picture serves several
questions, and the model sees exactly what it will see alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rft_nano.model import IMAGE_TOKENS
from rft_nano.practice import Pair
from rft_nano.tokenizer import ASSISTANT, END, IMAGE, USER

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH = 256  # tokens in a row
START, PADDING = 0, -1  # segment numbers with a meaning; the others count from 1


@dataclass(frozen=True)
class Rows:
    """A batch. Shapes (B, LENGTH), except `mask` (B, 1, LENGTH, LENGTH).

    `mask` is True where a token may look. `targets` is the next token where
    an answer is to be predicted and -100 elsewhere; `weights` sum to one per
    segment to the power 1/2: long lists count more than one number, not 50 times.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


class Packer:
    """Turns pairs into rows with one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._core = tokenizer.backend_tokenizer
        ids = tokenizer.convert_tokens_to_ids
        self._user, self._image = ids(USER), ids(IMAGE)
        self._end, self._assistant, self._pad = ids(END), ids(ASSISTANT), tokenizer.pad_token_id

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        return [e.ids for e in self._core.encode_batch(list(texts), add_special_tokens=False)]

    def segments(self, pairs: Sequence[Pair], *, seen: bool) -> list[tuple[list[int], int]]:
        """Each pair's tokens and the length of its answer, end included."""
        flat = self.encode([text for pair in pairs for text in pair])
        head = [] if seen else [self._user]
        return [
            ([*head, *ask, self._end, self._assistant, *answer, self._end], len(answer) + 1)
            for ask, answer in zip(flat[::2], flat[1::2], strict=True)
        ]

    def row(
        self, segments: Sequence[tuple[list[int], int]], *, seen: bool
    ) -> tuple[NDArray[Any], ...]:
        """ids, positions, segment numbers, targets and weights of one row."""
        start = [self._user] + [self._image] * IMAGE_TOKENS if seen else []
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

    def rows(self, filled: Sequence[tuple[Sequence[tuple[list[int], int]], bool]]) -> Rows:
        """A batch from (segments, seen) per row."""
        columns = zip(*(self.row(segments, seen=seen) for segments, seen in filled), strict=True)
        ids, positions, number, targets, weights = (torch.from_numpy(np.stack(c)) for c in columns)
        return Rows(ids, positions, see(number), targets, weights)


def see(number: torch.Tensor) -> torch.Tensor:
    """Who sees whom, from segment numbers (B, T): the start and one's own past. (B, 1, T, T)."""
    same = number[:, :, None] == number[:, None, :]
    start = (number == START)[:, None, :]
    past = torch.ones(number.shape[1], number.shape[1], dtype=torch.bool).tril()
    return ((same | start) & past)[:, None]


def fill(
    packer: Packer, ask: Callable[[], Pair], *, seen: bool, at_a_time: int = 6
) -> Iterator[list[tuple[list[int], int]]]:
    """Endless rows of segments from one source of pairs; what does not fit opens the next row.

    With `seen`, pairs that do not fit are dropped: the next row has another picture.
    """
    room = LENGTH - (1 + IMAGE_TOKENS if seen else 0)
    waiting: list[tuple[list[int], int]] = []
    while True:
        row, used = [], 0
        while True:
            if not waiting:
                waiting = packer.segments([ask() for _ in range(at_a_time)], seen=seen)
            if used + len(waiting[0][0]) > room:
                if used == 0:
                    waiting.pop(0)
                    continue
                break
            used += len(waiting[0][0])
            row.append(waiting.pop(0))
        if seen:
            waiting = []
        yield row
