"""Scores as plain values, which can be compared between calls and processes."""

from rftcore.errors import SampleError
from rftcore.scoring import Scorer
from rftcore.types import Sample, Task

Row = dict[str, tuple[str, float | None]]  # by reward: outcome and value
PATIENCE_S = 30.0  # for one reward call, generous for a busy machine
_NEVER_STOP = 10**9  # failures: the laws count all of them


def scorer_of(task: Task) -> Scorer:
    """A scorer that continues however often a reward fails."""
    return Scorer(task, timeout_s=PATIENCE_S, error_budget=_NEVER_STOP)


def row_of(scorer: Scorer, completion: str, sample: Sample) -> Row:
    """One completion's outcomes by reward; empty if a reward cannot use the sample."""
    try:
        score = scorer.score([completion], [sample])[0]
    except SampleError:  # for another law: see `rewards-read-golds`
        return {}
    return {name: (part.kind, part.value) for name, part in score.parts.items()}
