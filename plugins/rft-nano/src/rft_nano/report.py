"""What `nano` can do, on pictures and lists it never trained on.

Every answer is generated greedily by the saved kind of model through its
processor, and counted right only when the text is exactly right. Captions
are also scored per object: how many names stand in the right order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from rft_nano.practice import (
    Pair,
    at_place,
    attribute,
    belongs,
    counted,
    exists,
    filtered,
    filtered_numbered,
    from_list,
    labelled,
    names,
    plain_sum,
    recipe,
    story,
    total,
    verdicts,
)
from rft_nano.things import ATTRIBUTES, Thing

Scenes = Sequence[tuple[Path, list[Thing]]]
Request = tuple[Path | None, str, str]  # picture, instruction, answer
ABOUT_PICTURES = {
    "attributes": (attribute, at_place),
    "counts": (counted,),
    "totals": (total,),
    "exists": (exists,),
    "filters": (filtered,),
    "numbered": (filtered_numbered,),
    "verdicts": (verdicts,),
}
ABOUT_WORDS: dict[str, Callable[[Random], Pair]] = {
    "lists": from_list,
    "fits": belongs,
    "labels": partial(from_list, asker=labelled),
    **{f"by {a}": partial(from_list, asker=partial(verdicts, attributes=(a,))) for a in ATTRIBUTES},
    "sums": plain_sum,
    "stories": story,
    "recipes": recipe,
}


@torch.no_grad()
def answers(
    model: Any, processor: Any, requests: Sequence[Request], max_new_tokens: int = 72
) -> list[str]:
    """Greedy answers, in batches of like length."""
    from PIL import Image

    out: list[str] = [""] * len(requests)
    order = sorted(range(len(requests)), key=lambda i: (len(requests[i][1]), i))
    groups = [[i for i in order if (requests[i][0] is None) == bare] for bare in (True, False)]
    for group in groups:
        for at in range(0, len(group), 64):
            batch = [requests[i] for i in group[at : at + 64]]
            images = [[Image.open(p).convert("RGB")] for p, _, _ in batch if p] or None
            texts = [_prompt(processor, ask, seen=path is not None) for path, ask, _ in batch]
            inputs = processor(text=texts, images=images, return_tensors="pt", padding=True)
            done = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
            said = done[:, inputs["input_ids"].shape[1] :]
            for i, text in zip(
                group[at : at + 64],
                processor.batch_decode(said, skip_special_tokens=True),
                strict=True,
            ):
                out[i] = text.strip()
    return out


def _prompt(processor: Any, ask: str, *, seen: bool) -> str:
    parts = [{"type": "image"}] * seen + [{"type": "text", "text": ask}]
    text: str = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True
    )
    return text


def in_order(said: Sequence[str], true: Sequence[str]) -> int:
    """Length of the longest common subsequence: names right and in the right order."""
    best = [0] * (len(true) + 1)
    for word in said:
        row = [0]
        for j, other in enumerate(true):
            row.append(best[j] + 1 if word == other else max(best[j + 1], row[j]))
        best = row
    return best[-1]


def caption_scores(model: Any, processor: Any, scenes: Scenes) -> dict[str, float]:
    """Share of "objects" named wholly right and in order; share of "captions" wholly right."""
    asks = ("List the objects from left to right.", "Name the objects.", "What is shown?")
    requests = [(path, asks[i % 3], names(things)) for i, (path, things) in enumerate(scenes)]
    said = answers(model, processor, requests)
    pairs = [(a.split(", "), t.split(", ")) for a, (_, _, t) in zip(said, requests, strict=True)]
    right = sum(in_order(a, t) for a, t in pairs)
    return {
        "objects": right / sum(max(len(a), len(t)) for a, t in pairs),
        "captions": sum(a == t for a, t in pairs) / len(pairs),
        "objects_n": sum(len(t) for _, t in pairs),
        "captions_n": len(pairs),
    }


def share_right(model: Any, processor: Any, requests: Sequence[Request]) -> float:
    """Share of answers that are exactly right."""
    said = answers(model, processor, requests)
    return sum(a == t for a, (_, _, t) in zip(said, requests, strict=True)) / len(requests)


def perception_report(
    model: Any, processor: Any, worlds: dict[str, Scenes], seed: int = 0
) -> dict[str, Any]:
    """All figures: per world over its pictures, and "words" without pictures."""
    model.eval()
    report: dict[str, Any] = {}
    for world, scenes in worlds.items():
        rng = Random(seed)
        report[world] = caption_scores(model, processor, scenes)
        for name, askers in ABOUT_PICTURES.items():
            requests = [(path, *rng.choice(askers)(rng, things)) for path, things in scenes]
            report[world][name] = share_right(model, processor, requests)
    report["words"] = {}
    for name, source in ABOUT_WORDS.items():
        rng = Random(seed + 1)
        report["words"][name] = share_right(
            model, processor, [(None, *source(rng)) for _ in range(100)]
        )
    model.train()
    return report
