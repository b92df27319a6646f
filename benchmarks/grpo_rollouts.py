"""Measure how many rollouts per second GRPO samples and trains on, against stock TRL.

    python benchmarks/grpo_rollouts.py --model runs/RUN/sft/model --repeats 7

A trained policy, prompts of counting, 8 prompts x 8 completions. Three copies of the policy take
turns at the model's part of a step (rollouts, forward and backward over them, an optimizer step):

    stock    transformers' `generate`, TRL's batches unchanged
    shared   the prompt of a group is computed once (`grpo.shared_prefix`), nothing else
    rft      what `rft train` does: the above, decode loop, attention in parts, `training/cpu.py`

Each samples its own rollouts; all train on the same ones, so the work of the update is equal.
Prints medians in seconds and the ratios to stock, of wall time and of CPU time. The machine should
be quiet; CPU time of one thread (`--threads 1`) is comparable on one that is not.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from trl.trainer.utils import add_fused_lm_head

from rftcore.config import load_recipe
from rftcore.datasets.slices import take
from rftcore.models import decode_loop
from rftcore.models.encoding import encode
from rftcore.models.loading import load_model
from rftcore.plugins import Catalogue
from rftcore.training.cpu import fast_cpu
from rftcore.training.shared_prefix import share_prefix

PROMPTS, GROUP, LONGEST = 8, 8, 96
SIDES = ("stock", "shared", "rft")


@dataclass
class Side:
    """One copy of the policy, and its (wall, CPU) times in seconds by part."""

    name: str
    model: Any
    optimizer: Any
    times: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """The result of `work`; its time is recorded."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        spent = time.perf_counter() - wall, time.process_time() - cpu
        self.times.setdefault(part, []).append(spent)
        return found

    def median(self, part: str, clock: int) -> float:
        """The median over the repeats without the first, in seconds."""
        return statistics.median(each[clock] for each in self.times[part][1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    policy = load_model(args.model, dtype="float32", device="cpu")
    task = Catalogue.load().task_of(load_recipe(("benchmark", {"task": "counting"})))
    sides = [side(name, policy.model) for name in SIDES]
    for repeat in range(args.repeats + 1):
        samples = list(take(task, "val", PROMPTS * (repeat + 1)))[-PROMPTS:]
        rows = encode(policy, [task.prompt(s) for s in samples for _ in range(GROUP)])
        turns = sides if repeat % 2 else sides[::-1]
        written = {}
        for each in turns:
            torch.manual_seed(repeat)
            written[each.name] = each.timed("rollouts", partial(write, policy, each, rows))
        for each in turns:
            each.timed("update", partial(learn, policy, each, rows, written["stock"]))
    print(table(sides))


def side(name: str, model: Any) -> Side:
    """A copy of the policy for one side, with its vision tower frozen as in nano's recipe."""
    mine = copy.deepcopy(model).train()
    mine.model.vision_tower.requires_grad_(False)
    add_fused_lm_head(mine, outputs=("log_probs", "entropy"))
    if name != "stock":
        share_prefix(mine, required=True, in_parts=name == "rft")
    # learning rate 0: all the work of a step, but the weights do not change
    return Side(name, mine, torch.optim.AdamW(mine.parameters(), lr=0.0))


def write(policy: Any, side: Side, rows: Any) -> torch.Tensor:
    """Rollouts: ids (B, T) with the prompts."""
    config = GenerationConfig(
        max_new_tokens=LONGEST,
        do_sample=True,
        top_k=0,
        min_p=0.1,
        pad_token_id=policy.tokenizer.pad_token_id,
        eos_token_id=policy.tokenizer.eos_token_id,
        suppress_tokens=[policy.model.config.image_token_id],
        cache_implementation="static" if side.name == "shared" else None,
        disable_compile=True,
    )
    given = {**rows, "generation_config": config}
    with torch.no_grad():
        if side.name == "rft":
            return decode_loop.generate(side.model, side.model.generate, given)
        return side.model.generate(**given)


def learn(policy: Any, side: Side, rows: Any, ids: torch.Tensor) -> None:
    """One update: GRPO's on-policy loss with synthetic advantages, backward, a step."""
    start = rows["input_ids"].shape[1]
    ended = (ids[:, start:] == policy.tokenizer.eos_token_id).cumsum(1)
    completion_mask = ended - (ids[:, start:] == policy.tokenizer.eos_token_id).long() == 0
    mask = torch.cat([rows["attention_mask"], completion_mask.long()], dim=1)
    labels = torch.where(mask.bool(), ids, -100)
    labels[:, :start] = -100
    inputs = {**rows, "input_ids": ids, "attention_mask": mask, "labels": labels}
    with fast_cpu() if side.name == "rft" else nullcontext():
        side.optimizer.zero_grad(set_to_none=True)
        found = side.model(**inputs, fused_lm_head=True).log_probs[:, start - 1 :]
        advantages = torch.linspace(-1, 1, len(found))[:, None]
        (-(found - found.detach()).exp() * advantages).mean().backward()
        side.optimizer.step()


def table(sides: list[Side]) -> str:
    """One row per side and clock."""
    head = "| form | clock | rollouts | update | both | rollouts per second | to stock |"
    lines = [head, "|---" * 7 + "|"]
    for clock, label in enumerate(("wall", "CPU")):
        whole = {s.name: s.median("rollouts", clock) + s.median("update", clock) for s in sides}
        for each in sides:
            parts = [each.median(part, clock) for part in ("rollouts", "update")]
            cells = [*(f"{part:.2f}" for part in parts), f"{whole[each.name]:.2f}"]
            cells += [f"{PROMPTS * GROUP / whole[each.name]:.0f}"]
            cells += [f"{whole['stock'] / whole[each.name]:.2f}"]
            lines.append(f"| {each.name} | {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
