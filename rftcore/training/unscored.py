"""Before GRPO's first step: a completion without a total must not move the policy.

TRL's own code is asked, with the trainer that will train: rollouts that nobody
generated, of which some have no total. It must give those no advantage, and the
others what they would have if those did not exist:

    sum of A_i over the known rewards of a group = 0,    A_i = 0 for the rest

which holds however TRL scales rewards (by group, by batch, not at all).
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rftcore.errors import TrainerError, one_line

OWN_NUMBERS = ("_metrics", "_logs", "_pending_metrics", "_pending_extra_logs")  # of a trainer
_LOG = logging.getLogger("trl.trainer.grpo_trainer")


def check_unscored(trainer: Any) -> None:
    """Raise `TrainerError` unless TRL gives completions without a total no advantage."""
    totals = [None, *(float(at) for at in range(1, trainer.num_generations))]
    silence()
    try:
        advantages = _advantages(trainer, totals)
    except Exception as error:
        raise TrainerError(
            "GRPO did not start: given a group in which the rewards of one completion have "
            f"failed, {_trl()} raised {type(error).__name__}: {one_line(error)}. If no setting of "
            "`grpo` is behind it, install a version that rftcore allows (`pip install rftcore` "
            "says which)"
        ) from error
    if fault := misled(totals, advantages):
        raise TrainerError(
            f"{_trl()} lets a completion move the policy although its rewards failed: {fault}. "
            "Install a version that rftcore allows (`pip install rftcore` says which)"
        )


def misled(totals: Sequence[float | None], advantages: Sequence[float]) -> str:
    """What is wrong with the advantages of one group, or ""."""
    pairs = list(zip(totals, advantages, strict=True))
    if any(advantage != 0 for total, advantage in pairs if total is None):
        return f"totals {list(totals)} became advantages {list(advantages)}"
    known = [advantage for total, advantage in pairs if total is not None]
    if not math.isclose(math.fsum(known), 0, abs_tol=1e-3) or (len(known) > 1 and not any(known)):
        return f"it counts among the others: totals {list(totals)}, advantages {list(advantages)}"
    return ""


def silence() -> None:
    """Leave out TRL's warning per failed completion: `failures.jsonl` says it better."""
    if not any(isinstance(one, _Known) for one in _LOG.filters):
        _LOG.addFilter(_Known())


class _Known(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        # anywhere in it: accelerate puts the process in front
        return "All reward functions returned None" not in str(record.msg)


def _advantages(trainer: Any, totals: Sequence[float | None]) -> list[float]:
    """What TRL makes of one group with these totals in every process; here of ours."""
    import torch

    probe = copy.copy(trainer)  # its settings and devices; nothing of it is changed
    for name in OWN_NUMBERS:
        setattr(probe, name, copy.deepcopy(getattr(trainer, name)))
    probe.reward_funcs = [lambda **_: list(totals)]
    size = len(totals)
    token = int(trainer._tokenizer.eos_token_id)
    texts = [[{"role": "assistant", "content": ""}]] * size
    tokens = [[token]] * size
    logps = [[0.0]] * size if trainer.use_vllm else None
    probe._generate = lambda prompts: (tokens, tokens, None, texts, logps, {}, None, None)
    probe._get_per_token_logps_and_entropies = lambda *_, **__: (
        torch.zeros(size, 1, device=trainer.accelerator.device),
        None,
        None,
    )
    rows = [{"prompt": [{"role": "user", "content": ""}]} for _ in totals]
    with _training(trainer.model):
        found = probe._generate_and_score_completions(rows)["advantages"]
    return [float(one) for one in found]


@contextmanager
def _training(model: Any) -> Iterator[None]:
    """The mode in which TRL takes rewards for training."""
    before = model.training
    model.train()
    try:
        yield
    finally:
        model.train(before)


def _trl() -> str:
    from importlib import metadata

    return f"TRL {metadata.version('trl')}"
