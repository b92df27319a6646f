"""Completions of a policy, greedy or drawn, decoded in the same way for every model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rftcore.models.encoding import encode, stop_ids
from rftcore.models.policy import Policy
from rftcore.types import Prompt


@dataclass(frozen=True)
class Completion:
    """The text of a completion, its number of tokens, and whether it was cut off at the limit.

    read: how many tokens its prompt has, those of images included. error: why an endpoint gave no
    answer, or "".
    """

    text: str
    tokens: int
    clipped: bool
    read: int = 0
    error: str = ""


@dataclass(frozen=True)
class Draw:
    """Draw tokens from the policy's own distribution at a temperature, with a seed for the batch.

    There is no top-k, top-p or penalty, so that pass@k is that of the policy, unless `more`, the
    arguments of transformers' `generate`, has them.
    """

    temperature: float
    seed: int
    more: Mapping[str, Any] = field(default_factory=dict)


def generate(
    policy: Policy, prompts: Sequence[Prompt], max_new_tokens: int, draw: Draw | None = None
) -> list[Completion]:
    """One completion per prompt: greedy, so that a score repeats, or drawn.

    Raises: `ModelError` if the chat template or the processor fails for a prompt.
    """
    import torch

    from rftcore.models import decode_loop

    inputs = encode(policy, prompts)
    was_training = policy.model.training
    policy.model.eval()
    with torch.inference_mode(), plain_decoding(policy.model), _seeded(draw):
        settings: dict[str, Any] = {
            "do_sample": draw is not None,
            "max_new_tokens": max_new_tokens,
            "pad_token_id": policy.tokenizer.pad_token_id,
        }
        if draw is not None:
            settings |= {"temperature": draw.temperature, "top_k": 0, "top_p": 1.0, **draw.more}
        model = policy.model
        out = decode_loop.generate(model, model.generate, {**inputs, **settings})
        # (B, T + new tokens)
    policy.model.train(was_training)
    read = inputs["attention_mask"].sum(dim=1).tolist()
    rows = out[:, inputs["input_ids"].shape[1] :].tolist()
    return [_completion(policy, row, tokens) for row, tokens in zip(rows, read, strict=True)]


@contextmanager
def _seeded(draw: Draw | None) -> Iterator[None]:
    """Random numbers of the draw's seed; those of the caller go on afterwards as if unused."""
    if draw is None:
        yield
        return
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(draw.seed)
        yield


def _completion(policy: Policy, ids: list[int], read: int) -> Completion:
    ends = stop_ids(policy)
    length = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    text = str(policy.tokenizer.decode(ids[:length], skip_special_tokens=True))
    return Completion(text, length, clipped=length == len(ids), read=read)


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
