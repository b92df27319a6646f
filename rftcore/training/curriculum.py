"""Which prompts GRPO passes over because their groups have had nothing to learn from.

A group whose completions are all right, all wrong, or all of one reward has no advantage: its
share of the step is spent for nothing. DAPO (arXiv:2503.14476, dynamic sampling) draws further
groups until a batch is full of others. Here a prompt whose last `after` groups were settled is
passed over in the next `rest` passes over the split, and the prompts behind it move up, so a
step has as many groups as before and costs no rollout more. Then the prompt is drawn again,
since the policy has changed.

What is drawn depends on outcomes of two steps before and earlier: the data loader reads one
batch ahead. It is computed from the order, the settings and the outcomes alone, so it is the
same on every rank and after a resume.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, islice

LAG = 2  # batches between an outcome and the first batch that depends on it


@dataclass(frozen=True)
class Outcome:
    """What a group earned: how many of its completions are right, and if all earned the same.

    right: None if no completion has an accuracy.
    """

    row: int
    right: int | None
    of: int
    flat: bool

    def is_any(self, kinds: Collection[str]) -> bool:
        """Whether the group is "solved" (all right), "failed" (none) or "flat", if in `kinds`."""
        return (
            ("solved" in kinds and self.right == self.of)
            or ("failed" in kinds and self.right == 0)
            or ("flat" in kinds and self.flat)
        )


@dataclass
class _Prompt:
    """What is known of a prompt: settled groups in a row, and passes since it was drawn."""

    settled: int = 0
    passed: int = 0
    last: int = -1


@dataclass
class _Batch:
    rows: list[int] = field(default_factory=list)
    passed: int = 0


class Curriculum:
    """Draws the prompts of each batch from an order, without those that are settled.

    kinds: which groups are settled, of "solved", "failed" and "flat". outcomes: those of the
    batches of earlier sessions.
    """

    def __init__(
        self,
        size: int,
        kinds: Collection[str],
        *,
        after: int,
        rest: int,
        outcomes: Sequence[Sequence[Outcome]] = (),
    ) -> None:
        self._kinds, self._after, self._rest = frozenset(kinds), after, rest
        self._prompts = [_Prompt() for _ in range(size)]
        self._outcomes = list(outcomes)
        self._known = 0  # batches whose outcomes are counted
        self._batches: list[_Batch] = []
        self._stream: Iterator[int] = iter(())

    def follow(self, order: Callable[[int], Sequence[int]]) -> None:
        """Draw from this order. order: the prompts of each batch if none is passed over."""
        self._stream = chain.from_iterable(order(batch) for batch in count())
        self._per_batch = len(order(0))

    def idle(self, batches: int) -> str:
        """Why no prompt can be passed over in so many batches, as one sentence; "" if one can."""
        visits = batches / (len(self._prompts) // self._per_batch)  # what is left of a pass is cut
        if visits > self._after:
            return ""
        most = math.ceil(visits) - 1
        fewer = f"set grpo.skip_after={most}, or " if most else ""
        return (
            f"grpo.skip has no effect: a prompt is passed over after {self._after} such groups in "
            f"a row (grpo.skip_after), and the run draws each of its {len(self._prompts):,} "
            f"prompts {visits:.1f} times; {fewer}take more steps or fewer grpo.samples"
        )

    @property
    def finished(self) -> int:
        """How many batches have outcomes."""
        return len(self._outcomes)

    def drawn(self, batch: int) -> list[int]:
        """The samples of a batch. Raises: `RuntimeError` if its outcomes are not known yet."""
        while len(self._batches) <= batch:
            self._draw()
        return self._batches[batch].rows

    def passed_over(self, batch: int) -> int:
        """How many prompts were passed over to fill a batch."""
        self.drawn(batch)
        return self._batches[batch].passed

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Add the outcomes of the next batch."""
        found, expected = {each.row for each in outcomes}, set(self.drawn(self.finished))
        if found != expected:
            raise RuntimeError(f"outcomes of prompts {found}, but {expected} were drawn")
        self._outcomes.append(list(outcomes))

    def _draw(self) -> None:
        number = len(self._batches)
        self._count_outcomes(number - LAG)
        batch, late = _Batch(), []
        for row in islice(self._stream, len(self._prompts) + self._per_batch):
            prompt = self._prompts[row]
            if row in batch.rows or row in late:
                continue
            if prompt.settled >= self._after and prompt.passed < self._rest:
                prompt.passed += 1
                batch.passed += 1
                late.append(row)
                continue
            batch.rows.append(row)
            if len(batch.rows) == self._per_batch:
                break
        self._fill(batch, late)
        for row in batch.rows:
            self._prompts[row].passed, self._prompts[row].last = 0, number
        self._batches.append(batch)

    def _fill(self, batch: _Batch, late: list[int]) -> None:
        """Take prompts that were passed over, the longest ago drawn first, if too few are left."""
        lacking = self._per_batch - len(batch.rows)
        if lacking:
            chosen = sorted(late, key=lambda row: self._prompts[row].last)[:lacking]
            batch.rows += chosen
            batch.passed -= len(chosen)

    def _count_outcomes(self, last: int) -> None:
        """Count the outcomes of batches up to `last`, and no later ones."""
        for number in range(self._known, last + 1):
            if number >= self.finished:
                raise RuntimeError(f"batch {number + LAG} is drawn before batch {number} is scored")
            for outcome in self._outcomes[number]:
                prompt = self._prompts[outcome.row]
                prompt.settled = prompt.settled + 1 if outcome.is_any(self._kinds) else 0
            self._known = number + 1
