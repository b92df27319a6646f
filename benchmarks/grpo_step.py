"""Measure the speed-up of a GRPO step by reading a group's prompt once.

    python benchmarks/grpo_step.py --shape nano --repeats 9 --json nano.json

Two copies of one model, both with TRL's fused head, do the work of a step in turns:
one as TRL 1.16 does it, one sharing prompts. Same weights, data and seeds,
random weights of the given widths, all completions of the same length. A step
here is a rollout, a forward and backward pass over it, and an optimizer step;
tokenizer, image processor and rewards are the same for both and left out.

Per shape it reports medians over the repeats of plain time / shared time, the
same ratio of peak memory in forward and backward, and the differences between the
two. The limit is the ratio of tokens that a decoder's linear layers read in forward
and backward.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from trl.trainer.utils import add_fused_lm_head

from rftcore.training.shared_prefix import share_prefix

PAD, END, IMAGE = 0, 1, 2


@dataclass(frozen=True)
class Shape:
    """One kind of step: the model, and the lengths of prompt and completions.

    grid: patches of an image along each side, after merging. text: a prompt's
    tokens that are not visual. lengths of text and completion in tokens.
    """

    build: Callable[[Shape], Any]
    prompts: int
    text: int
    images: int
    grid: int
    completion: int
    group: int = 8
    cache: str | None = None

    @property
    def prompt(self) -> int:
        """Tokens of a prompt."""
        return self.text + self.images * self.grid**2

    @property
    def limit(self) -> float:
        """Tokens read by the plain form over those read by the shared one."""
        alone = self.group * (self.prompt + self.completion)
        return alone / (self.prompt - 1 + self.group * (1 + self.completion))


def nano(shape: Shape) -> Any:
    """The embedded model's architecture, its tower frozen as in its recipe."""
    from rft_nano.model import build_model, build_processor

    model = build_model(build_processor())
    model.config.image_token_index = IMAGE
    model.model.vision_tower.requires_grad_(False)
    return model


