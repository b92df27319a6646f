"""The tables of docs/results.md from the committed answers, without the runs.

    python benchmarks/claims.py benchmarks/results/claims/counting

A folder has `answers.csv` and `table.csv` as `rft compare` writes them. Several folders, with
other seeds of the same rows on the same questions, make one table.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rftcore.comparison.claims import CLAIM_AT
from rftcore.comparison.results import REFERENCE
from rftcore.comparison.same import claimed_splits
from rftcore.statistics import Change, Share, change, holm, share


@dataclass(frozen=True)
class Answers:
    """A row on a split. by_seed: 1 and 0 per question; a row before training has seed "".

    blind: accuracy with other samples' images, and how many seeds each figure is a mean of.
    """

    by_seed: dict[str, list[float]] = field(default_factory=dict)
    blind: list[tuple[float, int]] = field(default_factory=list)

    def blind_mean(self) -> float:
        """The mean over all seeds."""
        return sum(v * n for v, n in self.blind) / sum(n for _, n in self.blind)


Rows = Mapping[str, Mapping[str, Answers]]  # by row and split


def read(folders: Sequence[Path]) -> Rows:
    """The answers of all folders. Raises: ValueError if a seed comes twice, or not everywhere."""
    rows: dict[str, dict[str, Answers]] = defaultdict(lambda: defaultdict(Answers))
    for folder in folders:
        for line in _lines(folder / "answers.csv"):
            found = rows[line["row"]][line["split"]].by_seed
            if "-" in line["answers"]:
                raise ValueError(f"{folder}: unscored answers of {line['row']}")
            new = [float(digit) for digit in line["answers"]]
            if found.setdefault(line["seed"], new) != new:
                raise ValueError(f"{folder}: {line['row']}, seed {line['seed']!r} comes twice")
        for line in _lines(folder / "table.csv"):
            seeds = int(line["seeds"])
            rows[line["row"]][line["split"]].blind.append((float(line["blind"]), seeds))
    trained = {(*each.by_seed,) for row in rows.values() for each in row.values()} - {("",)}
    if len(trained) > 1:
        raise ValueError(f"rows have different seeds: {sorted(trained)}")
    return rows


def accuracies(rows: Rows) -> dict[tuple[str, str], Share]:
    """Accuracy by row and split."""
    return {
        (row, split): share([*answers.by_seed.values()])
        for row, splits in rows.items()
        for split, answers in splits.items()
    }


def differences(rows: Rows, reference: str = REFERENCE) -> dict[tuple[str, str], Change]:
    """What the reference has more, by other row and split; not on `val`, where one chooses."""
    return {
        (row, split): change(*_paired(rows[reference][split], splits[split]))
        for row, splits in rows.items()
        if row != reference
        for split in claimed_splits([*splits])
    }


def _paired(one: Answers, other: Answers) -> tuple[list[list[float]], list[list[float]]]:
    """Both for the same seeds; a row before training answers the same for each."""
    seeds = [*one.by_seed]
    return [*one.by_seed.values()], [other.by_seed.get(s) or other.by_seed[""] for s in seeds]


def _lines(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        yield from csv.DictReader(stream)


def tables(rows: Rows) -> str:
    """Both tables in Markdown."""
    found, steps = accuracies(rows), differences(rows)
    splits = [*next(iter(rows.values()))]
    sizes = {split: found[next(iter(rows)), split].questions for split in splits}
    head = ["accuracy %", *(f"{split} (n={sizes[split]})" for split in splits)]
    body = [
        [f"`{row}`", *(_cell(found[row, split], rows[row][split]) for split in splits)]
        for row in rows
    ]
    measured = list(dict.fromkeys(split for _, split in steps))
    beyond = dict(zip(steps, holm([each.p for each in steps.values()]), strict=True))
    more = [
        [
            f"`{row}`",
            *(_step(steps[row, split], beyond[row, split] < CLAIM_AT) for split in measured),
        ]
        for row in rows
        if row != REFERENCE
    ]
    return "\n\n".join(
        [_markdown([head, *body]), _markdown([[f"`{REFERENCE}` minus", *measured], *more])]
    )


def _cell(found: Share, answers: Answers) -> str:
    blind = 100 * answers.blind_mean()
    return f"{_percent(found.value)} {_interval(found)}, blind {blind:.1f}"


def _step(found: Change, shown: bool) -> str:
    return f"{found.value:+.1%} [{found.low:+.1%}, {found.high:+.1%}]".replace("%", "") + (
        " *" if shown else ""
    )


def _interval(found: Share) -> str:
    return f"[{_percent(found.low)}, {_percent(found.high)}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    print(tables(read(parser.parse_args().folders)))
