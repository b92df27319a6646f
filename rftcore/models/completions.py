"""Greedy completions of a policy, decoded in the same way for every model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rftcore.models.encoding import encode
from rftcore.models.policy import Policy
from rftcore.types import Prompt


@dataclass(frozen=True)
class Completion:
    """The text of a completion, its number of tokens, and whether it was cut off at the limit."""

    text: str
    tokens: int
    clipped: bool


def generate(policy: Policy, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Completion]:
    """One greedy completion per prompt: fixed decoding, so a score repeats.

    Raises: `ModelError` if the chat template or the processor fails for a prompt.
    """
    import torch

    from rftcore.models import decode_loop

    inputs = encode(policy, prompts)
    was_training = policy.model.training
    policy.model.eval()
    with torch.inference_mode(), plain_decoding(policy.model):
        settings = {
            "do_sample": False,
            "max_new_tokens": max_new_tokens,
            "pad_token_id": policy.tokenizer.pad_token_id,
        }
        model = policy.model
        out = decode_loop.generate(model, model.generate, {**inputs, **settings})
        # (B, T + new tokens)
    policy.model.train(was_training)
    return [_completion(policy, row) for row in out[:, inputs["input_ids"].shape[1] :].tolist()]


def _completion(policy: Policy, ids: list[int]) -> Completion:
    ends = _eos_ids(policy)
    length = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    text = str(policy.tokenizer.decode(ids[:length], skip_special_tokens=True))
    return Completion(text, length, clipped=length == len(ids))


def _eos_ids(policy: Policy) -> set[int | None]:
    ends = policy.model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {*ends, policy.tokenizer.eos_token_id} - {None}


@contextmanager
def plain_decoding(model: Any) -> Iterator[None]:
    """Ignore the generation settings in the model's folder, except the ids of its tokens.

    `generate` takes whatever a caller does not set from there: penalties, beams, suppressed
    tokens. Rollouts would then not follow the policy, and an evaluation not be greedy.
    """
    from transformers import GenerationConfig

    configs: Any = GenerationConfig  # untyped in transformers
    own = model.generation_config
    kept = ("eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id")
    model.generation_config = configs(**{name: getattr(own, name) for name in kept})
    try:
        yield
    finally:
        model.generation_config = own
