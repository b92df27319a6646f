"""Notes below a table of scores: what limits its numbers, one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rftcore.evaluation.scores import SplitScore

CLIPPED = 0.2  # share of completions at the token limit from which a note is due
UNPARSED = 0.9  # the same for completions without an answer


@dataclass(frozen=True)
class Measured:
    """A score, and the row of the table it is in."""

    row: str
    score: SplitScore


def score_notes(
    scores: Mapping[str, Sequence[SplitScore]], most_tokens: int, reason: Callable[[Measured], str]
) -> Iterator[str]:
    """Why many completions have no score, or no answer, with the likely cause and what to do.

    scores: by row of the table. most_tokens: `evaluation.max_new_tokens`. reason: why the first
    completion without an answer has none.
    """
    every = [Measured(row, score) for row, of_row in scores.items() for score in of_row]
    cut = [each for each in every if each.score.clipped >= CLIPPED]
    if cut:
        yield (
            f"{_shares(cut, 'clipped')} of the completions ran into evaluation.max_new_tokens="
            f"{most_tokens} ({_places(cut)}), and what is cut off seldom has an answer: raise it, "
            "or teach the end of turn by more SFT"
        )
    other = [each for each in every if _unreadable(each.score)]
    if other:
        yield (
            f"no answer could be read from {_shares(other, 'unparsed')} of the completions "
            f"({_places(other)}), most of them complete: they are not in the form that the "
            f"task's parser reads. The first: {reason(other[0])}. More SFT teaches the form; a "
            "parser that should read it needs a change"
        )
    lost = [each for each in every if each.score.errors]
    if lost:
        count = sum(each.score.errors for each in lost)
        yield (
            f"{count} requests had no answer after all tries ({_places(lost)}): they count as "
            "wrong. The same command with the same --responses asks for them again"
        )
    blank = [each for each in every if each.score.not_applicable]
    if blank:
        count = sum(each.score.not_applicable for each in blank)
        yield (
            f"the accuracy term did not apply to {count} completions ({_places(blank)}): they "
            "are neither right nor wrong, and not in the accuracy. To count a missing answer "
            "as wrong, return 0.0 from the reward"
        )


def failure_note(failures: Sequence[Mapping[str, Any]], kept_in: str, *, all_kept: bool) -> str:
    """How many reward calls failed, where they are kept, and the first, in one line.

    failures: the fields of `rftcore.scoring.Failure`, and the `split` of the sample, at least
    one. kept_in: a file, or "". all_kept: false if there may have been more.
    """
    count = sum(1 + failure.get("more", 0) for failure in failures)
    first = failures[0]
    number = f"{'' if all_kept else 'more than '}{count} reward call{'s' * (count != 1)}"
    split = f"{first['split']} " if first.get("split") else ""
    place = first["origin"] or f"{split}sample {first['sample']}"
    where = f": {kept_in}" if kept_in else ""
    return f"{number} failed{where}; first: reward {first['reward']!r} on {place}: {first['note']}"


def _unreadable(score: SplitScore) -> bool:
    """Whether most completions have no answer, and not because they were cut off."""
    return score.unparsed >= UNPARSED and score.clipped < score.unparsed / 2


def _shares(found: Sequence[Measured], field: str) -> str:
    shares = [round(100 * getattr(each.score, field)) for each in found]
    low, high = min(shares), max(shares)
    return f"{low} %" if low == high else f"{low} to {high} %"


def _places(found: Sequence[Measured]) -> str:
    """The rows and splits of the table: "zero-shot, after SFT: val, test; after GRPO: val"."""
    splits: dict[str, list[str]] = {}
    for each in found:
        splits.setdefault(each.row, []).append(each.score.split)
    rows: dict[str, list[str]] = {}
    for row, names in splits.items():
        rows.setdefault(", ".join(names), []).append(row)
    return "; ".join(f"{', '.join(alike)}: {names}" for names, alike in rows.items())
