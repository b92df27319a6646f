"""A problem: a figure, given and asked quantities, the derivation and wrong answers.

    (kind, random numbers) -> figure -> derivation -> answer, wrong choices

A problem without a derivation, or with an answer whose rounding is ambiguous, is
rejected and drawn again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from random import Random

from rft_structure.derivation import NoDerivationError, Step, derive, slipped
from rft_structure.drafting import Draft
from rft_structure.figures import Figure
from rft_structure.kinds import Kind
from rft_structure.layout import is_crowded
from rft_structure.quantities import Quantity, is_clear, is_exact, show

APART = 0.02  # least difference of a wrong choice from the right one, as a share of it
FARTHEST = 10  # largest ratio of a wrong choice and the right one
TENS = "miscounted the tens"
BUCKETS = 16


@dataclass(frozen=True)
class Problem:
    """One problem. `given` are (quantity, value) pairs; the last step has the answer."""

    kind: Kind
    figure: Figure
    given: tuple[tuple[Quantity, float], ...]
    asked: Quantity
    steps: tuple[Step, ...]

    @property
    def answer(self) -> float:
        """The answer before rounding."""
        return self.steps[-1].value

    @property
    def theorems(self) -> tuple[str, ...]:
        """The names of the theorems used, in order."""
        return tuple(step.use.theorem.name for step in self.steps)

    def wrong(self) -> dict[str, str]:
        """Wrong answers as text, each with the reason for it.

        Slips of the tens come last: they are used if there are few others.
        """
        found: dict[str, str] = {}
        for reason, value in self._mistakes():
            if self._misleads(value):
                found.setdefault(show(value), reason)
        return found

    def _mistakes(self) -> Iterator[tuple[str, float]]:
        yield from slipped(self.figure, dict(self.given), self.steps)
        for step in self.steps[:-1]:
            if step.use.conclusion.kind == self.asked.kind:
                yield "stopped too early", step.value
        for quantity, value in self.given:
            if quantity.kind == self.asked.kind:
                yield "took a given value", value
        for tens in (10, -10, 20, -20):
            yield TENS, self.answer + tens

    def _misleads(self, value: float) -> bool:
        """Whether a wrong value is plausible and clearly different from the right one."""
        near = self.answer / FARTHEST < value < self.answer * FARTHEST
        apart = abs(value - self.answer) >= max(0.1, APART * self.answer)
        return near and apart and is_clear(value) and (self.asked.kind != "angle" or value < 180)


def draw(kind: Kind, rng: Random, step: int, buckets: Container[int]) -> Problem | None:
    """A problem of `kind` from one of `buckets`, or None if this draw is rejected."""
    asked = kind.make(Draft(rng, step))
    given = tuple((quantity, _measured(asked.figure, quantity)) for quantity in asked.given)
    values = [value for _, value in given]
    if bucket(kind, values) not in buckets or is_crowded(asked.figure):
        return None
    try:
        steps = derive(asked.figure, dict(given), asked.asked)
    except NoDerivationError:
        return None
    problem = Problem(kind, asked.figure, given, asked.asked, steps)
    good = all(map(is_exact, values)) and is_clear(problem.answer) and len(problem.wrong()) >= 3
    return problem if good else None


def bucket(kind: Kind, values: Iterable[float]) -> int:
    """One of `BUCKETS`; independent of letters, rotation and order of the values."""
    key = "|".join([kind.name, *map(show, sorted(values))])
    return hashlib.sha256(key.encode()).digest()[0] % BUCKETS


def _measured(figure: Figure, quantity: Quantity) -> float:
    return round(figure.measure(quantity), 6)
