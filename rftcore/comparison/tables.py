"""The table of a comparison as text, Markdown, LaTeX and CSV, and its claims as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rftcore.columns import table
from rftcore.comparison.claims import Claim
from rftcore.comparison.results import Cell, Comparison

NO_CLAIM = "—"
MINUS = "\N{MINUS SIGN}"
Rows = list[list[str]]
_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    MINUS: r"$-$",
    NO_CLAIM: "---",
    **{c: "\\" + c for c in "&%$#_{}"},
}


def as_text(found: Comparison) -> str:
    """The table, one line per claim and the notes, for a terminal."""
    header, rows, steps = _blocks(found)
    lines = [table([header], rows, steps)]
    lines += [f"claim: {claim.sentence()}" for claim in found.claims]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def as_markdown(found: Comparison) -> str:
    """The table, the claims and the notes in Markdown."""
    header, rows, steps = _blocks(found)
    cells = [header, ["---"] * len(header), *rows, *steps]
    lines = [f"| {' | '.join(map(_in_markdown, row))} |" for row in cells]
    claims = [f"- {claim.sentence()}" for claim in found.claims]
    notes = [f"- Note: {note}." for note in found.notes]
    return "\n".join([*lines, "", _legend(found), "", *claims, *notes]) + "\n"


def as_latex(found: Comparison) -> str:
    """The table in LaTeX, with the rules of the package booktabs."""
    header, rows, steps = _blocks(found)
    body = [r"\toprule", _tex_row(header), r"\midrule", *map(_tex_row, rows)]
    if steps:
        body += [r"\midrule", *map(_tex_row, steps)]
    columns = "l" + "c" * (len(header) - 1)
    return "\n".join(
        [
            f"% {_legend(found)}",
            rf"\begin{{tabular}}{{{columns}}}",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def as_csv(found: Comparison) -> str:
    """One line per row and split, every number as it is: shares from 0 to 1."""
    lines = [
        {
            "row": row.name,
            "split": cell.split,
            **_numbers(cell),
        }
        for row in found.rows
        for cell in found.cells[row.name]
    ]
    return _csv(lines)


def claims_csv(found: Comparison) -> str:
    """One line per claim."""
    return _csv([_claim_numbers(claim) for claim in found.claims])


def costs_csv(found: Comparison) -> str:
    """One line per row: what its training took, a mean over seeds."""
    return _csv([{"row": row.name, **found.costs.get(row.name, {})} for row in found.rows])


def answers_csv(found: Comparison) -> str:
    """One line per row, seed and split: a digit per question, 1 right, 0 wrong, - not scored.

    In the order of the split, so equal places are the same question: what the statistics need.
    """
    digits = {True: "1", False: "0", None: "-"}
    return _csv(
        [
            {
                "row": row.name,
                "seed": each.seed if row.depends_on_seed else "",
                "split": split,
                "answers": "".join(digits[right] for right in each.answers(split)[1]),
            }
            for row in found.rows
            for each in row.runs
            for split in found.splits
        ]
    )


FORMATS: Mapping[str, Callable[[Comparison], str]] = MappingProxyType(
    {
        "table.txt": lambda found: as_text(found) + "\n",
        "table.md": as_markdown,
        "table.tex": as_latex,
        "table.csv": as_csv,
        "claims.csv": claims_csv,
        "costs.csv": costs_csv,
        "answers.csv": answers_csv,
    }
)


def _blocks(found: Comparison) -> tuple[list[str], Rows, Rows]:
    """The header, a line per row, and a line per pair of rows that claims compare."""
    sizes = {
        split: max(cell.accuracy.questions for cell in column)
        for split, column in zip(found.splits, zip(*found.cells.values(), strict=True), strict=True)
    }
    header = ["accuracy %", *(f"{split} (n={n})" for split, n in sizes.items()), "seeds"]
    rows = [
        [
            row.name,
            *(_shown(cell, sizes[cell.split]) for cell in found.cells[row.name]),
            str(len(row.runs)) if row.depends_on_seed else "-",
        ]
        for row in found.rows
    ]
    pairs = dict.fromkeys((claim.row, claim.other) for claim in found.claims)
    steps = [
        [
            f"{row} {MINUS} {other}",
            *(_difference(found.claims, split, row, other) for split in found.splits),
            *_common(found.claims, row, other),
        ]
        for row, other in pairs
    ]
    return header, rows, steps


def _shown(cell: Cell, size: int) -> str:
    found = cell.accuracy
    text = f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]".replace("%", "")
    text += f", n={found.questions}" if found.questions != size else ""
    return text + (f", blind {100 * cell.blind:.1f}" if cell.blind is not None else "")


def _difference(claims: Sequence[Claim], split: str, row: str, other: str) -> str:
    """The difference of two rows on a split, with a star if it is beyond noise."""
    for claim in claims:
        if (claim.split, claim.row, claim.other) == (split, row, other):
            found = claim.change
            text = f"{found.value:+.1%} [{found.low:+.1%}, {found.high:+.1%}]".replace("%", "")
            return text + "*" * claim.shown
    return NO_CLAIM


def _common(claims: Sequence[Claim], row: str, other: str) -> list[str]:
    seeds = next(claim.seeds for claim in claims if (claim.row, claim.other) == (row, other))
    return [str(len(seeds))]


def _legend(found: Comparison) -> str:
    return (
        "Accuracy in percent with 95 % intervals over questions"
        + (" and seeds" if found.seeds > 1 else " (one seed)")
        + "; differences in points on the same questions, * where p < 0.05 after Holm's correction."
    )


def _in_markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _tex_row(cells: Sequence[str]) -> str:
    escaped = ["".join(_TEX.get(c, c) for c in cell) for cell in cells]
    return " & ".join(escaped) + r" \\"


def _numbers(cell: Cell) -> dict[str, Any]:
    found = cell.accuracy
    return {
        "seeds": found.seeds,
        "questions": found.questions,
        "accuracy": found.value,
        "low": found.low,
        "high": found.high,
        "df": found.df,
        "unscored": cell.unscored,
        "unparsed": cell.unparsed,
        "clipped": cell.clipped,
        "tokens": cell.tokens,
        "blind": cell.blind,
    }


def _claim_numbers(claim: Claim) -> dict[str, Any]:
    found = claim.change
    return {
        "split": claim.split,
        "row": claim.row,
        "other": claim.other,
        "accuracy": claim.here,
        "accuracy_other": claim.there,
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "seeds": " ".join(map(str, claim.seeds)),
        "questions": found.questions,
        "test": found.test,
        "df": found.df,
        "p": found.p,
        "p_holm": claim.p_holm,
        "claims": claim.of,
        "shown": claim.shown,
    }


def _csv(lines: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
