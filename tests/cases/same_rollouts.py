"""`rft`, with rollouts that are the same however many processes share a step.

Sampling draws other numbers in each process, so runs with one and with two processes could not
be compared. Here a completion depends on its prompt, its place in its group and the number of
the step: everything after it (rewards, advantages, loss, gradient, update) is the real one.
"""

import hashlib
import itertools
import os
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from rftcore import cli, distributed

GROUP = 4  # of the test
TEXT = "<think> </think> <answer> 0 1 2 3 4 5 6 7 8 9 </answer>"


def completion(key: str, words: list[int], end: int, length: int) -> list[int]:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(words), (length,), generator=generator).tolist()
    stop = int(torch.randint(2, length, (), generator=generator))
    return [*(words[c] for c in chosen[:stop]), *[end] * (length - stop)]


def same_rollouts(model: Any, tokenizer: Any) -> None:
    words, calls = tokenizer(TEXT, add_special_tokens=False)["input_ids"], itertools.count()

    def generate(
        self: Any, input_ids: Tensor, attention_mask: Tensor, generation_config: Any, **_: Any
    ) -> Tensor:
        divided = any(hasattr(weights, "to_local") for weights in self.parameters())
        assert divided == (os.environ.get("ACCELERATE_USE_FSDP") == "true")
        first, call = distributed.rank() * len(input_ids), next(calls)
        rows = []
        for place, (ids, mask) in enumerate(zip(input_ids, attention_mask, strict=True), first):
            key = f"{ids[mask.bool()].tolist()} {place % GROUP} {call}"
            rows.append(
                completion(key, words, tokenizer.eos_token_id, generation_config.max_new_tokens)
            )
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)

    model.generate = MethodType(generate, model)


if __name__ == "__main__":
    from rftcore.training import grpo

    make = grpo.grpo_trainer

    def grpo_trainer(policy: Any, *args: Any, **kwargs: Any) -> Any:
        trainer = make(policy, *args, **kwargs)
        tokenizer = getattr(policy.processor, "tokenizer", policy.processor)
        same_rollouts(policy.model, tokenizer)
        return trainer

    grpo.grpo_trainer = grpo_trainer
    cli.main()
