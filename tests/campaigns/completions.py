"""Hostile completions through every parser, reward, task and the report that the catalogue offers.

A parser returns a `Parsed`, a reward a finite number or None, the scorer a finite total without a
failed term, and the data block of the report what went in; each within bounds of time and memory.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from typing import Any, TypeVar

from rftcore import jsontext, parsers, rewards
from rftcore.completions import ScoredCompletion
from rftcore.errors import RftError, describe, one_line
from rftcore.plugins import Catalogue
from rftcore.reports.html import block, page
from rftcore.rewards import paper
from rftcore.rewards.declare import gold_fault
from rftcore.scoring import Scorer
from rftcore.types import Parsed, Parser, Reward, RewardInput, RewardResult, Sample, Task
from tests.campaigns import bounds, texts
from tests.campaigns.frame import Attempts, Verdict

# What answers look like: golds of parsers and rewards that no offered task uses.
GOLDS = (
    *("5", "-2.5", "A", "red cube", "3.5 cm", "12 km/h", "(1, 2, 3, 4)", "[[10, 20, 30, 40]]"),
    *("\\frac{1}{2}", "x^2 + 1", "change_size(0, large)", '[{"bbox_2d": [1, 2, 3, 4]}]'),
)
PER_TASK = 3  # samples
# Rewards with options that must be set.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "paper": [
        *({"function": name} for name in paper.FUNCTIONS),
        *({"function": name, "enhance": True} for name in paper.LENIENT),
    ]
}
# Bug for bug as released; scoring reports its NaN as a failure (docs/papers.md).
MAY_BE_NAN = "paper math_accuracy_reward"
Value = TypeVar("Value")


class BrokenError(Exception):
    """A completion broke a promise; the message has the call and what happened."""


@dataclass(frozen=True)
class Pair:
    """A reward with a parser and a sample whose gold it can use."""

    reward: str
    function: Reward
    parser: str
    sample: Sample
    gold: Any


class Completions:
    """Tries one completion per case. catalogue: by default of all installed plugins."""

    name = "completions"
    promise = "no completion makes a parser, a reward, the scorer or the report fail"

    def __init__(self, catalogue: Catalogue | None = None, seconds: float = bounds.SECONDS) -> None:
        self._catalogue, self._seconds = catalogue, seconds

    @contextmanager
    def opened(self) -> Iterator[Attempts]:
        """Find all that is offered. Raises: LookupError for a reward that nothing would try."""
        self._targets = Targets.of(self._catalogue or Catalogue.load())
        if self._targets.unused and self._catalogue is None:
            raise LookupError(f"no gold of the campaign fits {', '.join(self._targets.unused)}")
        yield self._attempt

    def _attempt(self, rng: random.Random) -> Verdict:
        name, text = texts.completion(rng, self._targets.golds)
        tried = f"{name} ({len(text):,} characters)"
        try:
            self._try(rng, text)
        except BrokenError as error:
            return Verdict(tried, "broken", str(error))
        return Verdict(tried, "held")

    def _try(self, rng: random.Random, text: str) -> None:
        targets = self._targets
        read = {}
        for name, parser in targets.parsers.items():
            read[name] = self._read(name, parser, text)
        for reward, pairs in targets.pairs.items():
            pair = rng.choice(pairs)
            x = _input(pair, read[pair.parser].value, text)
            what = f"reward {reward} on an answer of {pair.parser}"
            with suppress(TimeoutError):  # its own deadline
                value = self._bounded(what, pair.function, x)
                if reward != MAY_BE_NAN:
                    check_value(what, value)
        for task, samples in targets.tasks:
            self._score(task, rng.choice(samples), text)

    def _read(self, name: str, parser: Parser, text: str) -> Parsed:
        for method in ("gold", "parse"):
            what = f"parser {name}.{method}"
            parsed = self._bounded(what, getattr(parser, method), text)
            if not isinstance(parsed, Parsed) or (parsed.ok and parsed.value != parsed.value):
                raise BrokenError(f"{what} returned {parsed!r:.200}")
            if parsed.ok:
                self._bounded(f"parser {name}.show", parser.show, parsed.value)
        return parsed

    def _score(self, task: Task, sample: Sample, text: str) -> None:
        def score(sample: Sample) -> ScoredCompletion:
            with Scorer(task, workers=0, timeout_s=1e6, error_budget=10**9) as scorer:
                with scorer.collective():
                    scored = scorer.score([text], [sample])[0]
                return scored.record(sample, text, images=())

        record = self._bounded(f"task {task.name}", score, sample)
        if record.failures:
            raise BrokenError(f"task {task.name}: failed terms {record.notes!r:.300}")
        check_value(f"the total of task {task.name}", record.total)
        self._bounded(f"the record of task {task.name}", check_record, record)

    def _bounded(self, what: str, call: Callable[[Any], Value], value: Any) -> Value:
        try:
            with bounds.bounded(self._seconds):
                return call(value)
        except bounds.TooLong:
            raise BrokenError(f"{what} did not end within its deadline") from None
        except MemoryError:
            raise BrokenError(f"{what} needed more than {bounds.MEMORY:,} bytes") from None
        except (BrokenError, TimeoutError):
            raise
        except Exception as error:
            raise BrokenError(f"{what} raised {type(error).__name__}: {describe(error)}") from error


@dataclass(frozen=True)
class Targets:
    """What a catalogue offers: parsers strict and forgiving, rewards, and tasks with samples.

    unused: rewards that take no gold of any sample here, so that nothing tries them.
    """

    parsers: dict[str, Parser]
    pairs: dict[str, list[Pair]]  # by reward
    tasks: Sequence[tuple[Task, Sequence[Sample]]]
    golds: Sequence[str]
    unused: Sequence[str]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Targets:
        """Make everything."""
        tasks = [_with_samples(catalogue.task(name)) for name, _ in catalogue.names("task")]
        made = {name: catalogue.parser(name) for name, _ in catalogue.names("parser")}
        made |= {f"of task {task.name}": task.parser for task, _ in tasks}  # type: ignore[misc]
        made |= {f"{name}, forgiving": parsers.forgiving(each) for name, each in made.items()}
        samples = [sample for _, some in tasks for sample in some]
        samples += [Sample(f"gold-{n}", "What?", gold) for n, gold in enumerate(GOLDS)]
        functions = dict(_functions(catalogue))
        found = {name: [*_pairs(name, each, made, samples)] for name, each in functions.items()}
        pairs = {name: some for name, some in found.items() if some}
        unused = tuple(sorted(functions.keys() - pairs.keys()))
        return cls(made, pairs, tasks, [*dict.fromkeys(s.gold for s in samples)], unused)


def _functions(catalogue: Catalogue) -> Iterator[tuple[str, Reward]]:
    """Every reward with its default options, or with each of `OPTIONS`."""
    for name, _ in catalogue.names("reward"):
        for options in OPTIONS.get(name, [{}]):
            yield " ".join(map(str, (name, *options.values()))), catalogue.reward(name, options)


def _with_samples(task: Task) -> tuple[Task, list[Sample]]:
    dataset: Any = task.dataset
    split = dataset.splits[0]
    return task, [dataset.sample(split, at) for at in range(min(PER_TASK, dataset.size(split)))]


def _pairs(
    name: str, function: Reward, made: dict[str, Parser], samples: Sequence[Sample]
) -> Iterator[Pair]:
    """With each parser whose answers the reward takes, of every kind that the parser reads."""
    for parser in made:
        golds = [(sample, made[parser].gold(sample.gold)) for sample in samples]
        pairs = [Pair(name, function, parser, s, gold.value) for s, gold in golds if gold.ok]
        fitting = [pair for pair in pairs if _fits(function, pair)]
        if {type(pair.gold) for pair in pairs} == {type(pair.gold) for pair in fitting}:
            yield from fitting


def _fits(function: Reward, pair: Pair) -> bool:
    """Whether the reward takes the right answer of a sample: then it has to take any other."""
    try:
        if gold_fault(function, pair.gold) is None:
            function(_input(pair, pair.gold, pair.sample.gold))
            return True
    except Exception:  # a reward of other answers or other samples
        return False
    return False


def _input(pair: Pair, answer: Any, text: str) -> RewardInput:
    known: dict[str, Any] = {
        "completion": text,
        "sample": pair.sample,
        "step": 3,
        "siblings": (text[:1000], pair.sample.gold),
        "tokens": len(text),
        "sibling_tokens": (0, 10**6),
        "correct": answer == pair.gold,
    }
    used = {name: known[name] for name in rewards.uses(pair.function)}
    return RewardInput(answer=answer, gold=pair.gold, **used)


def check_value(what: str, output: object) -> None:
    """Raise `BrokenError` unless it is a finite number or None."""
    value = output.value if isinstance(output, RewardResult) else output
    if value is not None and not math.isfinite(value):  # type: ignore[arg-type]
        raise BrokenError(f"{what} is {value!r}")


def check_record(record: ScoredCompletion) -> None:
    """Compare a record with what its line in a file, and the page of a report, contain.

    Raises: BrokenError if a reader finds anything else than what was written.
    """
    line = jsontext.line(record.to_json())
    if len(line.splitlines()) != 1 or line.encode().decode() != line:
        raise BrokenError("a line of a file has a line break in it")
    try:
        back = ScoredCompletion.from_json(jsontext.loads(line))
    except (ValueError, RftError) as error:
        raise BrokenError(f"its line cannot be read back: {one_line(error)}") from error
    if back != record:
        raise BrokenError("its line is read back as another record")
    check_page(record.to_json())


def check_page(data: dict[str, Any]) -> None:
    """Compare the data that a browser finds in a report with what was given.

    Raises: BrokenError if it differs, or if the page has other elements than an empty one.
    """
    whole = _Elements()
    whole.feed(page(str(data["completion"])[:100], data, {}))
    if whole.starts != _empty_page():
        raise BrokenError("the report has other elements than an empty one")
    if json.loads(whole.data) != jsontext.plain(data) or whole.data != block(data):
        raise BrokenError("the data of the report is not what was given")


@cache
def _empty_page() -> list[tuple[str, str | None]]:
    """The elements of a page without data."""
    empty = _Elements()
    empty.feed(page("", {}, {}))
    return empty.starts


class _Elements(HTMLParser):
    """The elements of a page, and the text of the one with the id `data`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.starts: list[tuple[str, str | None]] = []
        self.data = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.starts.append((tag, dict(attributes).get("id")))

    def handle_data(self, data: str) -> None:
        if self.starts and self.starts[-1] == ("script", "data"):
            self.data += data.strip("\n")
