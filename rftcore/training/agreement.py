"""Measure how far the gradients of the first GRPO steps agree, from gradients that exist anyway.

Two steps are two halves of their rollouts: other prompts, other completions, almost the same
policy. After each of the first steps, the cosine of its gradient with that of every earlier
one is known from one running sum, since with unit vectors u_i

    mean over i < t of cos(g_i, g_t) = u_t . (u_1 + ... + u_{t-1}) / (t - 1)

Sixteen steps give 120 cosines. The cost is a dot product per step and 16 MB: of a large model,
the same four million weights are read each time. Nothing is computed that training does not
compute, and no random number of torch is drawn, so training is the same bit for bit.

What the cosine means: `rftcore.training.signal.gradients`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from rftcore import distributed
from rftcore.training.signal.gradients import AGREEMENT, PAIRS
from rftcore.training.step_numbers import StepNumbers

STEPS = 16  # whose gradients are compared
MOST = 2**22  # weights that are read


class GradientAgreement(StepNumbers):
    """Logs the mean cosine of each of the first steps' gradients with the earlier ones.

    reuse: optimizer steps per batch of rollouts; only the first of them has new rollouts. A phase
    that continues from a checkpoint is not measured: the earlier gradients are not kept.
    """

    def __init__(self, reuse: int = 1) -> None:
        self._reuse = reuse
        self._sample: Sample | None = None
        self._sum: Tensor | None = None
        self._steps = 0
        self._cosines, self._pairs = 0.0, 0  # since the last line
        self._done = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure a phase from its first step only."""
        self._done = state.global_step > 0

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Compare the gradient of the step that is about to be taken with the earlier ones."""
        if self._done or state.global_step % self._reuse:
            return
        self._sample = self._sample or Sample(model.parameters(), MOST)
        gradient = self._sample.gradient()
        norm = self._sample.total(gradient.dot(gradient)) ** 0.5
        if 0 < norm < float("inf"):
            self._add(gradient / norm)

    def _add(self, unit: Tensor) -> None:
        if self._sum is None or self._sample is None:
            self._sum = torch.zeros_like(unit)
        elif self._steps:
            self._cosines += self._sample.total(unit.dot(self._sum))
            self._pairs += self._steps
        self._sum += unit
        self._steps += 1
        if self._steps == STEPS:
            self._done, self._sum, self._sample = True, None, None

    def numbers(self, args: Any, logs: Mapping[str, Any]) -> Mapping[str, float]:
        """The mean cosine since the last line."""
        if not self._pairs:
            return {}
        found = {AGREEMENT: self._cosines / self._pairs, PAIRS: self._pairs}
        self._cosines, self._pairs = 0.0, 0
        return found


class Sample:
    """At most `most` weights of a model, the same each time, or all if it has no more.

    They are drawn with a generator of their own. Of weights that are sharded over ranks, each
    rank reads its shard, and `total` adds up over ranks.
    """

    def __init__(self, parameters: Iterable[Tensor], most: int) -> None:
        trained = [p for p in parameters if p.requires_grad]
        self._sharded = any(hasattr(p, "to_local") for p in trained)
        sizes = [_local(p).numel() for p in trained]
        draw = torch.Generator().manual_seed(0)
        keep = min(1.0, most / max(sum(sizes), 1))
        self._parts = [
            (p, None if keep == 1 else _chosen(size, keep, draw).to(_local(p).device))
            for p, size in zip(trained, sizes, strict=True)
        ]

    def gradient(self) -> Tensor:
        """The gradient of the chosen weights: (n,), float32, on the CPU; 0 where there is none."""
        return torch.cat([torch.zeros(0), *(_read(p, chosen) for p, chosen in self._parts)])

    def total(self, mine: Tensor) -> float:
        """The sum of a number over the shards of all ranks."""
        return sum(distributed.all_gather(float(mine))) if self._sharded else float(mine)


def _chosen(size: int, keep: float, draw: torch.Generator) -> Tensor:
    return torch.randint(max(size, 1), (int(size * keep),), generator=draw)


def _read(parameter: Tensor, chosen: Tensor | None) -> Tensor:
    if parameter.grad is None:
        size = _local(parameter).numel() if chosen is None else len(chosen)
        return torch.zeros(size)
    flat = _local(parameter.grad).detach().reshape(-1)
    return (flat if chosen is None else flat[chosen]).float().cpu()


def _local(tensor: Any) -> Tensor:
    """This rank's shard, or the tensor itself."""
    local: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local
