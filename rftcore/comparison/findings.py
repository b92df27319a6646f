"""What the runs of a comparison found about themselves: a difference may come from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rftcore.comparison.rows import Measured, Row
from rftcore.evaluation.notes import CLIPPED, UNPARSED
from rftcore.pipeline.results import STAGES

_NUMBERS = re.compile(r"[-+]?\d+(?:[.,]\d+)*")


def findings(rows: Sequence[Row], splits: Sequence[str]) -> Iterator[str]:
    """What phases of the runs found, each kind once, and rows without answers."""
    found: dict[str, list[str]] = {}
    where: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        for each in row.runs:
            for text in _of(each):
                kind = _NUMBERS.sub("", text)
                found.setdefault(kind, []).append(text)
                where.setdefault(kind, {}).setdefault(row.name, []).append(each.seed)
    for kind, texts in found.items():
        yield f"{_runs(where[kind])}: {texts[0]}"
    yield from _without_answers(rows, splits)


def _of(measured: Measured) -> Iterator[str]:
    for phase in STAGES[1 : STAGES.index(measured.stage) + 1]:
        yield from measured.run.training.get(phase, {}).get("findings", ())


def _runs(seeds: Mapping[str, Sequence[int]]) -> str:
    """ "cot-sft seed 0, reason-rft seeds 0 and 1"."""
    return ", ".join(
        f"{row} seed{'s' * (len(of) > 1)} {' and '.join(map(str, of))}" for row, of in seeds.items()
    )


def _without_answers(rows: Sequence[Row], splits: Sequence[str]) -> Iterator[str]:
    few = {row.name: [score for each in row.runs for score in _few(each, splits)] for row in rows}
    names = [name for name, scores in few.items() if scores]
    if every := [score for scores in few.values() for score in scores]:
        yield (
            f"{', '.join(names)}: {_range(every, 'unparsed')} of the completions have no answer "
            f"that can be read, and {_range(every, 'clipped')} were cut off at "
            "evaluation.max_new_tokens (by split in table.csv): their accuracy is about the form "
            "of answers more than about the answers"
        )


def _few(measured: Measured, splits: Sequence[str]) -> list[Mapping[str, Any]]:
    scores = [measured.scores[split] for split in splits]
    return [s for s in scores if s["clipped"] >= CLIPPED or s["unparsed"] >= UNPARSED]


def _range(scores: Sequence[Mapping[str, Any]], field: str) -> str:
    shares = [round(100 * score[field]) for score in scores]
    low, high = min(shares), max(shares)
    return f"{low} %" if low == high else f"{low} to {high} %"
