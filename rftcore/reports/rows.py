"""The answers and rollouts of runs, as the page reads them: one row each, a sample stored once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from rftcore.completions import ScoredCompletion
from rftcore.reports.advantages import advantages, groups, scale_of
from rftcore.runs import PHASES, RunFolder, answers_name

STAGES = ("start", *PHASES)  # that are evaluated, in order
ROLLOUTS = "rollouts"  # the source of a row that is a rollout; else its stage


@dataclass(frozen=True)
class Row:
    """One completion of a run. run: its number. source: a stage, or `ROLLOUTS`.

    group: the number of a rollout's group within the run. advantage: of a rollout, if it is known.
    """

    run: int
    source: str
    answer: ScoredCompletion
    group: int | None = None
    advantage: float | None = None

    @property
    def sample(self) -> tuple[Any, ...]:
        """What identifies its sample, in this and other runs."""
        answer = self.answer
        return answer.split, answer.index, answer.id, answer.question, answer.gold

    @property
    def weight(self) -> int:
        """About how many bytes it takes in the page."""
        answer = self.answer
        read = (answer.completion, answer.answer or "", answer.parse_error or "")
        texts = (*read, *answer.notes.values(), repr(answer.meta))
        return 300 + sum(len(text.encode("utf-8", "replace")) for text in texts)


def numbered(rows: Sequence[Row]) -> tuple[list[tuple[int, Row]], list[Row]]:
    """Each row with the number of its sample, and of each sample the first row."""
    numbers: dict[tuple[Any, ...], int] = {}
    first: list[Row] = []
    found: list[tuple[int, Row]] = []
    for row in rows:
        if row.sample not in numbers:
            numbers[row.sample] = len(first)
            first.append(row)
        found.append((numbers[row.sample], row))
    return found, first


def answer_rows(run: RunFolder, number: int) -> Iterator[Row]:
    """The answers of each stage that was evaluated, split by split."""
    for stage in STAGES:
        for score in run.scores(stage):
            if (run.path / answers_name(stage, score["split"])).is_file():
                for answer in run.answers(stage, score["split"]):
                    yield Row(number, stage, answer)


def rollout_rows(run: RunFolder, number: int, grpo: Mapping[str, Any]) -> list[Row]:
    """The rollouts that were kept, with groups and advantages. grpo: that section of the recipe."""
    rollouts, scale = run.rollouts(), scale_of(grpo)
    found: list[Row] = []
    for at, (members, whole) in enumerate(groups(rollouts, int(grpo["group_size"]))):
        totals = [rollouts[each].total for each in members]
        known = advantages(totals, scale) if whole else [None] * len(members)
        found += [
            Row(number, ROLLOUTS, rollouts[each], at, advantage)
            for each, advantage in zip(members, known, strict=True)
        ]
    return found


@dataclass(frozen=True)
class Kept:
    """The rows that fit into a page, and how many did not."""

    rows: Sequence[Row]
    answers_left_out: int
    rollouts_left_out: int


def within(answers: Sequence[Row], rollouts: Sequence[Row], room: int) -> Kept:
    """What fits into `room` bytes: answers to the first samples, rollouts of all parts of a run.

    Either may use at least half of it. Of every split and stage the same samples are kept, so
    that stages can be compared, and of rollouts whole groups, evenly spread.
    """
    needed = sum(row.weight for row in rollouts)
    few = _first_samples(answers, max(room - needed, room // 2))
    spread = _spread_groups(rollouts, room - sum(row.weight for row in few))
    left_out = len(answers) - len(few), len(rollouts) - len(spread)
    return Kept([*few, *spread], *left_out)


def _first_samples(rows: Sequence[Row], room: int) -> list[Row]:
    by_index: dict[int, int] = {}
    for row in rows:
        at = row.answer.index or 0
        by_index[at] = by_index.get(at, 0) + row.weight
    kept = set()
    for at, weight in sorted(by_index.items()):
        room -= weight
        if room < 0:
            break
        kept.add(at)
    return [row for row in rows if (row.answer.index or 0) in kept]


def _spread_groups(rows: Sequence[Row], room: int) -> list[Row]:
    groups_: dict[tuple[int, int | None], list[Row]] = {}
    for row in rows:
        groups_.setdefault((row.run, row.group), []).append(row)
    members = list(groups_.values())
    kept: set[int] = set()
    for at in _evenly(len(members)):
        room -= sum(row.weight for row in members[at])
        if room < 0:
            break
        kept.add(at)
    return list(chain.from_iterable(members[at] for at in sorted(kept)))


def _evenly(count: int) -> Iterator[int]:
    """0 to count - 1 in an order of which every start is evenly spread: of reversed bits."""
    bits = max(count - 1, 1).bit_length()
    for number in range(2**bits):
        at = int(format(number, f"0{bits}b")[::-1], 2)
        if at < count:
            yield at
