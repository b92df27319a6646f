"""Derive the asked quantity from the given ones, theorem by theorem.

Forward chaining, one layer of theorems at a time, so the derivation found is one
of the shallowest. Premises are exact values only; a rounded one may only be the
answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rft_structure.figures import Figure
from rft_structure.formulas import Value
from rft_structure.quantities import Quantity, is_exact
from rft_structure.theorems import Use, uses

DEEPEST = 3  # most layers, and most theorems in a derivation

Facts = Mapping[Quantity, float]


class NoDerivationError(Exception):
    """The asked quantity does not follow from the given ones; the generator draws again."""


@dataclass(frozen=True)
class Step:
    """One use of a theorem, with the values of its premises and conclusion."""

    use: Use
    values: tuple[float, ...]
    value: float

    def __str__(self) -> str:
        line = self.use.formula.line(self.use.conclusion.short, list(self.values))
        return f"{self.use.theorem.reason}: {line}."


def stated(figure: Figure) -> dict[Quantity, float]:
    """The right angles that are marked in a figure, in degrees."""
    corners = list(figure.of("right"))
    for a, b, c, d in figure.of("rectangle"):
        corners += [(d, a, b), (a, b, c), (b, c, d), (c, d, a)]
    return {figure.angle(*corner): 90.0 for corner in corners}


def derive(figure: Figure, given: Facts, asked: Quantity) -> tuple[Step, ...]:
    """The steps from `given` to `asked` in order, without unused ones.

    Raises: NoDerivationError if `DEEPEST` theorems do not suffice.
    """
    facts = {**stated(figure), **given}
    found: dict[Quantity, Step] = {}
    for _ in range(DEEPEST):
        layer = {step.use.conclusion: step for step in reversed(list(_possible(figure, facts)))}
        facts |= {quantity: step.value for quantity, step in layer.items()}
        found |= layer
    steps = tuple(dict.fromkeys(_trace(found, asked))) if asked in found else ()
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


def _trace(found: Mapping[Quantity, Step], asked: Quantity) -> Iterator[Step]:
    if asked in found:
        for premise in found[asked].use.premises:
            yield from _trace(found, premise)
        yield found[asked]


def slipped(figure: Figure, given: Facts, steps: Sequence[Step]) -> Iterator[tuple[str, float]]:
    """Yield (reason, answer) for the derivation with one slip in one step."""
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
