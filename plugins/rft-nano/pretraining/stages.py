"""One stage of the training: a loop bounded by minutes that can be stopped and resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pretraining.optim import Both
from pretraining.team import Team

MUON_LR, ADAM_LR = 2e-3, 1.5e-3
WARM_UP_STEPS = 60
DECAY = 0.5  # the last share of a stage, over which the learning rate falls to nearly nothing
SAVE_EVERY_S, EXPORT_EVERY_S, LOG_EVERY = 120.0, 1800.0, 50
Losses = Callable[[], tuple[torch.Tensor, dict[str, float]]]


class Log:
    """Lines of JSON on disk and, short, on the terminal."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, **record: Any) -> None:
        """Append one record."""
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in record.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(rounded) + "\n")
        print(rounded, flush=True)


class Stage:
    """A loop bounded by minutes that can be stopped and taken up again."""

    def __init__(
        self,
        name: str,
        modules: dict[str, torch.nn.Module],
        folder: Path,
        log: Log,
        team: Team,
        *,
        faster: float = 1.0,
    ) -> None:
        self.name, self.modules, self.log, self.team = name, modules, log, team
        both = torch.nn.ModuleDict(modules)
        self.optimiser = Both(both, muon_lr=faster * MUON_LR, adam_lr=faster * ADAM_LR, team=team)
        self.path = folder / f"{name}.pt"
        self.elapsed_s, self.step = 0.0, 0
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.elapsed_s, self.step = state["elapsed_s"], state["step"]
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
        for part, saved in zip(self.optimiser.parts, state["optimiser"], strict=True):
            part.load_state_dict(saved)

    def save(self) -> None:
        """Write modules, optimizers and position, atomically."""
        state: dict[str, Any] = {name: module.state_dict() for name, module in self.modules.items()}
        state["optimiser"] = [part.state_dict() for part in self.optimiser.parts]
        state |= {"elapsed_s": self.elapsed_s, "step": self.step}
        torch.save(state, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)

    def scale(self, done: float) -> float:
        """Learning rate factor: a ramp, a plain, a linear descent to 2 %."""
        return min(1.0, (self.step + 1) / WARM_UP_STEPS) * max(0.02, min(1.0, (1 - done) / DECAY))

    def run(
        self,
        minutes: float,
        losses: Losses,
        pause: Callable[[], None],
        steps: int | None = None,
    ) -> None:
        """Train until `minutes`, or `steps`, are used up; the leader calls `pause` every ten."""
        last = saved = exported = time.monotonic()
        while (done := self._done(minutes, steps)) < 1:
            record = self._learn(losses, self.scale(done))
            now = time.monotonic()
            self.elapsed_s = self.team.from_leader(self.elapsed_s + now - last)
            if self.step % LOG_EVERY == 0 and self.team.leads:
                self.log(
                    stage=self.name,
                    step=self.step,
                    elapsed_s=self.elapsed_s,
                    step_s=now - last,
                    **record,
                )
            last = time.monotonic()
            if now - saved > SAVE_EVERY_S and self.team.leads:
                self.save()
                saved = now
            if now - exported > EXPORT_EVERY_S and self.team.leads:
                pause()
                exported = last = time.monotonic()
        if self.team.leads:
            self.save()

    def _done(self, minutes: float, steps: int | None) -> float:
        """How much of the stage is behind us, from 0 to 1; no minutes leave it out."""
        if minutes <= 0:
            return 1.0
        return max(self.elapsed_s / (minutes * 60), self.step / steps if steps else 0.0)

    def _learn(self, losses: Losses, scale: float) -> dict[str, float]:
        loss, record = losses()
        loss.backward()  # type: ignore[no-untyped-call]
        for module in self.modules.values():
            self.team.mean_gradients(module.parameters())
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        self.optimiser.step(scale)
        self.step += 1
        return record
