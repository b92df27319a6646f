"""The log-probability of each token that `generate` writes, as the policy's distribution has it.

`generate` chooses among fewer tokens (`top_k`, `min_p`) and returns none of the log-probabilities
by which it chose. They are recorded here before any such limit, for the check that training
scores the same tokens alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList


class Record(LogitsProcessor):
    """Log-probabilities of written tokens, added by our loop, or as a processor of the plain one.

    temperature: what logits are divided by. `logps` has one tensor (B,) per token, in float32;
    what is there for a row that has ended means nothing.
    """

    def __init__(self, temperature: float) -> None:
        self.logps: list[Tensor] = []
        self._temperature = temperature
        self._last: Tensor | None = None  # (B, V)
        self._raw: Tensor | None = None  # (B, V), of the newest call of the model

    def see(self, logits: Tensor) -> None:
        """Logits (B, T, V) of a call of the model, before any processor, such as TRL's of images.

        The plain loop shows a caller's processor what is left after others: without it, the
        probabilities would be those of the tokens that are not suppressed.
        """
        self._raw = logits[:, -1].detach().float()

    def add(self, logits: Tensor, tokens: Tensor, rows: Tensor, batch: int) -> None:
        """The next tokens (R,) of the given rows, of `batch`, by their logits (R, V)."""
        found = (logits.float() / self._temperature).log_softmax(-1).gather(-1, tokens[:, None])
        self.logps.append(found.new_zeros(batch).index_copy(0, rows, found[:, 0]))

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """In the plain loop: keep the logits (B, V) until the token is known."""
        self.finish(input_ids)
        raw = self._raw
        self._last = scores.clone() if raw is None or raw.shape != scores.shape else raw
        return scores

    def finish(self, ids: Tensor) -> None:
        """In the plain loop: add the last token of ids (B, T)."""
        if self._last is not None:
            rows = torch.arange(len(ids), device=ids.device)
            self.add(self._last, ids[:, -1], rows, len(ids))
        self._last = None


IN_USE: list[Record] = []  # none or one


@contextmanager
def recording(record: Record) -> Iterator[None]:
    """Let `generate` add the tokens that it writes to `record`."""
    before, IN_USE[:] = [*IN_USE], [record]
    try:
        yield
    finally:
        IN_USE[:] = before


def recorded(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the plain loop, with the record in use, if any, as a processor.

    Processors that a caller passes come before temperature and limits of the choice.
    """
    if not IN_USE or inputs.get("logits_processor") is not None:
        return dict(inputs)
    return {**inputs, "logits_processor": LogitsProcessorList(IN_USE)}
