"""Profile a GRPO step.

    python benchmarks/grpo_breakdown.py --json parts.json -- \
        --task counting --model runs/X/sft/model --set sft.enabled=false \
        --set evaluation.zero_shot=false --set grpo.max_steps=20

Runs `rft train` with the arguments after `--` and times functions of TRL and rft.
Times are exclusive: a part that another part calls counts separately. Prints
medians over the steps after the first two, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

WARM_UP = 2  # steps: threads, allocations, the check of the shared prefix


class Clock:
    """Exclusive seconds of each part, per step."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.steps: list[dict[str, float]] = []
        self._now: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = self._clock()

    def turn(self) -> None:
        """Start a new step."""
        self._charge()
        self.steps.append(self._now)
        self._now = defaultdict(float)

    def within(self, name: str) -> bool:
        """Whether a part of this name is running."""
        return name in self._open

    def times(self, owner: Any, method: str, part: str | Callable[[dict[str, Any]], str]) -> None:
        """Charge the calls of a method to a part, or to the one named at each call."""
        call = getattr(owner, method)

        @wraps(call)
        def timed(*args: Any, **inputs: Any) -> Any:
            self._charge()
            self._open.append(part if isinstance(part, str) else part(inputs))
            try:
                return call(*args, **inputs)
            finally:
                self._charge()
                self._open.pop()

        setattr(owner, method, timed)

    def _charge(self) -> None:
        now = self._clock()
        self._now[self._open[-1] if self._open else REST] += now - self._since
        self._since = now


REST = "other"
PREPARE, READ, GENERATE = "prompts to tokens", "reading the prompts", "sampling, stopping, cache"


def main() -> None:
    """Train, then print where the time went."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cpu", action="store_true", help="CPU time, for a machine that is busy")
    parser.add_argument("train", nargs="+", help="arguments of `rft train`")
    args = parser.parse_args()
    clock = Clock(time.process_time if args.cpu else time.perf_counter)
    instrument(clock)

    from rftcore.cli import main as rft

    rft(["train", *args.train], standalone_mode=False)
    parts = medians(clock.steps[WARM_UP + 1 :])
    print(table(parts))
    if args.json:
        args.json.write_text(json.dumps(parts, indent=2) + "\n")


def instrument(clock: Clock) -> None:
    """Time everything that a step calls."""
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer
    from transformers import BaseImageProcessor, GenerationMixin, Trainer
    from trl.trainer.grpo_trainer import GRPOTrainer

    clock.times(Trainer, "get_batch_samples", "rows and images")
    clock.times(GRPOTrainer, "_generate_and_score_completions", "padding, advantages, metrics")
    clock.times(GRPOTrainer, "_tokenize_prompts", PREPARE)
    clock.times(BaseImageProcessor, "__call__", lambda _: pixels(clock))
    clock.times(GenerationMixin, "generate", GENERATE)
    clock.times(GRPOTrainer, "_calculate_rewards", "rewards")
    clock.times(GRPOTrainer, "compute_loss", "loss")
    clock.times(Accelerator, "backward", "backward")
    clock.times(Accelerator, "clip_grad_norm_", "gradient norm")
    clock.times(AcceleratedOptimizer, "step", "optimizer")
    clock.times(GRPOTrainer, "log", "logging")
    clock.times(GRPOTrainer, "_save_checkpoint", "checkpoints")
    before(Trainer, "training_step", lambda _: clock.turn())
    before(GRPOTrainer, "train", partial(begin, clock))


def begin(clock: Clock, trainer: Any) -> None:
    """At the start of GRPO: drop the steps of SFT, and time the policy."""
    clock.steps.clear()
    clock.times(trainer.model, "forward", lambda inputs: forward(clock, inputs))


def before(owner: Any, method: str, act: Callable[[Any], None]) -> None:
    """Call `act` before each call of a method."""
    call = getattr(owner, method)

    @wraps(call)
    def acting(self: Any, *args: Any, **inputs: Any) -> Any:
        act(self)
        return call(self, *args, **inputs)

    setattr(owner, method, acting)


def forward(clock: Clock, inputs: dict[str, Any]) -> str:
    """The part that a call of the model belongs to."""
    if not clock.within(GENERATE):
        return "forward"
    return READ if inputs["input_ids"].shape[1] > 1 else "decoding"


def pixels(clock: Clock) -> str:
    """The part of a call of the image processor: TRL calls it before and after the rollout."""
    return "images to pixels" if clock.within(PREPARE) else "images to pixels, again"


def medians(steps: list[dict[str, float]]) -> dict[str, float]:
    """Milliseconds per step of each part, longest first, and of the whole step."""
    names = {name for step in steps for name in step}
    parts = {n: 1000 * statistics.median(step.get(n, 0.0) for step in steps) for n in names}
    whole = 1000 * statistics.median(sum(step.values()) for step in steps)
    return {"a step": whole, **dict(sorted(parts.items(), key=lambda part: -part[1]))}


def table(parts: dict[str, float]) -> str:
    """One row per part, with its share of the step."""
    rows = [f"| {n} | {ms:.0f} | {100 * ms / parts['a step']:.0f} % |" for n, ms in parts.items()]
    return "\n".join(["| part | ms | share |", "|---|---|---|", *rows])


if __name__ == "__main__":
    main()
