"""The error budget of a run: failed reward calls of all ranks, and an end that all ranks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rftcore import distributed
from rftcore.errors import RewardError
from rftcore.scoring.outcomes import Failure

# failures kept per block, and the first of each further cause: these show why
MOST_PENDING = 100


class ErrorBudget:
    """Counts failed reward calls; `limit` may fail, the next one is an error.

    record: called with every failure of every rank at the end of a block `collective`.
    kept_in: where `record` keeps them, for messages.
    """

    def __init__(
        self, limit: int, record: Callable[[Failure], object] | None = None, kept_in: str = ""
    ) -> None:
        self._limit = limit
        self._record = record
        self._kept_in = kept_in
        self._failures = 0
        self._pending: list[Failure] = []
        self._causes: set[tuple[str, str, str]] = set()  # those of pending failures

    def add(self, failure: Failure, cause: BaseException | None) -> None:
        """Count a failure of this rank. Raises `RewardError` past the limit."""
        self._failures += 1
        why = failure.reward, failure.kind, failure.cause
        if len(self._pending) < MOST_PENDING or why not in self._causes:
            self._causes.add(why)
            self._pending.append(failure)
        else:
            self._pending[-1] = replace(self._pending[-1], more=self._pending[-1].more + 1)
        if self._failures > self._limit:
            raise RewardError(
                f"reward {failure.reward!r} failed on {failure.where}: {failure.note}. That is "
                f"failure {self._failures} and scoring.error_budget is {self._limit}: repair the "
                f"reward, or raise the budget{self._tracebacks()}"
            ) from cause

    @contextmanager
    def collective(self) -> Iterator[None]:
        """Run the block on every rank. If it raises on one, raise on all.

        The block may hold no other collective. Afterwards the failures of all ranks are
        recorded on each, and their sum is compared with the limit.

        Raises: what the block raises; on the other ranks an error of the same class that names
        the rank. `RewardError` if the ranks together are past the limit.
        """
        fault: Exception | None = None
        try:
            yield
        except Exception as error:
            fault = error
        reports = distributed.all_gather(self._report(fault))
        for failure in (failure for report in reports for failure in report.pending):
            if self._record is not None:
                self._record(failure)
        if fault is not None:
            raise fault
        self._raise_for_others(reports)

    def _report(self, fault: Exception | None) -> _Report:
        pending = tuple(self._pending)
        self._pending.clear()
        self._causes.clear()
        return _Report(distributed.Fault.of(fault), self._failures, pending)

    def _raise_for_others(self, reports: Sequence[_Report]) -> None:
        distributed.raise_for([report.fault for report in reports], RewardError)
        count = sum(report.failures for report in reports)
        if count > self._limit:
            last = [report.pending[-1] for report in reports if report.pending]
            listed = "; ".join(f"reward {f.reward!r} on {f.where}: {f.note}" for f in last)
            raise RewardError(
                f"{count} reward calls failed on {len(reports)} ranks and scoring.error_budget is "
                f"{self._limit}; the last: {listed}. Repair the reward, or raise the budget"
                f"{self._tracebacks()}"
            )

    def _tracebacks(self) -> str:
        return f". Tracebacks: {self._kept_in}" if self._kept_in else ""


@dataclass(frozen=True)
class _Report:
    """What one rank sends to the others: its error's class and text, and its failures."""

    fault: distributed.Fault | None
    failures: int
    pending: tuple[Failure, ...]
