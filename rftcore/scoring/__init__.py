"""Run a task's rewards over a batch of completions; type every failure.

Each completion is parsed once. A wrong answer is a score; an exception, a
timeout, a lost process or a value that is no number is a failure with a name,
never 0.0. Failures are counted and recorded, and past a budget they stop the
run, in all of its processes.

`outcomes` holds the values; `calling` makes one call with a deadline in this
process; `blueprints` and `parcels` say what a worker is told, `worker` is what
it does, `pool` hands calls out; `scorer` puts a batch together.
"""

from rftcore.scoring.outcomes import Failure, Outcome, Score
from rftcore.scoring.scorer import Scorer

__all__ = ["Failure", "Outcome", "Score", "Scorer"]
