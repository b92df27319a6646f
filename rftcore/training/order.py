"""The order in which GRPO draws its prompts: TRL's own shuffle, repeatable after a resume.

TRL's sampler shuffles each epoch with a generator that starts over in a new session, so a phase
that was resumed in its second epoch would repeat the order of the first. TRL therefore runs
without its shuffle, and its row numbers are positions in an order that is computed here from
the seed and the epoch: the same as TRL's in a run that is not interrupted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

if TYPE_CHECKING:
    from rftcore.training.curriculum import Curriculum


class Order(TrainerCallback):
    """Maps a position in the current epoch to the sample that is drawn there.

    size: samples of the split. prompts: per step. curriculum: may draw another sample.
    """

    def __init__(
        self,
        size: int,
        prompts: int,
        *,
        seed: int,
        shuffle: bool,
        curriculum: Curriculum | None = None,
    ) -> None:
        self._size, self._prompts, self._shuffle = size, prompts, shuffle
        self._generator = torch.Generator().manual_seed(seed)
        self._shuffled: list[list[int]] = []
        self._epoch = torch.zeros((), dtype=torch.long)
        shared: Any = self._epoch  # untyped in torch
        shared.share_memory_()  # data workers read it
        self._curriculum = curriculum
        if curriculum is not None:
            curriculum.follow(self.prompts_of)

    def on_epoch_begin(
        self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any
    ) -> None:
        """Set the epoch. It begins after whole epochs, but for the one that is resumed."""
        steps = math.ceil(len(train_dataloader) / args.gradient_accumulation_steps)
        self._epoch.fill_(state.global_step // max(1, steps))

    def sample(self, position: int) -> int:
        """The index of the sample at a position of the current epoch."""
        epoch = int(self._epoch)
        if self._curriculum is None:
            return self._permutation(epoch)[position]
        step, place = divmod(position, self._prompts)
        return self._curriculum.drawn(epoch * (self._size // self._prompts) + step)[place]

    def prompts_of(self, batch: int) -> list[int]:
        """The samples of a batch of prompts, counted from the first of the phase, by this order."""
        epoch, place = divmod(batch, self._size // self._prompts)
        return self._permutation(epoch)[place * self._prompts : (place + 1) * self._prompts]

    def _permutation(self, epoch: int) -> list[int]:
        while self._shuffle and len(self._shuffled) <= epoch:
            self._shuffled.append(torch.randperm(self._size, generator=self._generator).tolist())
        return self._shuffled[epoch] if self._shuffle else list(range(self._size))
