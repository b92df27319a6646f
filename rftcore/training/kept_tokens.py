"""Which tokens truncated sampling keeps, and the probability of a token among them.

    q(y) = p(y) / sum of p(k) over the kept tokens k

`rftcore.training.sampling_mask` gives them to the loss of GRPO.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    SuppressTokensLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from rftcore.training.engine import sharded_by
from rftcore.training.steps import per_rollouts

Processor = Callable[[Any, Tensor], Tensor]

SUPPRESS = "suppress_tokens"


class Kept(NamedTuple):
    """Of N tokens: log q with its gradient, log p, and the size and probability of K; all (N,)."""

    log_q: Tensor
    log_p: Tensor
    size: Tensor
    mass: Tensor


def truncates(config: Any) -> bool:
    """Whether sampling leaves tokens out. config: TRL's `GRPOConfig`."""
    return bool(config.top_k or config.min_p or config.top_p < 1)


def problem(config: Any) -> str | None:
    """Why the loss cannot have the tokens of sampling, or None. config: TRL's `GRPOConfig`."""
    others = set(config.generation_kwargs or {}) - {SUPPRESS}
    reasons = {
        "sampling keeps every token: set grpo.min_p, grpo.top_p or grpo.top_k": not truncates(
            config
        ),
        "the KL term (grpo.beta) compares whole vocabularies": bool(config.beta),
        "rollouts are used for more than one update, and the kept tokens are those of the first "
        "(grpo.num_iterations, grpo.steps_per_generation)": per_rollouts(config) > 1,
        "grpo.repetition_penalty changes what is kept": config.repetition_penalty != 1,
        f"grpo.generation_kwargs ({', '.join(sorted(others))}) may change what is kept": bool(
            others
        ),
        "the kernels of grpo.use_liger_kernel compute the loss": bool(config.use_liger_kernel),
        "it is not there for FSDP and DeepSpeed": bool(sharded_by(config)),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def processors(config: Any) -> list[Processor]:
    """What leaves tokens out, in the order of `generate`. config: TRL's `GRPOConfig`."""
    own = config.generation_kwargs or {}
    suppressed = own.get(SUPPRESS)
    made: list[Any] = [SuppressTokensLogitsProcessor(suppressed)] if suppressed else []
    if config.top_k:
        made.append(TopKLogitsWarper(config.top_k))
    if config.top_p < 1:
        made.append(TopPLogitsWarper(config.top_p))
    if config.min_p:
        made.append(MinPLogitsWarper(config.min_p))
    return made


def kept(scores: Tensor, tokens: Tensor, leave_out: list[Processor]) -> Kept:
    """Log-probabilities of `tokens` (N,) by scores (N, V): logits divided by the temperature.

    A token itself is always kept: rounding must not leave out what was drawn.
    """
    own = scores.gather(-1, tokens[:, None])[:, 0]
    with torch.no_grad():
        left = scores.detach()
        for processor in leave_out:
            left = processor(None, left)
        keep = left.isfinite().scatter(-1, tokens[:, None], True)
        total = scores.logsumexp(-1)
    inside = scores.masked_fill(~keep, -torch.inf).logsumexp(-1)
    return Kept(own - inside, own.detach() - total, keep.sum(-1), (inside.detach() - total).exp())


# Settings of the scale of logits, of Cohere and Muse, and of Granite.
MULTIPLIED, DIVIDED = ("logit_scale", "output_multiplier"), "logits_scaling"


def logits(model: Any, states: Tensor) -> Tensor:
    """Logits (N, V) in float32 by states (N, H) of the last layer, as the model scales them."""
    text = model.config.get_text_config()
    found: Tensor = model.get_output_embeddings()(states).float()
    for name in MULTIPLIED:
        if (scale := getattr(text, name, None)) is not None:
            found = found * scale
    if (scale := getattr(text, DIVIDED, None)) is not None:
        found = found / scale
    if (cap := getattr(text, "final_logit_softcapping", None)) is not None:
        found = cap * torch.tanh(found / cap)
    return found