def wide(shape: Shape) -> Any:
    """LLaVA's architecture, so wide that linear layers take most of the time, as in real models."""
    from transformers import (
        LlavaConfig,
        LlavaForConditionalGeneration,
        Qwen2Config,
        SiglipVisionConfig,
    )

    tower = SiglipVisionConfig(
        hidden_size=384,
        intermediate_size=1536,
        num_hidden_layers=6,
        num_attention_heads=6,
        image_size=14 * shape.grid,
        patch_size=14,
        vision_use_head=False,
    )
    text = Qwen2Config(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=2816,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    config = LlavaConfig(
        vision_config=tower,
        text_config=text,
        image_token_index=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return LlavaForConditionalGeneration(config)


def qwen2_vl_2b(shape: Shape) -> Any:
    """Qwen2-VL-2B's own widths, in bfloat16: for a GPU."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    text = {
        "vocab_size": 151936,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": END,
        "pad_token_id": PAD,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [16, 24, 24],
        },
    }
    vision = {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4}
    config = Qwen2VLConfig(
        text_config=text,
        vision_config={**vision, "patch_size": 14, "spatial_merge_size": 2},
        image_token_id=IMAGE,
        tie_word_embeddings=True,
    )
    return Qwen2VLForConditionalGeneration(config).to(torch.bfloat16)


SHAPES = {
    "nano": Shape(nano, prompts=8, text=20, images=1, grid=8, completion=45, cache="static"),
    "paper-counting": Shape(wide, prompts=2, text=75, images=1, grid=25, completion=150),
    "paper-transformation": Shape(wide, prompts=1, text=200, images=2, grid=30, completion=100),
    "qwen2-vl-2b": Shape(qwen2_vl_2b, prompts=2, text=75, images=1, grid=25, completion=150),
}
BY_DEFAULT = ("nano", "paper-counting", "paper-transformation")


def main() -> None:
    """Measure the given shapes; print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--shape", choices=SHAPES, action="append", help=f"default: {BY_DEFAULT}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = {name: measure(SHAPES[name], args.repeats) for name in args.shape or BY_DEFAULT}
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


def table(found: dict[str, dict[str, float]]) -> str:
    """One row per shape, one column per number."""
    names = list(next(iter(found.values())))
    lines = ["| shape | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for shape, numbers in found.items():
        lines.append(f"| {shape} | " + " | ".join(f"{numbers[n]:.3g}" for n in names) + " |")
    return "\n".join(lines)


@dataclass
class Side:
    """One of the two copies, with its optimizer and its times in seconds."""

    model: Any
    optimizer: torch.optim.Optimizer
    rollout: list[float]
    forward_backward: list[float]
    step: list[float]


def measure(shape: Shape, repeats: int) -> dict[str, float]:
    """All numbers of one shape."""
    plain, shared = sides(shape)
    rows = batch(shape, plain.model)
    completions = write(shape, plain, rows)
    apart = differences(plain, shared, rows, completions)
    memory = [peak_bytes(partial(learn, side, rows, completions)) for side in (plain, shared)]
    for side in (plain, shared):
        timed_step(shape, side, rows)  # the first is slower: threads, allocations, our check
        for times in (side.rollout, side.forward_backward, side.step):
            times.clear()
    for repeat in range(repeats):
        for side in (plain, shared) if repeat % 2 else (shared, plain):
            timed_step(shape, side, rows)
    return {
        "forward_backward_ratio": ratio(plain.forward_backward, shared.forward_backward),
        "forward_backward_limit": shape.limit,
        "rollout_ratio": ratio(plain.rollout, shared.rollout),
        "step_ratio": ratio(plain.step, shared.step),
        "peak_memory_ratio": memory[0] / memory[1],
        **apart,
        "plain_rollout_s": statistics.median(plain.rollout),
        "plain_forward_backward_s": statistics.median(plain.forward_backward),
        "plain_step_s": statistics.median(plain.step),
    }


def ratio(plain: list[float], shared: list[float]) -> float:
    """Plain time over shared time: the median of the repeats, each with its neighbor."""
    return statistics.median(p / s for p, s in zip(plain, shared, strict=True))


def sides(shape: Shape) -> tuple[Side, Side]:
    """The same weights twice."""
    torch.manual_seed(0)
    model = shape.build(shape).to("cuda" if torch.cuda.is_available() else "cpu").train()
    made = []
    for copy in (model, deepcopy(model)):
        add_fused_lm_head(copy, outputs=("log_probs", "entropy"))
        # a learning rate of 0: all the work of a step, and constant weights
        made.append(Side(copy, torch.optim.AdamW(copy.parameters(), lr=0.0), [], [], []))
    share_prefix(made[1].model, required=True)
    return made[0], made[1]


def batch(shape: Shape, model: Any) -> dict[str, Any]:
    """Prompts of random words and random pixels, each repeated for its group."""
    random = torch.Generator().manual_seed(1)
    visual = [IMAGE] * (shape.images * shape.grid**2)
    ids, pixels = [], []
    for _ in range(shape.prompts):
        words = torch.randint(3, 1000, (shape.text,), generator=random).tolist()
        ids += [[*words[:1], *visual, *words[1:]]] * shape.group
        shown = [_image(shape, model, random) for _ in range(shape.images)]
        pixels += shown * shape.group
    rows: dict[str, Any] = {"input_ids": torch.tensor(ids)}
    rows["attention_mask"] = torch.ones_like(rows["input_ids"])
    if model.config.model_type == "llava":
        rows["pixel_values"] = torch.stack(pixels)
    else:
        side = 2 * shape.grid
        rows["pixel_values"] = torch.cat(pixels)
        rows["image_grid_thw"] = torch.tensor([[1, side, side]] * len(pixels))
        rows["mm_token_type_ids"] = (rows["input_ids"] == IMAGE).int()
    return {name: value.to(model.device) for name, value in rows.items()}


def _image(shape: Shape, model: Any, random: torch.Generator) -> torch.Tensor:
    vision = model.config.vision_config
    if model.config.model_type == "llava":
        return torch.randn(3, vision.image_size, vision.image_size, generator=random)
    values = 3 * vision.temporal_patch_size * vision.patch_size**2
    return torch.randn((2 * shape.grid) ** 2, values, generator=random)


def write(shape: Shape, side: Side, rows: dict[str, Any]) -> torch.Tensor:
    """A rollout, generated as TRL does: ids (B, T) with the prompts."""
    config = GenerationConfig(
        max_new_tokens=shape.completion,
        min_new_tokens=shape.completion,
        do_sample=True,
        top_k=0,
        pad_token_id=PAD,
        eos_token_id=END,
        suppress_tokens=[IMAGE],
        cache_implementation=shape.cache,
        disable_compile=True,
    )
    torch.manual_seed(2)
    with torch.no_grad():
        ids: torch.Tensor = side.model.generate(**rows, generation_config=config)
    return ids


def score(side: Side, rows: dict[str, Any], ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the completions, computed as TRL does: (B, C)."""
    start = rows["input_ids"].shape[1]
    labels = ids.clone()
    labels[:, :start] = -100
    inputs = {**rows, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "mm_token_type_ids" in rows:
        inputs["mm_token_type_ids"] = (ids == IMAGE).int()
    output = side.model(**inputs, labels=labels, fused_lm_head=True)
    return output.log_probs[:, start - 1 :]


def learn(side: Side, rows: dict[str, Any], ids: torch.Tensor) -> torch.Tensor:
    """Forward and backward of GRPO's loss, on policy, with made-up advantages."""
    side.optimizer.zero_grad(set_to_none=True)
    logprobs = score(side, rows, ids)
    advantages = torch.linspace(-1, 1, len(logprobs), device=logprobs.device)[:, None]
    (-(logprobs - logprobs.detach()).exp() * advantages).mean().backward()
    return logprobs.detach()


def timed_step(shape: Shape, side: Side, rows: dict[str, Any]) -> None:
    """One step, its parts timed."""
    start = now()
    ids = write(shape, side, rows)
    written = now()
    learn(side, rows, ids)
    learned = now()
    side.optimizer.step()
    side.rollout.append(written - start)
    side.forward_backward.append(learned - written)
    side.step.append(now() - start)


def now() -> float:
    """Seconds, after synchronizing the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def differences(
    plain: Side, shared: Side, rows: dict[str, Any], ids: torch.Tensor
) -> dict[str, float]:
    """Differences between the two on the same rollouts."""
    logprobs, gradients = [], []
    for side in (plain, shared):
        logprobs.append(learn(side, rows, ids))
        grads = [p.grad for p in side.model.parameters() if p.grad is not None]
        gradients.append(torch.cat([grad.flatten().float() for grad in grads]))
    apart = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    return {
        "max_logprob_difference": float((logprobs[1] - logprobs[0]).abs().max()),
        "gradient_relative_difference": float(apart),
    }


def peak_bytes(work: Callable[[], Any]) -> int:
    """Peak memory during `work`, minus the memory before it, in bytes."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    ctypes.CDLL(None).malloc_trim(0)  # return freed memory to the system, or it counts here
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) * 1024


if __name__ == "__main__":
    main()
