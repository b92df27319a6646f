"""What a comparison found: a share per row and split, and claims with interval and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rftcore.comparison.claims import Claim, Right, claim_of, common_seeds, corrected, scored
from rftcore.comparison.findings import findings
from rftcore.comparison.rows import Measured, Row
from rftcore.comparison.same import claimed_splits, common_splits, notes
from rftcore.errors import RecipeError, closest
from rftcore.pipeline.results import STAGES
from rftcore.statistics import Share, share

REFERENCE = "reason-rft"  # what claims compare with the others, if it is there


@dataclass(frozen=True)
class Cell:
    """A row on a split: the accuracy, and what limits it.

    unscored: questions without a score in one seed or more; they are left out. unparsed,
    clipped, tokens: means over seeds, as in `rftcore.evaluation.scores.SplitScore`. blind: the
    mean accuracy with the images of other samples, None if it was not measured.
    """

    split: str
    accuracy: Share
    unscored: int
    unparsed: float
    clipped: float
    tokens: float
    blind: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison, their accuracies, claims and notes.

    costs: by row, what its training took, a mean over seeds.
    """

    rows: Sequence[Row]
    splits: Sequence[str]
    cells: Mapping[str, Sequence[Cell]]
    claims: Sequence[Claim]
    notes: Sequence[str]
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        """The most seeds of a row."""
        return max(len(row.runs) for row in self.rows)

    def facts(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "rows": [
                {
                    "name": row.name,
                    "paradigm": row.runs[0].paradigm,
                    "model": row.runs[0].recipe.model,
                    "runs": [
                        {"run": str(each.run.path), "stage": each.stage, "seed": each.seed}
                        for each in row.runs
                    ],
                    "splits": [asdict(cell) for cell in self.cells[row.name]],
                    "costs": dict(self.costs.get(row.name, {})),
                }
                for row in self.rows
            ],
            "claims": [
                {**asdict(claim), "shown": claim.shown, "sentence": claim.sentence()}
                for claim in self.claims
            ],
            "notes": list(self.notes),
        }


def compared(
    rows: Sequence[Row], *, splits: Sequence[str] = (), reference: str | None = None
) -> Comparison:
    """Compare rows on the splits that all have.

    reference: the row that claims are about; by default "reason-rft", or else the first.
    Raises: RunError if the samples differ; RecipeError for an unknown reference.
    """
    chosen = common_splits(rows, splits)
    about = reference_row(rows, reference)
    right = {
        (row.name, split): {each.run.path: each.answers(split)[1] for each in row.runs}
        for row in rows
        for split in chosen
    }
    cells = {row.name: [_cell(row, split, right) for split in chosen] for row in rows}
    claims = [
        claim
        for split in claimed_splits(chosen)
        for other in rows
        if other is not about and (claim := claim_of(split, about, other, right))
    ]
    unpaired = [
        f"{about.name} and {row.name} have no seed in common, so there is no claim about them"
        for row in rows
        if row is not about and not common_seeds(about, row)
    ]
    return Comparison(
        rows,
        chosen,
        cells,
        corrected(claims),
        [*unpaired, *_few_seeds(rows), *notes(rows), *findings(rows, chosen)],
        {row.name: _costs(row) for row in rows},
    )


def reference_row(rows: Sequence[Row], name: str | None) -> Row:
    """The row that claims are about. Raises: RecipeError for an unknown name."""
    names = [row.name for row in rows]
    if name is None:
        return rows[names.index(REFERENCE) if REFERENCE in names else 0]
    if name not in names:
        raise RecipeError(
            f"--reference {name}: no such row. The rows are {', '.join(names)}."
            + closest(name, names)
        )
    return rows[names.index(name)]


def _cell(row: Row, split: str, right: Right) -> Cell:
    matrix = list(right[row.name, split].values())
    kept, left_out = scored(matrix)
    scores = [each.scores[split] for each in row.runs]

    def mean(key: str) -> float:
        return sum(float(score[key]) for score in scores) / len(scores)

    blind = [(score.get("blind") or {}).get("accuracy") for score in scores]
    known = [each for each in blind if each is not None]
    runs = kept if row.depends_on_seed else kept[:1]
    return Cell(
        split,
        share(runs),
        left_out,
        unparsed=mean("unparsed"),
        clipped=mean("clipped"),
        tokens=mean("tokens"),
        blind=sum(known) / len(known) if len(known) == len(blind) else None,
    )


def _few_seeds(rows: Sequence[Row]) -> list[str]:
    """What the intervals mean with one seed or two."""
    most = max((len(row.runs) for row in rows if row.depends_on_seed), default=0)
    if most == 1:
        return [
            "one seed: intervals and tests cover the choice of questions alone. They are about "
            "these policies, not about the method: another seed trains another policy"
        ]
    if most == 2:
        return [
            "two seeds say little about how much a third would differ, so intervals over seeds are "
            "wide; with three or more they narrow"
        ]
    return []


def _costs(row: Row) -> dict[str, float]:
    """What training a row's policy took, a mean over seeds: seconds, and what runs counted."""
    found = [_cost(each) for each in row.runs]
    keys = [key for key in found[0] if all(key in each for each in found)]
    return {key: sum(each[key] for each in found) / len(found) for key in keys}


def _cost(measured: Measured) -> dict[str, float]:
    """The sum over the phases up to the stage; of memory, the peak."""
    training = measured.run.training
    phases = [training[phase] for phase in STAGES[1:] if phase in training]
    phases = phases[: STAGES.index(measured.stage)]
    used: list[dict[str, float]] = [
        {"seconds": phase["seconds"], **phase.get("usage", {})} for phase in phases
    ]
    total = {"seconds": 0.0}
    for name in dict.fromkeys(name for each in used for name in each):
        values = [each.get(name, 0.0) for each in used]
        total[name] = max(values) if name == "peak_memory" else sum(values)
    return total
