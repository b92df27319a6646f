"""From what is given to what is asked, theorem by theorem, with the reasons kept.

Facts spread outwards from the givens, one layer of theorems at a time, so the
derivation found is one of the shallowest. Only exact values are built upon: a rounded one may
be an answer, never a premise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rft_structure.figures import Figure
from rft_structure.formulas import Value
from rft_structure.quantities import Quantity, is_exact
from rft_structure.theorems import Use, uses

DEEPEST = 3  # layers, and theorems in a derivation

Facts = Mapping[Quantity, float]


class NoDerivationError(Exception):
    """The asked quantity does not follow from the givens; the generator draws again."""


@dataclass(frozen=True)
class Step:
    """One theorem used, with the values it was used on."""

    use: Use
    values: tuple[float, ...]
    value: float

    def __str__(self) -> str:
        line = self.use.formula.line(self.use.conclusion.short, list(self.values))
        return f"{self.use.theorem.reason}: {line}."


def stated(figure: Figure) -> dict[Quantity, float]:
    """The right angles that are marked in a figure."""
    corners = list(figure.of("right"))
    for a, b, c, d in figure.of("rectangle"):
        corners += [(d, a, b), (a, b, c), (b, c, d), (c, d, a)]
    return {figure.angle(*corner): 90.0 for corner in corners}


def derive(figure: Figure, given: Facts, asked: Quantity) -> tuple[Step, ...]:
    """The steps that lead from `given` to `asked`, in order; none is idle.

    Raises: NoDerivationError if `DEEPEST` theorems do not suffice.
    """
    facts = {**stated(figure), **given}
    how: dict[Quantity, Step] = {}
    for _ in range(DEEPEST):
        layer = {step.use.conclusion: step for step in reversed(list(_possible(figure, facts)))}
        facts |= {quantity: step.value for quantity, step in layer.items()}
        how |= layer
    steps = tuple(dict.fromkeys(_trace(how, asked))) if asked in how else ()
    if not 1 <= len(steps) <= DEEPEST:
        raise NoDerivationError(f"{asked} does not follow in {DEEPEST} steps")
    return steps


def _possible(figure: Figure, facts: Facts) -> Iterator[Step]:
    for use in uses(figure):
        values = tuple(facts.get(quantity, math.nan) for quantity in use.premises)
        if use.conclusion in facts or not all(math.isfinite(v) and is_exact(v) for v in values):
            continue
        value = use.formula.value(*values)
        if math.isfinite(value):
            yield Step(use, values, value)


def _trace(how: Mapping[Quantity, Step], asked: Quantity) -> Iterator[Step]:
    if asked in how:
        for premise in how[asked].use.premises:
            yield from _trace(how, premise)
        yield how[asked]


def slipped(figure: Figure, given: Facts, steps: Sequence[Step]) -> Iterator[tuple[str, float]]:
    """Answers of the same derivation with one slip in one step: (reason, answer)."""
    for at, step in enumerate(steps):
        for reason, wrong in step.use.formula.slips:
            yield f"{reason} ({step.use.theorem.name})", _replay(figure, given, steps, at, wrong)


def _replay(
    figure: Figure, given: Facts, steps: Sequence[Step], slip_at: int, wrong: Value
) -> float:
    facts = {**stated(figure), **given}
    for at, step in enumerate(steps):
        formula = wrong if at == slip_at else step.use.formula.value
        facts[step.use.conclusion] = formula(*(facts[q] for q in step.use.premises))
    return facts[steps[-1].use.conclusion]
