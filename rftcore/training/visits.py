"""What the group of each prompt earned, by step: for the curriculum, and for the run folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from transformers import TrainerCallback

from rftcore import distributed
from rftcore.config import Recipe
from rftcore.datasets.slices import Slice
from rftcore.errors import TrainerError
from rftcore.runs import PROMPTS
from rftcore.scoring import Score
from rftcore.training.curriculum import Curriculum, Outcome

logger = logging.getLogger(__name__)

Visit = tuple[int, bool | None, float | None]  # row, whether it is right, total reward
Record = Callable[[Mapping[str, Any]], None]


class Visits(TrainerCallback):
    """Collects the outcomes of each batch of prompts from all ranks, once its step has ended."""

    def __init__(self, curriculum: Curriculum, record: Record) -> None:
        self.curriculum = curriculum
        self._record = record
        self._pending: list[list[Visit]] = []

    @property
    def passed_over(self) -> int:
        """How many prompts were passed over to fill the batch that is being scored."""
        return self.curriculum.passed_over(self.curriculum.finished + len(self._pending))

    def scored(self, rows: Sequence[int], scores: Sequence[Score]) -> None:
        """Keep this rank's completions of a batch."""
        pairs = zip(rows, scores, strict=True)
        self._pending.append([(row, score.correct, score.total) for row, score in pairs])

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check that the outcomes are those of the steps taken, and that there will be enough."""
        batches = state.global_step // args.num_iterations
        if self.curriculum.finished != batches:
            raise TrainerError(
                f"{PROMPTS} of the run has {self.curriculum.finished} steps, and the checkpoint "
                f"was written after {batches}: restore the file, or start a new run"
            )
        idle = self.curriculum.idle(state.max_steps // args.num_iterations)
        if idle and state.is_world_process_zero:
            logger.warning(idle)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add the outcomes of the batch, if this step has scored one."""
        for mine in self._pending:
            passed = self.curriculum.passed_over(self.curriculum.finished)
            outcomes = outcomes_of(chain.from_iterable(distributed.all_gather(mine)))
            self.curriculum.add(outcomes)
            prompts = [asdict(outcome) for outcome in outcomes]
            self._record({"step": state.global_step, "passed_over": passed, "prompts": prompts})
        self._pending.clear()


def visits_of(
    recipe: Recipe, part: Slice, earlier: Iterable[Mapping[str, Any]], record: Record
) -> Visits | None:
    """The visits of a run whose recipe passes over prompts, else None.

    earlier: the lines of `prompts.jsonl`. Raises: `TrainerError` for lines that rft did not write.
    """
    grpo = recipe.grpo
    if not grpo.skip:
        return None
    try:
        outcomes = [[Outcome(**prompt) for prompt in line["prompts"]] for line in earlier]
    except (KeyError, TypeError) as error:
        raise TrainerError(f"{PROMPTS} of the run does not hold outcomes: {error}") from error
    curriculum = Curriculum(
        len(part), grpo.skip, after=grpo.skip_after, rest=grpo.skip_for, outcomes=outcomes
    )
    return Visits(curriculum, record)


def outcomes_of(visits: Iterable[Visit]) -> list[Outcome]:
    """The outcome of each group, in the order of first occurrence."""
    groups: dict[int, list[Visit]] = {}
    for visit in visits:
        groups.setdefault(visit[0], []).append(visit)
    return [_outcome(row, group) for row, group in groups.items()]


def _outcome(row: int, group: Sequence[Visit]) -> Outcome:
    known = [correct for _, correct, _ in group if correct is not None]
    totals = {total for *_, total in group}
    right = sum(known) if known else None
    return Outcome(row, right, len(group), len(totals) == 1 and None not in totals)
