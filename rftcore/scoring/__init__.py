"""Rewards of a batch of completions: deadlines, worker processes, a type for each failure.

Each completion is parsed once. A wrong answer is a score; an exception, a
timeout, a killed process or a value that is not a number is a typed failure,
never 0.0. Failures are counted and recorded, and past a budget they stop the
run on all ranks.

`outcomes` holds the values; `calling` makes one call with a deadline in this
process; `specs` and `wire` are the messages to a worker process, `worker` is its
main function, `pool` distributes the calls; `scorer` scores a batch, and
`collective` holds the error budget of all ranks.
"""

from rftcore.scoring.outcomes import Failure, Outcome, Score
from rftcore.scoring.scorer import Scorer

__all__ = ["Failure", "Outcome", "Score", "Scorer"]
