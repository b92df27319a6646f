"""Claims: one row against another on a split, with interval, test and correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rftcore.comparison.rows import Measured, Row
from rftcore.errors import RecipeError
from rftcore.runs import FAILURES
from rftcore.statistics import Change, change, holm

CLAIM_AT = 0.05

# By row and split: which questions each run, by its folder, answered right; None: not scored.
Right = Mapping[tuple[str, str], Mapping[Any, Sequence[bool | None]]]


@dataclass(frozen=True)
class Claim:
    """`row` against `other` on a split: what it has more, as a share of the same questions.

    seeds: those that both have. p_holm: p after Holm's correction for all claims together.
    """

    split: str
    row: str
    other: str
    here: float
    there: float
    seeds: tuple[int, ...]
    change: Change
    p_holm: float = 1.0
    of: int = 1

    @property
    def shown(self) -> bool:
        """Whether the difference is beyond noise, all claims taken together."""
        return self.p_holm < CLAIM_AT

    def sentence(self) -> str:
        """The claim in one sentence, with its interval and its test."""
        found = self.change
        more = f"{found.value:+.1%} [{found.low:+.1%}, {found.high:+.1%}]".replace("%", "")
        seeds = f"seed{'s' * (len(self.seeds) != 1)} {', '.join(map(str, self.seeds))}"
        return (
            f"{self.row} against {self.other} on {self.split}: {more} points "
            f"({100 * self.here:.1f} % against {100 * self.there:.1f} %; {found.questions} "
            f"questions, {seeds}). {self._verdict()}: {found.test}, {_p(found.p)}"
            + (f" ({_p(self.p_holm)} after Holm for {self.of} claims)." if self.of > 1 else ".")
        )

    def _verdict(self) -> str:
        if self.shown:
            higher = "Higher" if self.change.value > 0 else "Lower"
            one = (
                " for these two policies; other seeds may differ" if self.change.df is None else ""
            )
            return f"{higher}, beyond noise{one}"
        if self.change.p < CLAIM_AT:
            return "Not shown after the correction"
        return "Not shown"


def claim_of(split: str, row: Row, other: Row, right: Right) -> Claim | None:
    """The claim that compares two rows on the seeds that both have; None if there is none."""
    seeds = common_seeds(row, other)
    if not seeds:
        return None
    matrices = [_of(each, each.of_seeds(seeds), split, right) for each in (row, other)]
    both, _ = scored([*matrices[0], *matrices[1]])
    after, before = both[: len(seeds)], both[len(seeds) :]
    found = change(after, before)
    here, there = (sum(map(sum, y)) / (len(y) * len(y[0])) for y in (after, before))
    return Claim(split, row.name, other.name, here, there, tuple(seeds), found)


def _of(
    row: Row, runs: Sequence[Measured], split: str, right: Right
) -> list[Sequence[bool | None]]:
    return [right[row.name, split][each.run.path] for each in runs]


def common_seeds(row: Row, other: Row) -> list[int]:
    """The seeds of both rows; of a row that does not depend on them, those of the other."""
    if not row.depends_on_seed and not other.depends_on_seed:
        return row.seeds[:1]
    if not row.depends_on_seed:
        return other.seeds
    return row.seeds if not other.depends_on_seed else [s for s in row.seeds if s in other.seeds]


def scored(matrix: Sequence[Sequence[bool | None]]) -> tuple[list[list[float]], int]:
    """The questions with a score in every row, as 0 and 1; and how many have none.

    Raises: RecipeError if no question is left.
    """
    columns = list(zip(*matrix, strict=True))
    known = [column for column in columns if None not in column]
    if not known:
        raise RecipeError(
            f"no question was scored in every run: their rewards failed ({FAILURES} of the runs)"
        )
    return [list(map(float, row)) for row in zip(*known, strict=True)], len(columns) - len(known)


def corrected(claims: Sequence[Claim]) -> list[Claim]:
    """The claims with p after Holm's correction for all of them."""
    adjusted = holm([claim.change.p for claim in claims])
    return [
        replace(claim, p_holm=p, of=len(claims)) for claim, p in zip(claims, adjusted, strict=True)
    ]


def _p(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
