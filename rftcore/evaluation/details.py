"""Rows and tables beside the scores: other images, drawn completions, metrics, groups, faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rftcore.columns import table
from rftcore.evaluation.scores import Mean, Share, SplitScore
from rftcore.evaluation.shares import group_order

NO_NUMBER = "—"  # measured, and nothing could be scored; "-" is not measured


def beside(name: str, scores: Sequence[SplitScore], sizes: Iterable[str]) -> Iterator[list[str]]:
    """The rows below that of a stage: other images, and completions that were drawn."""
    blind = {s.split: _of(s.blind) for s in scores if s.blind}
    if blind:
        yield [f"{name}, other images", *cells_of(sizes, blind)]
    drawn = {s.split: s.sampled for s in scores if s.sampled}
    if not drawn:
        return
    k = max(each.k for each in drawn.values())
    yield [
        f"{name}, mean of {k} drawn",
        *cells_of(sizes, {split: _of(each.accuracy) for split, each in drawn.items()}),
    ]
    yield [
        f"{name}, majority of {k}",
        *cells_of(sizes, {split: _of(each.majority) for split, each in drawn.items()}),
    ]
    ks = dict.fromkeys(k for each in drawn.values() for k in each.pass_at if k != "1")
    for at in ks:
        found = {s: f"{100 * e.pass_at[at]:.1f}" for s, e in drawn.items() if at in e.pass_at}
        yield [f"{name}, pass@{at}", *cells_of(sizes, found)]


def detail_tables(rows: Sequence[tuple[str, Sequence[SplitScore]]]) -> Iterator[str]:
    """Tables below the scores: metrics, what was not read or cut off, and accuracy by group.

    Groups are those of the last row. A table without a number, or with zeros alone, is left out.
    """
    splits = dict.fromkeys(score.split for _, scores in rows for score in scores)
    for metric in dict.fromkeys(m for _, scores in rows for s in scores for m in s.metrics):
        cells = [
            [name, *cells_of(splits, {s.split: _plain_mean(s.metrics[metric]) for s in scores})]
            for name, scores in rows
        ]
        yield table([[f"mean {metric}", *splits]], cells)
    if any(score.unparsed or score.clipped for _, scores in rows for score in scores):
        cells = [
            [name, *cells_of(splits, {s.split: _faults(s) for s in scores})]
            for name, scores in rows
        ]
        yield table([["unparsed %, cut off %", *splits]], cells)
    if rows:
        yield from _group_tables(*rows[-1], splits)


def _group_tables(name: str, scores: Sequence[SplitScore], splits: Iterable[str]) -> Iterator[str]:
    for key in dict.fromkeys(key for score in scores for key in score.groups):
        found = {score.split: score.groups.get(key, {}) for score in scores}
        names = dict.fromkeys(one for groups in found.values() for one in groups)
        cells = [
            [
                one,
                *cells_of(
                    splits, {s: _of(groups[one]) for s, groups in found.items() if one in groups}
                ),
            ]
            for one in sorted(names, key=group_order)
        ]
        yield table([[f"{name}, by {key}", *splits]], cells)


def _of(one: Share) -> str:
    if one.accuracy is None or one.low is None or one.high is None:
        return NO_NUMBER
    return f"{percent(one.accuracy, one.low, one.high)}, n={one.n}"


def _plain_mean(one: Mean) -> str:
    if one.mean is None:
        return NO_NUMBER
    if one.low is None or one.high is None:
        return f"{one.mean:.3f}, n={one.n}"
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}], n={one.n}"


def _faults(score: SplitScore) -> str:
    return f"{100 * score.unparsed:.1f}, {100 * score.clipped:.1f}"


def cells_of(splits: Iterable[str], found: Mapping[str, str]) -> list[str]:
    """A cell per split; "-" where there is none."""
    return [found.get(split, "-") for split in splits]


def percent(value: float, low: float, high: float) -> str:
    """A share with its interval, in percent without the sign."""
    return f"{value:.1%} [{low:.1%}, {high:.1%}]".replace("%", "")
