"""The optimizer of the build: Muon for the hidden matrices, AdamW for the rest.

Muon replaces the momentum of a matrix by the nearest orthogonal one (five
Newton-Schulz steps), so that every direction moves alike. Written out in
float32: this build runs on processors where bfloat16 is emulated.
Source: K. Jordan, "Muon", 2024; scaling by 0.2 sqrt(max(rows, columns)), so
that one learning rate fits both parts, from arXiv:2502.16982.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch

from pretraining.team import ALONE, Team


def orthogonalised(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The odd polynomial of each matrix that pushes its singular values to about one.

    Shape: (N, rows, columns) to the same. Coefficients: Jordan 2024.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[1] > matrices.shape[2]
    x: torch.Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon over 2-D parameters, equal shapes in one batch of matrix products."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
        team: Team = ALONE,
    ) -> None:
        self.team = team
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            shapes = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    shapes[p.shape].append(p)
            for shape, same in shapes.items():
                moved = self._orthogonal(
                    torch.stack([self._momentum(p, group["momentum"]) for p in same])
                )
                scale = group["lr"] * 0.2 * math.sqrt(max(shape))
                for p, update in zip(same, moved, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-scale)

    def _orthogonal(self, matrices: torch.Tensor) -> torch.Tensor:
        """Each process of the team does its share of the matrices."""
        mine = slice(self.team.rank, None, self.team.size)
        moved = torch.zeros_like(matrices)
        if len(matrices[mine]):
            moved[mine] = orthogonalised(matrices[mine])
        return self.team.add_up(moved)

    def _momentum(self, p: torch.nn.Parameter, beta: float) -> torch.Tensor:
        assert p.grad is not None
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(p.grad, 1 - beta)
        return p.grad.lerp(state["momentum"], beta)  # Nesterov


class Both:
    """Two optimizers as one, with one learning rate: the schedule scales both alike."""

    def __init__(
        self, model: torch.nn.Module, *, muon_lr: float, adam_lr: float, team: Team = ALONE
    ) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        hidden = [(n, p) for n, p in named if p.ndim == 2 and "layers." in n and "bias" not in n]
        chosen = {n for n, _ in hidden}
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                [p for n, p in named if n not in chosen],
                lr=adam_lr,
                betas=(0.9, 0.98),
                weight_decay=0.01,
            )
        ]
        if muon_lr:
            self.parts.append(Muon([p for _, p in hidden], lr=muon_lr, team=team))
        else:
            self.parts.append(
                torch.optim.AdamW(
                    [p for _, p in hidden], lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.05
                )
            )
        self._lrs = [part.param_groups[0]["lr"] for part in self.parts]

    def step(self, scale: float) -> None:
        """Update with the learning rates times `scale`, and drop the gradients."""
        for part, lr in zip(self.parts, self._lrs, strict=True):
            part.param_groups[0]["lr"] = lr * scale
            part.step()
            part.zero_grad(set_to_none=True)
