"""Check that training scores the first rollouts as the policy sampled them.

For each token y_t that the policy wrote in the first batch, before any update:

    d_t = | log p(y_t | x, y_<t) in the sampler  -  log p(y_t | x, y_<t) in the loss |

The two are one number computed twice: token by token with a cache, and at once from prompts that
TRL has prepared a second time. They differ by rounding only, unless scoring has another attention
mask, other positions or other fields beside the tokens. The ratio of GRPO would then compare two
different policies, and no metric would show it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rftcore import distributed
from rftcore.errors import ModelError
from rftcore.models.token_record import IN_USE, Record, recording
from rftcore.training.adapt import evaluating
from rftcore.training.kept_tokens import truncates
from rftcore.training.sampling_mask import SamplingMask
from rftcore.training.shared_prefix.family import has_active_dropout, working_dtype
from rftcore.training.shared_prefix.scoring import is_scoring
from rftcore.training.step_numbers import StepNumbers

logger = logging.getLogger(__name__)

# In float32 the largest difference of a token, in half precision the mean of all: nats
LARGEST = {torch.float32: 1e-3, torch.float64: 1e-3}
MEAN = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
VLLM = "sampling/sampling_logp_difference/mean"  # TRL's own number, where vLLM writes rollouts
VLLM_MEAN = 0.1

Tokens = tuple[int, ...]


class Difference(NamedTuple):
    """Differences of log-probabilities over a number of tokens, in nats per token."""

    mean: float
    largest: float
    tokens: int


@dataclass(frozen=True)
class Rollout:
    """Tokens after a prompt, those after its end too, and their log-probabilities (C,)."""

    completion: Tokens
    logps: Tensor


class RolloutCheck(StepNumbers):
    """Compares the first rollouts of a GRPO trainer with its loss, then leaves the model alone.

    difference: the result, once it is known. mask: what lets the loss count the tokens that
    sampling keeps; what is recorded of the sampler counts the whole vocabulary.
    """

    def __init__(self, mask: SamplingMask | None = None) -> None:
        self._mask = mask or SamplingMask("off")
        self.difference: Difference | None = None
        self._rollouts: dict[Tokens, list[Rollout]] = {}
        self._gaps: list[Tensor] = []
        self._name = ""
        self._dtype = torch.float32
        self._done = self._by_vllm = False

    def install(self, trainer: Any) -> None:
        """Observe `generate` and `forward` of the policy until the first update."""
        model = trainer.model
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._name, self._by_vllm = type(base).__name__, bool(trainer.args.use_vllm)
        base.generate = self._generate(base.generate, trainer.args.temperature)
        base.forward = MethodType(self._forward(base), base)

    def _generate(self, plain: Any, temperature: float) -> Any:
        @functools.wraps(plain)
        def generate(*args: Any, **inputs: Any) -> Any:
            if self._done or args:
                return plain(*args, **inputs)
            record = Record(temperature)
            with recording(record):
                written = plain(**inputs)
            self._keep(inputs, written, record)
            return written

        return generate

    def _forward(self, base: Any) -> Any:
        plain = base.forward

        @functools.wraps(type(base).forward)  # `generate` reads the signature
        def forward(self_: Any, *args: Any, **inputs: Any) -> Any:
            output = plain(*args, **inputs)
            for record in IN_USE:
                record.see(output.logits)
            # the reference model of an adapter is the same model, without gradients
            if not self._done and is_scoring(inputs) and torch.is_grad_enabled():
                scored = output
                if self._mask.on or has_active_dropout(base):
                    with torch.no_grad(), self._mask.whole_vocabulary(), evaluating(base):
                        scored = plain(*args, **inputs)
                self._dtype = working_dtype(base)
                self._compare(inputs, scored.log_probs.detach().float().cpu())
            return output

        return forward

    def _keep(self, inputs: Mapping[str, Any], written: Any, record: Record) -> None:
        """Keep what `generate` has written: tokens (B, P + C)."""
        if not isinstance(written, Tensor):
            return
        record.finish(written)
        if not record.logps:
            return
        ids, logps = inputs["input_ids"], torch.stack(record.logps, 1).cpu()
        start, end = ids.shape[1], ids.shape[1] + logps.shape[1]
        mask = inputs.get("attention_mask")
        prompts = _existing(ids, torch.ones_like(ids) if mask is None else mask)
        for prompt, row, own in zip(prompts, written[:, start:end].tolist(), logps, strict=True):
            self._rollouts.setdefault(prompt, []).append(Rollout(tuple(row), own))

    def _compare(self, inputs: Mapping[str, Any], log_probs: Tensor) -> None:
        """Compare one call of the loss: log_probs (B, T - 1), on the CPU."""
        scored = (inputs["labels"] != -100).cpu()
        rows = _existing(inputs["input_ids"], inputs["attention_mask"])
        for row, mine, own in zip(rows, scored, log_probs, strict=True):
            count = int(mine.sum())
            gaps = [
                (own[mine[1:]] - rollout.logps[:count]).abs()
                for rollout in self._rollouts.get(row[: len(row) - count], ())
                if count and rollout.completion[:count] == row[len(row) - count :]
            ]
            if gaps:  # equal rollouts of one prompt are one: any may be the one in this row
                self._gaps.append(min(gaps, key=lambda gap: float(gap.mean())))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Before the first update: the result over all processes.

        Raises: `ModelError` if scoring differs by more than rounding.
        """
        if self._done:
            return
        self._done = True
        gaps = torch.cat(self._gaps) if self._gaps else torch.zeros(0)
        own = (float(gaps.sum()), float(gaps.max()) if len(gaps) else 0.0, len(gaps))
        sums, largest, counts = zip(*distributed.all_gather(own), strict=True)
        self._rollouts, self._gaps = {}, []
        if not sum(counts):
            if not self._by_vllm and distributed.is_main():
                logger.warning("grpo: %s", NOT_COMPARED)
            return
        found = Difference(sum(sums) / sum(counts), max(largest), sum(counts))
        self.difference = found
        require_equal(found, self._name, self._dtype)

    def numbers(self, args: Any, logs: Mapping[str, Any]) -> Mapping[str, float]:
        """The result, for the first step's line.

        Raises: `ModelError` if it is TRL's own, of vLLM's rollouts, and too large.
        """
        found, self.difference = self.difference, None
        if found is not None:
            return {"rollout_check/mean": found.mean, "rollout_check/max": found.largest}
        if self._by_vllm and (mean := logs.get(VLLM)) is not None:
            self._by_vllm = False
            if mean > VLLM_MEAN and truncates(args) and not self._mask.on:
                raise ModelError(LEFT_OUT.format(mean=mean))
            if mean > VLLM_MEAN:
                raise ModelError(_message(self._name, Difference(mean, mean, 0), VLLM_MEAN))
        return {}


