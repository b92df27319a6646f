"""Why a GRPO phase learns little: numbers of its steps in, findings out.

The numbers are those that the trainer logs for each step, so the findings of a run can be
computed again from its `metrics.jsonl`. No torch, no files: `rftcore.training.watch` feeds the
lines and logs the findings, `rftcore.training.agreement` measures the gradients.

Each finding is reported once. docs/why-no-reward.md explains each kind.
"""

from rftcore.training.signal.diagnosis import Diagnosis, diagnose
from rftcore.training.signal.facts import Facts, Finding, Greedy

__all__ = ["Diagnosis", "Facts", "Finding", "Greedy", "diagnose"]
