"""The checks of each row on its own, and what the checks across rows need of it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rftcore import tags
from rftcore.columns import printable
from rftcore.datasets.audit.findings import Finding
from rftcore.datasets.audit.images import MISSING, ImageFiles, Read, Shown, elsewhere
from rftcore.datasets.cross_checks import CrossChecks
from rftcore.datasets.files import Row, RowFile
from rftcore.datasets.overlays import undrawn
from rftcore.datasets.rows.faults import short
from rftcore.datasets.rows.fields import reasoning_hint
from rftcore.datasets.rows.record import Record
from rftcore.errors import RftError
from rftcore.images.threads import Job
from rftcore.types import Parser, Prompt, PromptMaker, Sample

Found = Iterator[tuple[str, str]]  # kinds and texts of findings


@dataclass
class CheckedFile:
    """What the checks across rows need of a file: a few numbers per row."""

    source: RowFile
    name: str
    rows: list[int] = field(default_factory=list)
    links: list[tuple[int, ...]] = field(default_factory=list)  # () for a broken row
    images: dict[int, Path] = field(default_factory=dict)  # by those links that are images
    texts: list[bytes] = field(default_factory=list)  # a hash of question and gold
    pixels: list[tuple[str, ...] | None] = field(default_factory=list)  # None: an image is faulty
    reasoned: list[bool] = field(default_factory=list)
    hints: dict[int, str] = field(default_factory=dict)  # for rows whose reasoning has another name
    splits: list[str] = field(default_factory=list)  # "" for rows that name none
    ids: dict[str, int] = field(default_factory=dict)

    def keep(self, row: Row, sample: Sample | None, pixels: tuple[str, ...] | None) -> None:
        """Add a row; without a sample it is broken."""
        links = self.source.links(row) if sample else ()
        text = json.dumps([sample.question, sample.gold]) if sample else ""
        self.rows.append(row.number)
        self.splits.append(row.record.split if row.record else "")
        self.links.append(links)
        self.images.update(zip(links, row.images, strict=False))
        self.texts.append(hashlib.sha256(text.encode()).digest())
        self.pixels.append(pixels)
        self.reasoned.append(bool(sample and sample.cot))
        if sample and not sample.cot and (hint := reasoning_hint(sample.meta)):
            self.hints[row.number] = hint


@dataclass
class RowChecks:
    """Checks rows, one after another, with a task's parser, prompt and rewards.

    unusable: why rewards cannot use a parsed gold.
    """

    parser: Parser
    prompt: PromptMaker
    unusable: Callable[[Any], Iterable[str]]
    images: ImageFiles
    across: CrossChecks

    def row(self, kept: CheckedFile, row: Row, shown: Sequence[Job[Read]]) -> list[Finding]:
        """The findings of a row, which is added to `kept`. `shown` has the jobs of its images."""
        found = [(fault.kind, fault.text) for fault in row.faults]
        if row.record is None or row.faults:
            kept.keep(row, None, None)
        else:
            found += self._record(kept, row, row.record, self.images.of(row, shown))
        return [Finding(kind, kept.name, row.number, text) for kind, text in found]

    def _record(self, kept: CheckedFile, row: Row, record: Record, shown: list[Shown]) -> Found:
        sample = kept.source.sample(row)
        yield from _duplicate_id(kept, row, record)
        yield from _faulty_images(kept.source.folder, row, shown)
        yield from self._reading(sample, record.concluded)
        pixels = tuple(digest for digest, _ in shown)
        if all(pixels):
            yield from self.across.contradiction(sample, pixels, f"{kept.name} row {row.number}")
        kept.keep(row, sample, pixels if all(pixels) else None)

    def _reading(self, sample: Sample, concluded: str | None) -> Found:
        """Findings of the task's parser, rewards and prompt."""
        yield from self._gold(sample.gold, concluded)
        if sample.cot and tags.has_tags(sample.cot):
            yield "cot", "tags inside the reasoning: remove them, SFT adds its own"
        if fault := undrawn(sample):
            yield "boxes", fault
        yield from self._prompt(sample)

    def _gold(self, text: str, concluded: str | None) -> Found:
        gold = self.parser.gold(text)
        if not gold.ok:
            yield "gold", f"the task's parser cannot read {short(text)}: {gold.error}"
            return
        for fault in self.unusable(gold.value):
            yield "gold", f"{short(text)}: {fault}"
        if concluded is not None and self.parser.gold(concluded).value != gold.value:
            ends = f"the reasoning ends with answer {short(concluded)}"
            yield "cot", f"{ends}, not {short(text)}"

    def _prompt(self, sample: Sample) -> Found:
        try:
            prompt = self.prompt(sample)
            if isinstance(prompt, Prompt) and isinstance(prompt.text, str):
                yield from self.across.hidden_options(sample, prompt)
            else:
                text = f"the task's prompt returned {prompt!r:.60}"
                yield "prompt", f"{text}: return rft.Prompt(text, images)"
        except RftError as error:
            yield "prompt", str(error)
        except Exception as error:  # a plugin's code, on unknown data
            yield "prompt", f"the task's prompt failed: {type(error).__name__}: {error}"


def _duplicate_id(kept: CheckedFile, row: Row, record: Record) -> Found:
    if record.id is not None:
        first = kept.ids.setdefault(record.id, row.number)
        if first != row.number:
            yield "duplicate id", f"{short(record.id)} is the id of row {first}"


def _faulty_images(folder: Path, row: Row, shown: Sequence[Shown]) -> Found:
    for path, (_, fault) in zip(row.images, shown, strict=True):
        if fault:
            kind, text = fault
            name = printable(path.relative_to(folder).as_posix(), lines=False)
            hint = elsewhere(folder, path) if kind == MISSING else ""
            yield kind, f"{name}: {text}{hint}"
