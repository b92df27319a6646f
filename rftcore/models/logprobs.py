"""Log-probabilities of given answers, without the logits of a whole batch in memory."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rftcore.models.encoding import (
    encode,
    end_of_turn,
    render,
    stop_ids,
    text_tokens,
    with_reply,
)
from rftcore.models.policy import Policy
from rftcore.types import Prompt

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 64  # positions


def answer_logprobs(policy: Policy, prompts: Sequence[Prompt], targets: Sequence[str]) -> Tensor:
    """Log-probability of each target after its prompt, in nats.

    One sample at a time. The model computes logits (1, A + 1, V) of the A tokens of the answer, in
    its own dtype, and float32 copies are made of `CHUNK` positions at a time: with V = 150,000,
    float32 logits of a whole batch take gigabytes.
    Shape: (B,), float32.
    Raises: `ModelError` if the chat template or the processor fails for a prompt.
    """
    import torch

    was_training = policy.model.training
    policy.model.eval()
    with torch.inference_mode():
        found = [_logprob(policy, *pair) for pair in zip(prompts, targets, strict=True)]
    policy.model.train(was_training)
    return torch.stack(found)


def _logprob(policy: Policy, prompt: Prompt, target: str) -> Tensor:
    import torch

    inputs = encode(policy, [prompt], [target])
    end = end_of_turn(policy.processor, stop_ids(policy))
    texts = (with_reply(policy.processor, prompt, target, end), render(policy.processor, prompt))
    whole, start = (text_tokens(policy.processor, text) for text in texts)
    answer = whole - start  # A; placeholders count alike in both texts
    ids = inputs["input_ids"][0, -answer:]  # (A,)
    kept = {"logits_to_keep": answer + 1} if keeps_logits(policy.model) else {}
    logits = policy.model(**inputs, **kept).logits[0, -answer - 1 : -1]  # (A, V)
    pairs = zip(ids.split(CHUNK), logits.split(CHUNK), strict=True)
    return torch.stack([_of_chunk(*pair) for pair in pairs]).sum()


def _of_chunk(ids: Tensor, logits: Tensor) -> Tensor:
    """The sum of log p over C tokens: ids (C,), logits (C, V) of any dtype; a float32 scalar."""
    logits = logits.float()
    return (logits.gather(-1, ids[:, None])[:, 0] - logits.logsumexp(-1)).sum()


def keeps_logits(model: Any) -> bool:
    """Whether `forward` computes logits of the last positions alone if it is given their number."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters
