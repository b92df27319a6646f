"""Score a batch of completions: parse once, run the terms, weigh them, count failures."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rftcore import distributed, parsers, rewards
from rftcore.deadlines import can_interrupt
from rftcore.errors import PluginError, SampleError, closest, describe
from rftcore.scoring.calling import call
from rftcore.scoring.collective import ErrorBudget
from rftcore.scoring.outcomes import Called, Failure, Outcome, Score
from rftcore.scoring.pool import Call, Pool, default_workers
from rftcore.scoring.reading import Reader
from rftcore.scoring.rows import Row
from rftcore.scoring.specs import RewardSpecs
from rftcore.scoring.wire import pack
from rftcore.types import Parser, Reward, Sample, Task, Term

if TYPE_CHECKING:
    from rftcore.config import Recipe

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


class Scorer:
    """A task's parser and rewards, with deadlines and an error budget.

    timeout_s: deadline of one reward call in seconds, kept by a timer in the main thread. For
        rewards that declare themselves slow, for all rewards if `isolate_all`, and where there is
        no such timer, the call runs in a worker process, which is killed if need be.
    workers: worker processes at most; with 0 every call is made in this process.
    error_budget: how many calls may fail before the next failure stops the run.
    recipe: from which a worker makes the task again; without it, a worker can run only rewards
        that can be imported.
    record: called with every failure of every rank at the end of a block `collective`; `kept_in`
        names where it stores them, for messages.
    forgiving: read answers as `rftcore.parsers.forgiving` does, for a model that was not trained
        on the task.

    Raises: PluginError for a task that cannot be scored, and for a reward that must run in a
    worker but cannot be made there.
    """

    def __init__(
        self,
        task: Task,
        *,
        timeout_s: float = 2.0,
        error_budget: int = 10,
        workers: int | None = None,
        isolate_all: bool = False,
        recipe: Recipe | None = None,
        record: Callable[[Failure], object] | None = None,
        forgiving: bool = False,
        kept_in: str = "",
    ) -> None:
        self._task = task
        parser = _resolved_parser(task)
        self._reader = Reader(parsers.forgiving(parser) if forgiving else parser)
        self.reads = "forgiving" if forgiving else "strict"  # answers, as a report names it
        self._terms = {
            name: (term, _resolved_reward(task, name, term)) for name, term in task.rewards.items()
        }
        if task.accuracy not in task.rewards:
            raise PluginError(
                f"task {task.name}: accuracy={task.accuracy!r} is not one of its rewards."
                f"{closest(task.accuracy, task.rewards)} Offered: {', '.join(task.rewards)}"
            )
        self._timeout_s = timeout_s
        self._workers = default_workers() if workers is None else workers
        self._isolate = isolate_all
        self._recipe = recipe
        self._budget = ErrorBudget(error_budget, record, kept_in)
        self._too_high = False
        if isolated := [name for name in self._terms if self._runs_in_worker(name)]:
            self._pool.check(isolated)

    @classmethod
    def of(
        cls,
        task: Task,
        recipe: Recipe,
        record: Callable[[Failure], object] | None = None,
        *,
        error_budget: int | None = None,
        forgiving: bool = False,
        kept_in: str = "",
    ) -> Self:
        """A scorer with the settings of a recipe, or with another error budget."""
        settings = recipe.scoring
        return cls(
            task,
            timeout_s=settings.timeout_s,
            error_budget=settings.error_budget if error_budget is None else error_budget,
            workers=settings.workers,
            isolate_all=settings.isolate_all,
            recipe=recipe,
            record=record,
            forgiving=forgiving,
            kept_in=kept_in,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End its workers, if it has any."""
        if "_pool" in vars(self):
            self._pool.close()

    def collective(self) -> AbstractContextManager[None]:
        """A block around scoring that runs on every rank: if it raises on one, raise on all.

        See `rftcore.scoring.collective`.
        """
        return self._budget.collective()

    def score(
        self,
        completions: Sequence[str],
        samples: Sequence[Sample],
        *,
        step: int | None = None,
        groups: Sequence[int] | None = None,
        tokens: Sequence[int] | None = None,
    ) -> list[Score]:
        """Score completions[i], tokens[i] long, as an answer to samples[i].

        Shape: all sequences have one length; `groups[i]` is equal for the
        completions of one prompt, which are one another's siblings.
        Raises: SampleError for a gold that cannot be read, PluginError for a
        parser that raises, RewardError past the error budget.
        """
        known: dict[str, Sequence[Any] | None] = {
            "siblings": _siblings(completions, groups),
            "tokens": tokens,
            "sibling_tokens": _siblings(tokens, groups),
        }
        rows = []
        for at, (completion, sample) in enumerate(zip(completions, samples, strict=True)):
            own = {name: None if every is None else every[at] for name, every in known.items()}
            given = {"completion": completion, "sample": sample, "step": step, "correct": None}
            rows.append(Row(at, self._reader.read(completion, sample), {**own, **given}))
        first = self._task.accuracy  # the other terms may use whether the answer is correct
        self._run([first], rows)
        for row in rows:
            accuracy = row.parts[first]
            row.inputs["correct"] = None if accuracy.value is None else accuracy.value == 1
            self._warn_above_one(first, row)
        self._run([name for name in self._terms if name != first], rows)
        return [self._score(row) for row in rows]

    # --- calling ---

    @cached_property
    def _pool(self) -> Pool:
        specs = RewardSpecs.of(self._task, self._recipe)
        return Pool(specs, workers=self._workers, timeout_s=self._timeout_s)

    def _runs_in_worker(self, name: str) -> bool:
        """Whether the calls of a term run in a worker process."""
        slow = rewards.is_slow(self._terms[name][1])
        return self._workers > 0 and (self._isolate or slow or not can_interrupt())

    def _run(self, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Call the terms of these names for every row."""
        isolated = [name for name in names if self._runs_in_worker(name)]
        for row in rows:
            for name in names:
                if name not in isolated:
                    function = self._terms[name][1]
                    called = call(function, row.input(function), self._timeout_s)
                    self._note(name, row, called)
        if isolated:
            self._run_in_workers(isolated, rows)

    def _run_in_workers(self, names: Collection[str], rows: Sequence[Row]) -> None:
        self._pool.check(names)
        jobs = [(name, row) for row in rows for name in names]
        for at, called in self._pool.run([self._packed(name, row) for name, row in jobs]):
            self._note(*jobs[at], called)

    def _packed(self, name: str, row: Row) -> Call:
        try:
            return name, pack(row.input(self._terms[name][1]))
        except Exception as error:
            raise PluginError(
                f"reward {name!r} runs in a worker process, but its input for "
                f"{row.where} cannot be pickled: {describe(error)}. Parsed answers "
                "and samples must pickle; scoring.workers=0 runs it in this process"
            ) from error

    def _note(self, name: str, row: Row, called: Called) -> None:
        """Keep an outcome; count and remember it if it is a failure."""
        if called.bad_data:  # the sample is wrong, not the reward: no budget applies
            raise SampleError(f"{row.where}: reward {name!r}: {called.bad_data}") from called.cause
        row.parts[name] = called.outcome
        if called.outcome.failed:
            self._budget.add(row.failure(name, called), called.cause)

    # --- summing up ---

    def _score(self, row: Row) -> Score:
        parts = {name: row.parts[name] for name in self._terms}
        accuracy = row.parts[self._task.accuracy].value
        return Score(
            self._total(parts),
            parts,
            row.answer.parsed,
            correct=None if accuracy is None else accuracy == 1,
            answer=self._reader.shown(row.answer),
        )

    def _warn_above_one(self, name: str, row: Row) -> None:
        """Warn once if the accuracy term is above 1: such an answer does not count as correct."""
        value = row.parts[name].value
        if value is None or value <= 1 or self._too_high:
            return
        self._too_high = True
        if distributed.is_main():
            logger.warning(
                "reward %r, the task's accuracy term, returned %g on %s. A completion is correct "
                "only if that term is exactly 1, so this one counts as wrong: return 1.0 for a "
                "right answer and use the term's `weight` to make it count for more",
                name,
                value,
                row.where,
            )

    def _total(self, parts: Mapping[str, Outcome]) -> float | None:
        terms = {name: term for name, (term, _) in self._terms.items()}
        if any(part.failed and terms[name].required for name, part in parts.items()):
            return None
        values = [
            terms[name].weight * part.value
            for name, part in parts.items()
            if part.value is not None
        ]
        return math.fsum(values) if values else None


def _resolved_parser(task: Task) -> Parser:
    if isinstance(task.parser, str):
        raise PluginError(f"task {task.name}: parser {task.parser!r} was not resolved")
    return task.parser


def _resolved_reward(task: Task, name: str, term: Term) -> Reward:
    if isinstance(term.reward, str) or not callable(term.reward):
        raise PluginError(f"task {task.name}: reward {name!r} is {term.reward!r}, not a function")
    if not math.isfinite(term.weight):
        raise PluginError(f"task {task.name}: reward {name!r} has weight {term.weight}")
    return term.reward


def _siblings(
    values: Sequence[Value] | None, groups: Sequence[int] | None
) -> Sequence[tuple[Value, ...]] | None:
    """For each value the other values of its group, in order; None if groups are unknown."""
    if values is None or groups is None:
        return None
    members: defaultdict[int, list[int]] = defaultdict(list)
    for at, group in enumerate(groups):
        members[group].append(at)
    return [
        tuple(values[other] for other in members[group] if other != at)
        for at, group in enumerate(groups)
    ]
