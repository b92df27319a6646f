"""Run the cases of a part, each with random numbers of its own, and sum up what held."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from rftcore import jsontext
from rftcore.columns import table

State = Literal["held", "valid", "broken"]


@dataclass(frozen=True)
class Verdict:
    """What was tried and what came of it.

    "valid": what should have been wrong input is right, so it shows nothing about the promise.
    seen: of a broken promise, what happened; else a few words.
    """

    tried: str
    state: State
    seen: str = ""


class Attempts(Protocol):
    """An opened part: tries one thing per call."""

    def __call__(self, rng: random.Random, /) -> Verdict:
        """Try what the random numbers choose."""


class Part(Protocol):
    """A promise under attack. name: of the part. promise: one sentence."""

    name: str
    promise: str

    def opened(self) -> AbstractContextManager[Attempts]:
        """Prepare what all its cases need; undone at the end of the block."""


@dataclass(frozen=True)
class Case:
    """One attempt of a part, with what repeats it."""

    part: str
    seed: int
    number: int
    verdict: Verdict
    seconds: float

    @property
    def again(self) -> str:
        """The command that repeats it."""
        return (
            f"python -m tests.campaigns --seed {self.seed} --only {self.part} --case {self.number}"
        )

    def to_json(self) -> dict[str, Any]:
        """A line of the log."""
        return {
            "part": self.part,
            "seed": self.seed,
            "case": self.number,
            **asdict(self.verdict),
            "seconds": round(self.seconds, 4),
        }


def root() -> Path:
    """The root of the repository."""
    return Path(__file__).parents[2]


def numbers_of(seed: int, part: str, number: int) -> random.Random:
    """The random numbers of a case, the same in every process."""
    return random.Random(f"{seed}/{part}/{number}")


def run(
    part: Part, seed: int, numbers: Iterable[int], seconds: float = float("inf")
) -> Iterator[Case]:
    """Try the cases of these numbers until the time is over; at least one.

    What an attempt raises by itself is a broken promise, except Ctrl-C.
    """
    end = time.monotonic() + seconds
    with part.opened() as attempt:
        for number in numbers:
            start = time.monotonic()
            verdict = _tried(attempt, numbers_of(seed, part.name, number))
            now = time.monotonic()
            yield Case(part.name, seed, number, verdict, now - start)
            if now >= end:
                return


def _tried(attempt: Attempts, rng: random.Random) -> Verdict:
    try:
        return attempt(rng)
    except Exception:
        return Verdict("an attempt", "broken", traceback.format_exc()[-2000:])


def summary(cases: Iterable[Case]) -> str:
    """The table of a campaign: per part, how many cases held, were valid or broke."""
    rows: dict[str, dict[str, float]] = {}
    for case in cases:
        row = rows.setdefault(case.part, dict.fromkeys(("held", "valid", "broken", "seconds"), 0))
        row[case.verdict.state] += 1
        row["seconds"] += case.seconds
    head = ("part", "cases", "held", "valid", "broken", "seconds")
    return table([head], [(name, *_cells(row)) for name, row in rows.items()])


def _cells(row: dict[str, float]) -> tuple[str, ...]:
    counts = [int(row[state]) for state in ("held", "valid", "broken")]
    return tuple(f"{number:,}" for number in (sum(counts), *counts, round(row["seconds"])))


def line(case: Case) -> str:
    """A case as one line of the log."""
    return jsontext.line(case.to_json())
