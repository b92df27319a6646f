"""Run a task's rewards over a batch of completions; type every failure.

Each completion is parsed once. A wrong answer is a score; an exception, a
timeout or a value that is no number is a failure with a name, never 0.0.
Failures are counted, and past a budget they stop the run.
"""

from __future__ import annotations

import math
import numbers
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal, TypeVar

from rftcore import rewards
from rftcore.errors import PluginError, RewardError, SampleError, closest
from rftcore.types import Parsed, Parser, Reward, RewardInput, RewardResult, Sample, Task, Term

Value = TypeVar("Value")


@dataclass(frozen=True)
class Outcome:
    """What one reward said about one completion; `value` only if `kind` is "ok"."""

    kind: Literal["ok", "n/a", "error", "timeout"]
    value: float | None = None
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether the reward could not be computed."""
        return self.kind in ("error", "timeout")


@dataclass(frozen=True)
class Score:
    """One completion's result.

    `total` is the weighted sum of the parts that apply; None if a required
    part failed or none applies: such a row must not move the policy.
    `correct` says whether the task's accuracy part is exactly 1.
    """

    total: float | None
    parts: Mapping[str, Outcome]
    parsed: Parsed
    correct: bool


class Scorer:
    """A task's parser and rewards, with deadlines and an error budget.

    `timeout_s` bounds one reward call in seconds, in the main thread of a
    system with interval timers; elsewhere a call cannot be interrupted.
    `error_budget` is how many calls may fail before the next one stops the run.
    """

    def __init__(self, task: Task, *, timeout_s: float = 2.0, error_budget: int = 10) -> None:
        self._parser = _resolved_parser(task)
        self._terms = {
            name: (term, _resolved_reward(task, name, term)) for name, term in task.rewards.items()
        }
        self._accuracy = task.accuracy
        self._timeout_s = timeout_s
        self._error_budget = error_budget
        self._counts: Counter[str] = Counter()
        self._failures = 0
        if task.accuracy not in task.rewards:
            raise PluginError(
                f"task {task.name}: accuracy={task.accuracy!r} is not one of its rewards."
                f"{closest(task.accuracy, task.rewards)} Offered: {', '.join(task.rewards)}"
            )

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
        scores = []
        for at, (completion, sample) in enumerate(zip(completions, samples, strict=True)):
            own = {name: None if every is None else every[at] for name, every in known.items()}
            scores.append(self._score_one(completion, sample, {**own, "step": step}))
        return scores

    def metrics(self) -> dict[str, float]:
        """Counts since the start: completions, those without an answer, failures by reward."""
        return dict(sorted(self._counts.items()))

    def _score_one(self, completion: str, sample: Sample, known: Mapping[str, Any]) -> Score:
        gold = self._read_gold(sample)
        parsed = self._parse(completion, sample)
        self._counts["completions"] += 1
        self._counts["without_answer"] += not parsed.ok
        seen = {**known, "completion": completion, "sample": sample, "correct": None}

        def run(name: str) -> Outcome:
            function = self._terms[name][1]
            return self._run(name, function, _input(function, parsed, gold, seen), sample)

        accuracy = run(self._accuracy)  # first: the others may ask whether it is right
        correct = accuracy.value == 1
        seen["correct"] = None if accuracy.failed else correct
        parts = {name: accuracy if name == self._accuracy else run(name) for name in self._terms}
        return Score(self._total(parts), parts, parsed, correct=correct)

    def _read_gold(self, sample: Sample) -> Any:
        try:
            gold = self._parser.gold(sample.gold)
        except Exception as error:
            raise _parser_broke(self._parser, "gold", sample, error) from error
        if not gold.ok:
            raise SampleError(
                f"{_where(sample)}: the parser cannot read the gold answer: {gold.refusal}"
            )
        return gold.value

    def _parse(self, completion: str, sample: Sample) -> Parsed:
        try:
            return self._parser.parse(completion)
        except Exception as error:
            raise _parser_broke(self._parser, "parse", sample, error) from error

    def _run(self, name: str, function: Reward, x: RewardInput, sample: Sample) -> Outcome:
        try:
            with _deadline(self._timeout_s):
                outcome = _outcome(function(x))
        except _Late:
            outcome = Outcome("timeout", note=f"no result within {self._timeout_s:g} s")
        except TimeoutError as error:  # a deadline of the reward's own
            outcome = Outcome("timeout", note=str(error))
        except SampleError as error:  # the data's fault: no budget makes it right
            raise SampleError(f"{_where(sample)}: reward {name!r}: {error}") from error
        except (Exception, SystemExit) as error:
            outcome = Outcome("error", note=_describe(error))
            self._count(name, outcome, sample, error)
            return outcome
        self._count(name, outcome, sample, None)
        return outcome

    def _count(
        self, name: str, outcome: Outcome, sample: Sample, cause: BaseException | None
    ) -> None:
        if outcome.kind == "ok":
            return
        self._counts[f"{outcome.kind}/{name}"] += 1
        self._failures += outcome.failed
        if outcome.failed and self._failures > self._error_budget:
            raise RewardError(
                f"reward {name!r} failed on {_where(sample)}: {outcome.note}. That is failure "
                f"{self._failures} and scoring.error_budget is {self._error_budget}: repair the "
                "reward, or raise the budget"
            ) from cause

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
        raise PluginError(f"task {task.name}: parser {task.parser!r} is a name, not yet a parser")
    return task.parser


def _resolved_reward(task: Task, name: str, term: Term) -> Reward:
    if isinstance(term.reward, str) or not callable(term.reward):
        raise PluginError(
            f"task {task.name}: reward {name!r} is {term.reward!r}, not yet a function"
        )
    if not math.isfinite(term.weight):
        raise PluginError(f"task {task.name}: reward {name!r} has weight {term.weight}")
    return term.reward


def _siblings(
    values: Sequence[Value] | None, groups: Sequence[int] | None
) -> Sequence[tuple[Value, ...]] | None:
    """For each value those of the others of its group, in order; None if unknown."""
    if values is None or groups is None:
        return None
    members: defaultdict[int, list[int]] = defaultdict(list)
    for at, group in enumerate(groups):
        members[group].append(at)
    return [
        tuple(values[other] for other in members[group] if other != at)
        for at, group in enumerate(groups)
    ]


def _input(function: Reward, parsed: Parsed, gold: Any, seen: Mapping[str, Any]) -> RewardInput:
    wanted = {name: seen[name] for name in rewards.uses(function)}
    return RewardInput(answer=parsed.value if parsed.ok else None, gold=gold, **wanted)


def _outcome(output: object) -> Outcome:
    """Check what a reward returned. Raises TypeError or ValueError if it is no number."""
    if output is None:
        return Outcome("n/a")
    value, note = (output.value, output.note) if isinstance(output, RewardResult) else (output, "")
    if not isinstance(value, numbers.Real):
        raise TypeError(f"it returned {value!r} ({type(value).__name__}), not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"it returned {number}, which is not finite")
    return Outcome("ok", number, note)


def _where(sample: Sample) -> str:
    return sample.origin or f"sample {sample.id}"


def _describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _parser_broke(parser: Parser, method: str, sample: Sample, error: Exception) -> PluginError:
    return PluginError(
        f"parser {type(parser).__name__}.{method} raised {_describe(error)} on {_where(sample)}: "
        "a parser answers any text with a Parsed and never raises"
    )


class _Late(BaseException):
    """The deadline passed. Not an Exception, so that a reward cannot swallow it by mistake."""


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise `_Late` in the block after `seconds`, even inside a runaway regex.

    An alarm that someone else has set is put back with the time it has left.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    rang = False

    def ring(_signal: int, _frame: FrameType | None) -> None:
        nonlocal rang
        rang = True
        raise _Late

    start = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
        if rang:  # a bare "except:" swallowed the alarm
            raise _Late
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
            if left:
                passed = time.monotonic() - start
                signal.setitimer(signal.ITIMER_REAL, max(left - passed, 1e-3), interval)
