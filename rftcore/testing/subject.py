"""The subject of the laws: a task with its samples, answers and scores.

Only the parser protocol is assumed about answers. Wrong answers are the golds of other
samples and variations of them. Everything is read once, on first use, and selected by the
seed, so that a broken law breaks again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from rftcore import prompts, rewards, tags
from rftcore.config import Layer, Recipe, load_recipe
from rftcore.datasets.slices import dataset_of, parser_of
from rftcore.errors import PluginError, SampleError
from rftcore.plugins import Catalogue, Offer
from rftcore.rewards import attacks
from rftcore.scoring import Score
from rftcore.splits import is_training
from rftcore.testing.clock import TooLong, computing_at_most
from rftcore.testing.digests import canonical, digest
from rftcore.testing.elsewhere import Elsewhere, run_elsewhere
from rftcore.testing.errors import NotApplicableError, NotCheckedError
from rftcore.testing.scores import row_of, scorer_of
from rftcore.testing.values import value_fault
from rftcore.types import (
    Dataset,
    Parsed,
    Parser,
    Reward,
    RewardInput,
    Sample,
    Task,
    Term,
)

FEW = 12  # samples that are scored with many completions
PLAIN = "I look at the image."  # reasoning for a sample that has none
_ELSEWHERE = 6  # samples a split that another process makes as well
_READING_S = 3.0  # computing that one text may take before it counts as not read
_SLOW = 3  # texts not read in that time after which no more are tried
_STATED = ("siblings", "tokens", "sibling_tokens", "step", "correct")


@dataclass(frozen=True)
class Settings:
    """How thorough the laws are.

    seed: of all random choices. examples: per property, tried by hypothesis. samples: read per
    split at most. seconds: spent on reading samples, all splits together.
    """

    seed: int = 0
    examples: int = 40
    samples: int = 300
    seconds: float = 8.0


class SampleUnmadeError(Exception):
    """The dataset raised instead of making a sample; `__cause__` is what it raised."""


class SlowError(Exception):
    """The parser took too long for a text."""


class Subject:
    """A task, by its name and a recipe's settings, and what the laws need of it.

    Raises: RftError if there is no such task, or none can be made.
    """

    def __init__(
        self, name: str, layer: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> None:
        path, py, factory = name.rpartition(".py:")
        self.name = f"{Path(path).resolve()}.py:{factory}" if py else name
        self.settings = settings or Settings()
        self.layer: Layer = ("the settings", {**(layer or {}), "task": self.name})
        self.catalogue = Catalogue.load()
        self.recipe: Recipe = load_recipe(self.layer)
        self.offer: Offer = self.catalogue.find("task", self.name)
        self.task: Task = self.remade_task()
        self.dataset: Dataset = dataset_of(self.task)
        self.parser: Parser = parser_of(self.task)
        self._last: tuple[str, Parsed | None] | None = None
        self._slow = 0

    def remade_task(self) -> Task:
        """The same task, made again."""
        return self.catalogue.task_of(self.recipe)

    def rng(self, purpose: str) -> Random:
        """A random generator for one purpose."""
        return Random(f"{self.settings.seed}/{purpose}")

    # --- samples ---

    @cached_property
    def samples(self) -> Mapping[str, Mapping[int, Sample]]:
        """By split and index: the first ones, the last one and some between."""
        found = {}
        share = self.settings.seconds / max(1, len(self.dataset.splits))
        for split in self.dataset.splits:
            found[split] = dict(self._read(split, share))
        return found

    def _read(self, split: str, seconds: float) -> Iterator[tuple[int, Sample]]:
        start = time.thread_time()  # excludes other processes
        for count, index in enumerate(self._indices(split)):
            try:
                sample = self.dataset.sample(split, index)
            except (Exception, SystemExit) as error:
                raise SampleUnmadeError(f"{split}[{index}]") from error
            yield index, sample
            if count >= FEW and time.thread_time() - start > seconds:
                return

    def _indices(self, split: str) -> list[int]:
        size, most = self.dataset.size(split), self.settings.samples
        first = range(min(size, most * 2 // 3))
        rng = self.rng(f"indices {split}")
        between = [rng.randrange(size) for _ in range(most - len(first))] if size > most else []
        rest = [] if size > most else range(len(first), size)
        return list(dict.fromkeys([*first[:FEW], size - 1, *first, *between, *rest]))

    @property
    def all_samples(self) -> list[Sample]:
        """All samples that were read."""
        return [sample for some in self.samples.values() for sample in some.values()]

    def evaluation(self) -> dict[str, list[Sample]]:
        """The samples of every evaluation split."""
        named = self.samples.items()
        return {s: list(some.values()) for s, some in named if not is_training(s)}

    @cached_property
    def sample_subset(self) -> list[Sample]:
        """Some samples of all splits, with different golds where possible."""
        rows = [list(some.values()) for some in self.samples.values()]
        ranked: dict[str, list[Sample]] = {}
        for place in range(FEW):
            for row in rows:
                if place < len(row):
                    ranked.setdefault(row[place].gold, []).append(row[place])
        firsts = [some[0] for some in ranked.values()]
        rest = [sample for some in ranked.values() for sample in some[1:]]
        return [*firsts, *rest][:FEW]

    @cached_property
    def originals(self) -> list[str]:
        """`sample_subset` as text, before the first reward is called."""
        return list(map(canonical, self.sample_subset))

    # --- answers ---

    def read(self, text: str, method: str = "parse") -> Parsed | None:
        """What the parser returns; None if it raises, returns something else or is slow.

        The laws on totality and time report these faults; the other laws skip the text.
        Raises: NotCheckedError if it is slow repeatedly.
        """
        try:
            with self.reading():
                parsed = getattr(self.parser, method)(text)
        except NotCheckedError:
            raise
        except (Exception, SystemExit):
            return None
        if not isinstance(parsed, Parsed) or (parsed.ok and parsed.value is None):
            return None
        return parsed

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Bound the time of a block that reads a text; raises `SlowError` past it.

        Raises: NotCheckedError if that has happened repeatedly.
        """
        if self._slow >= _SLOW:
            raise NotCheckedError("the parser is too slow for many texts", "parser-near-linear")
        try:
            with computing_at_most(_READING_S):
                yield
        except TooLong as late:
            self._slow += 1
            raise SlowError from late

    @cached_property
    def golds(self) -> dict[str, Any]:
        """Texts of golds with distinct values; those of `sample_subset` first."""
        found: dict[str, Any] = {}
        for text in dict.fromkeys(sample.gold for sample in [*self.scorable, *self.all_samples]):
            parsed = self.read(text, "gold") if len(found) < 40 else None
            if parsed is None or not parsed.ok or value_fault(parsed.value):
                continue
            if parsed.value not in found.values():
                found[text] = parsed.value
        return found

    @cached_property
    def scorable(self) -> list[Sample]:
        """Those of `sample_subset` whose golds the parser reads, to a value that can be compared.

        Raises: NotCheckedError if there are none.
        """
        faults = [self._fault(sample) for sample in self.sample_subset]
        if all(faults):
            raise NotCheckedError("no gold is read to a value that can be compared", faults[0])
        return [
            sample for sample, fault in zip(self.sample_subset, faults, strict=True) if not fault
        ]

    @cached_property
    def readable(self) -> list[Sample]:
        """All samples that were read, as far as the parser reads their golds.

        Raises: NotCheckedError if there are none.
        """
        _ = self.scorable
        return [sample for sample in self.all_samples if not self._fault(sample)]

    def _fault(self, sample: Sample) -> str:
        """The law that is broken if this sample cannot be scored, or ""."""
        parsed = self.read(sample.gold, "gold")
        if parsed is None:
            return "parser-total"
        if not parsed.ok:
            return "golds-parse"
        return "parser-self-equal" if value_fault(parsed.value) else ""

    def value(self, sample: Sample) -> Any:
        """The value of a sample's gold."""
        return self.parser.gold(sample.gold).value

    def other_golds(self, sample: Sample) -> list[str]:
        """Golds of other samples that are wrong for this one, in random order."""
        own = self.value(sample)
        texts = [text for text, value in self.golds.items() if value != own]
        return sorted(texts, key=lambda text: self.rng(f"{sample.id}/{text}").random())

    def require_other_golds(self) -> None:
        """Raise `NotApplicableError` if all golds are one."""
        if len(self.golds) < 2:
            raise NotApplicableError("all golds that were read are the same")

    # --- completions ---

    def target(self, sample: Sample) -> str:
        """The SFT target of a sample, with placeholder reasoning if it has none."""
        try:
            return prompts.sft_target(sample)
        except SampleError:
            return tags.write(PLAIN, sample.gold)

    @cached_property
    def targets(self) -> list[str]:
        """The SFT targets of `scorable`."""
        return [self.target(sample) for sample in self.scorable]

    def wrong_targets(self, sample: Sample, most: int = 6) -> list[str]:
        """SFT targets of other samples with another gold: well formed, and wrong."""
        wrong = set(self.other_golds(sample))
        return [self.target(other) for other in self.scorable if other.gold in wrong][:most]

    def attacks(
        self, sample: Sample, kinds: Sequence[str] = attacks.KINDS
    ) -> list[tuple[str, str]]:
        """Named completions of `kinds` that attack the rewards of this sample."""
        try:
            text = self.task.prompt(sample).text
        except Exception:  # for the law on prompts
            text = sample.question
        made = attacks.library(text, sample.gold, self.other_golds(sample))
        return [(name, one) for name, one in made if name.partition("/")[0] in kinds]

    # --- rewards ---

    @property
    def terms(self) -> Mapping[str, Term]:
        """The task's rewards."""
        return self.task.rewards

    @property
    def weighted_terms(self) -> dict[str, Term]:
        """The rewards with a weight; the others are only measured."""
        return {name: term for name, term in self.terms.items() if term.weight}

    def score(self, completions: Sequence[str], sample: Sample) -> list[Score]:
        """Score completions as answers to one sample.

        Raises: NotCheckedError if a sample cannot be sent to the process that scores it.
        """
        _ = self.originals
        try:
            return scorer_of(self.task).score(completions, [sample] * len(completions))
        except PluginError as error:
            raise NotCheckedError(str(error), "samples-picklable") from error

    def scored_of(self, completions: Sequence[str], sample: Sample) -> list[tuple[str, Score]]:
        """Completions with their scores, without those that cannot be scored.

        Those on which the parser or a reward raises are for the laws on totality.
        """
        texts = [text for text in completions if self.read(text) is not None]
        rows: list[tuple[str, Score]] = []
        for text in texts:  # one at a time: bad data ends a batch
            with suppress(SampleError):
                rows.append((text, self.score([text], sample)[0]))
        return [
            (text, score)
            for text, score in rows
            if not any(part.failed for part in score.parts.values())
        ]

    def total(self, completion: str, sample: Sample) -> float | None:
        """The total of one completion, 0 if no reward applies, None if it cannot be scored."""
        rows = self.scored_of([completion], sample)
        return (rows[0][1].total or 0.0) if rows else None

    def can_be_scored(self, completion: str) -> bool:
        """Whether rewards can be called on a completion: the parser returns something."""
        return self._parse(completion) is not None

    def reward_call(
        self, name: str, completion: str, sample: Sample, **more: Any
    ) -> tuple[Reward, RewardInput]:
        """A reward and its input, to call it without the scorer's protection.

        more: values that only training has, such as the step. `can_be_scored` must hold.
        """
        _ = self.originals
        function: Any = self.terms[name].reward
        parsed = self._parse(completion)
        assert parsed is not None, "not a completion that reads"
        known: dict[str, Any] = {
            "completion": completion,
            "sample": sample,
            **dict.fromkeys(_STATED),
            **more,
        }
        used = {field: known[field] for field in rewards.uses(function)}
        answer = parsed.value if parsed.ok else None
        return function, RewardInput(answer=answer, gold=self.value(sample), **used)

    def _parse(self, completion: str) -> Parsed | None:
        """Parse a completion once, though several rewards are called on it."""
        if self._last is None or self._last[0] is not completion:
            self._last = completion, self.read(completion)
        return self._last[1]

    # --- another process ---

    @cached_property
    def compared_samples(self) -> dict[str, dict[int, Sample]]:
        """The samples that the other process makes, too."""
        return {s: dict(list(some.items())[:_ELSEWHERE]) for s, some in self.samples.items()}

    @cached_property
    def digests(self) -> dict[str, list[str]]:
        """Digests of these samples, before any is scored."""
        return {
            split: [digest(one) for one in some.values()]
            for split, some in self.compared_samples.items()
        }

    @cached_property
    def scored(self) -> list[tuple[str, int, str]]:
        """Split, index and completion of what the other process scores, too."""
        rows = [
            (split, at, one)
            for split, some in self.compared_samples.items()
            for at, one in some.items()
            if not self._fault(one)
        ]
        texts = [(self.target(one), "", *self.wrong_targets(one, 2)) for _, _, one in rows]
        return [
            (split, at, text)
            for (split, at, _), some in zip(rows, texts, strict=True)
            for text in some
            if self.can_be_scored(text)
        ]

    @cached_property
    def scores(self) -> list[Any]:
        """Every reward's outcome for `scored`, in this process."""
        scorer = scorer_of(self.task)
        return [
            row_of(scorer, text, self.compared_samples[split][at])
            for split, at, text in self.scored
        ]

    @cached_property
    def elsewhere(self) -> Elsewhere:
        """The report of the other process, which runs once.

        What cannot be made in this process is not requested: other laws report that.
        """
        request: dict[str, Any] = {
            "task": self.name,
            "plugin": self.offer.plugin.distribution,
            "recipe": self.layer[1],
            "indices": {},
            "scored": [],
        }
        with suppress(Exception):
            request["indices"] = {
                split: list(some) for split, some in self.compared_samples.items()
            }
            request["scored"] = self.scored
        return run_elsewhere(request)
