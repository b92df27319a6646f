"""The loss of GRPO over the tokens that sampling kept.

With `min_p`, `top_p` or `top_k`, the token y_t of a rollout is drawn from the kept tokens K_t, so
its probability is

    q(y_t) = p(y_t) / sum of p(k) over k in K_t

TRL's loss has log p(y_t), over the whole vocabulary. Its gradient also moves tokens that are never
drawn: where a completion earns less than its group, they gain probability, no rollout ever pushes
them down, and they grow until they are kept and drawn. With log q the tokens outside K_t have no
gradient, and the ratio of GRPO compares the distributions that were sampled.

K_t is computed from the logits of the loss by transformers' own processors. It is the set of
sampling where the weights are those that wrote the rollouts, that is with one update per batch of
rollouts; `problem` names what else prevents it.

Source: "Keep Sampling Mask", arXiv:2512.02556, section 3.1.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rftcore.distributed import all_gather, is_main
from rftcore.errors import ModelError
from rftcore.training.kept_tokens import (
    Kept,
    Processor,
    kept,
    logits,
    problem,
    processors,
    truncates,
)
from rftcore.training.shared_prefix.family import tolerance
from rftcore.training.shared_prefix.scoring import is_scoring
from rftcore.training.step_numbers import StepNumbers

logger = logging.getLogger(__name__)

Setting = Literal["auto", "on", "off"]

POSITIONS, LOGITS = 64, 2**20  # held at a time: logits of so many tokens, or so many numbers
NAME = "grpo.sampling_mask"


class SamplingMask(StepNumbers):
    """Gives a GRPO trainer's loss the tokens that sampling kept, and logs how many these are.

    setting: "off" leaves the loss as it is; "auto" does, with a warning, where it cannot be
    changed; "on" makes that an error.
    """

    def __init__(self, setting: Setting) -> None:
        self.on = False
        self._setting = setting
        self._paused = self._checked = False
        self._states: list[Tensor] | None = None  # of the model's last layer, while one is called
        self._sums = [0.0, 0.0, 0.0]  # size, probability, tokens

    def install(self, trainer: Any) -> None:
        """Change the loss of the policy. Call it after TRL has added its fused head to the model.

        Raises: `ModelError` with "on", if that is not possible.
        """
        config = trainer.args
        if self._setting == "off" or (self._setting == "auto" and not truncates(config)):
            return
        if (reason := problem(config)) is not None:
            self._leave(reason)
            return
        model = trainer.model
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        base.base_model.register_forward_hook(self._keep_states)
        base.forward = MethodType(self._forward(base, config), base)
        self.on = True

    @contextmanager
    def whole_vocabulary(self) -> Iterator[None]:
        """Inside, the loss is TRL's own."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def _leave(self, reason: str) -> None:
        self.on = False
        if self._setting == "on":
            raise ModelError(f"{NAME}=on: {reason}. `--set {NAME}=auto` trains without it")
        if is_main():
            logger.warning(
                "%s: the loss counts the whole vocabulary, of which sampling leaves out a part: %s "
                "(docs/why-no-reward.md#what-sampling-leaves-out). Change that setting, or accept "
                "it by `--set %s=off`",
                NAME,
                reason,
                NAME,
            )

    def _keep_states(self, module: Any, args: Any, output: Any) -> None:
        states = getattr(output, "last_hidden_state", None)
        if self._states is not None and states is not None:
            self._states.append(states)

    def _forward(self, base: Any, config: Any) -> Any:
        plain, leave_out = base.forward, processors(config)

        @functools.wraps(type(base).forward)  # `generate` reads the signature
        def forward(self_: Any, *args: Any, **inputs: Any) -> Any:
            if args or not self.on or self._paused or not is_scoring(inputs):
                return plain(*args, **inputs)
            self._states = []
            try:
                output = plain(**inputs)
                states = self._states
            finally:
                self._states = None
            scored = inputs["labels"][:, 1:] != -100
            fault, found = "", None
            if len(states) != 1:
                fault = f"{type(base).__name__} does not show the states of its last layer"
            elif scored.any():
                found = self._kept(base, states[0], inputs["labels"], config, leave_out)
                fault = self._difference(found.log_p, output.log_probs.detach()[scored], base)
            if self._agreed(fault) and found is not None:
                self._put(found, output, scored)
            return output

        return forward

    def _kept(
        self, base: Any, states: Tensor, labels: Tensor, config: Any, leave_out: list[Processor]
    ) -> Kept:
        """What sampling keeps, for the N scored tokens of labels (B, T) and states (B, T, H)."""
        scored = labels[:, 1:] != -100

        def part(states: Tensor, tokens: Tensor) -> Kept:
            return kept(logits(base, states) / config.temperature, tokens, leave_out)

        rows = max(POSITIONS, LOGITS // base.get_output_embeddings().weight.shape[0])
        pairs = zip(
            torch.split(states[:, :-1][scored], rows),
            torch.split(labels[:, 1:][scored], rows),
            strict=True,
        )
        parts = [
            checkpoint(part, *pair, use_reentrant=False, preserve_rng_state=False) for pair in pairs
        ]
        return Kept(*map(torch.cat, zip(*parts, strict=True)))

    def _put(self, found: Kept, output: Any, scored: Tensor) -> None:
        """Put log q in place of log p into TRL's output, where tokens are scored (B, T - 1)."""
        if torch.is_grad_enabled():
            self._count(found)
        theirs = output.log_probs
        mine = found.log_q.to(theirs.dtype)
        output["log_probs"] = theirs.detach().masked_scatter(scored, mine)

    def _difference(self, mine: Tensor, theirs: Tensor, base: Any) -> str:
        """Why our head does not give TRL's numbers, or ""; checked on the first batch alone."""
        if self._checked:
            return ""
        difference = float((mine - theirs.float()).abs().mean())
        if difference <= tolerance(base):
            return ""
        return (
            f"the head of {type(base).__name__} computes its logits in a way that rft does not "
            f"know (they differ by {difference:.1e} nats per token); please report it"
        )

    def _agreed(self, fault: str) -> bool:
        """Whether no rank has a fault: on the first batch, all of them leave if one has to."""
        if not self._checked:
            self._checked = True
            fault = next(filter(None, all_gather(fault)), "")
        if fault:
            self._leave(fault)
        return not fault

    def _count(self, found: Kept) -> None:
        size, mass = float(found.size.sum()), float(found.mass.sum())
        for index, value in enumerate((size, mass, len(found.mass))):
            self._sums[index] += value

    def numbers(self, args: Any, logs: Mapping[str, Any]) -> Mapping[str, float]:
        """Whether the loss has the kept tokens where sampling leaves some out, and how many."""
        if self._setting == "off" or not truncates(args):
            return {}
        sums, self._sums = all_gather(self._sums), [0.0, 0.0, 0.0]
        size, mass, tokens = map(sum, zip(*sums, strict=True))
        means = {"tokens": size / tokens, "mass": mass / tokens} if tokens else {}
        return {f"sampling_mask/{n}": v for n, v in {"on": float(self.on), **means}.items()}