LEFT_OUT = (
    "vLLM reports log-probabilities of the tokens that sampling keeps, and the loss counts the "
    "whole vocabulary: they differ by {mean:.2g} nats on average, so GRPO would train on wrong "
    "ratios. --set grpo.sampling_mask=auto, or leave out grpo.min_p, grpo.top_p and grpo.top_k"
)
NOT_COMPARED = (
    "the log-probabilities of the first rollouts could not be compared with those in the loss: "
    "`generate` of the model did not write them token by token"
)


def require_equal(found: Difference, name: str, dtype: torch.dtype) -> None:
    """Raise `ModelError` if log-probabilities differ by more than rounding of `dtype` explains.

    Numbers that are not finite pass: `Finite` ends the phase, and names what is not.
    """
    if dtype in LARGEST and not _is_coarse():
        limit, value = LARGEST[dtype], found.largest
    else:
        limit, value = MEAN.get(dtype, MEAN[torch.float16]), found.mean
    if value > limit:
        raise ModelError(_message(name, found, limit))


def _is_coarse() -> bool:
    """Whether float32 products are computed in a shorter format (TF32), which GPUs can."""
    return torch.cuda.is_available() and torch.get_float32_matmul_precision() != "highest"


def _message(name: str, found: Difference, limit: float) -> str:
    over = f", over {found.tokens} tokens" if found.tokens else ""
    return (
        f"{name} scores its first rollouts otherwise than it sampled them: log-probabilities of "
        f"the same tokens differ by {found.mean:.2g} nats on average and {found.largest:.2g} at "
        f"most{over}; rounding explains {limit:g}. GRPO would train on wrong ratios. Likely "
        "causes: attention mask, position numbers or token_type_ids of the prompt are shifted "
        "where TRL prepares it for scoring, for instance by a second start token (BOS) that the "
        "tokenizer adds to the chat template's own; or the model computes something else with a "
        "cache. Let either the chat template or the tokenizer write the start token"
    )


def _existing(ids: Tensor, mask: Tensor) -> list[Tokens]:
    """The tokens of each row of (B, T) that are not padding."""
    pairs = zip(ids.cpu(), mask.bool().cpu(), strict=True)
    return [tuple(row[kept].tolist()) for row, kept in pairs]
