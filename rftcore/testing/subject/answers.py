"""What the parser of a task reads: the golds of its samples, and any text within a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from rftcore.testing.clock import TooLong, computing_at_most
from rftcore.testing.errors import NotApplicableError, NotCheckedError
from rftcore.testing.subject.samples import TaskSamples
from rftcore.testing.values import value_fault
from rftcore.types import Parsed, Sample

_READING_S = 3.0  # computing that one text may take before it counts as not read
_SLOW = 3  # texts not read in that time after which no more are tried


class SlowError(Exception):
    """The parser took too long for a text."""


class TaskAnswers(TaskSamples):
    """Golds as values. Only the parser protocol is assumed about answers."""

    _slow = 0  # texts that were not read in time

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
