"""Several processes that train one model, each on its own share of a batch.

Two processes of one thread each beat one process of two threads on a small
model: they meet once a step instead of at every matrix product.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed


@dataclass(frozen=True)
class Team:
    """This process's `rank` among `size`."""

    rank: int = 0
    size: int = 1

    @classmethod
    def meet(cls, rank: int, size: int, file: Path) -> Team:
        """Wait for the others at a file, and share the machine's threads."""
        torch.set_num_threads(max(1, torch.get_num_threads() // size))
        if size > 1:
            distributed.init_process_group(
                "gloo",
                init_method=f"file://{file}",
                rank=rank,
                world_size=size,
                timeout=datetime.timedelta(hours=1),
            )
        return cls(rank, size)

    @property
    def leads(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def add_up(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over the team, in place."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def mean_gradients(self, params: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by the team's mean. All must have the same gradients set."""
        if self.size == 1:
            return
        grads = [p.grad for p in params if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.size, [g.numel() for g in grads])
        for grad, mean in zip(grads, parts, strict=True):
            grad.copy_(mean.view_as(grad))

    def from_leader(self, value: float) -> float:
        """The leader's value, in every process."""
        return float(self.add_up(torch.tensor([value if self.leads else 0.0], dtype=torch.float64)))


ALONE = Team()
