"""`rft data check`: every fault of a folder or a file, by file and row.

Training stops at the first fault; this reports all of them, with the same reader, the task's
parser and the task's prompt.
"""

import hashlib
import io
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rftcore import tags
from rftcore.columns import printable
from rftcore.config.recipe import WithoutCot
from rftcore.datasets.cross_checks import CrossChecks, same_answer
from rftcore.datasets.files import Row, RowFile
from rftcore.datasets.grouping import Leaks, assign, copies, grouped, groups
from rftcore.datasets.image_paths import similar_name
from rftcore.datasets.jsonl import JsonlDataset
from rftcore.datasets.layout import TRAIN, Layout
from rftcore.datasets.reason_rft import SOURCES, ReasonRftDataset
from rftcore.datasets.reasoning import CHOICES
from rftcore.datasets.rows.fields import reasoning_hint
from rftcore.errors import DataError, RftError
from rftcore.images.decoding import TooLargeError, what_else
from rftcore.images.pixels import PixelCache
from rftcore.images.threads import Job, Threads
from rftcore.progress import Bar
from rftcore.splits import RL, SFT, in_order, is_training, may_overlap
from rftcore.types import Parser, Prompt, PromptMaker, Sample

MAX_PIXELS = 50_000_000  # of one image: more is a mistake, or an attack
Shown = tuple[str, tuple[str, str] | None]  # the hash of an image's pixels, and its fault


@dataclass(frozen=True)
class Finding:
    """One fault: its kind, file and row, and a text."""

    kind: str
    file: str
    row: int
    text: str

    def __str__(self) -> str:
        kind = "" if self.text.startswith(self.kind) else f"{self.kind}: "
        return f"{self.file} row {self.row}: {kind}{self.text}"


@dataclass(frozen=True)
class SplitReport:
    """A split, its file, and its rows: all, those with a `cot`, those with a fault."""

    split: str
    file: str
    rows: int
    reasoned: int
    faulty: int


@dataclass(frozen=True)
class Report:
    """The splits of a folder or file, and all its faults."""

    splits: Sequence[SplitReport]
    findings: Sequence[Finding]
    images: int
    unused: Sequence[str] = ()
    missing: Sequence[str] = ()

    @property
    def kinds(self) -> dict[str, int]:
        """The number of faults of each kind, the most frequent first."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())


@dataclass
class _File:
    """What the checks across rows need of a file: a few numbers per row."""

    source: RowFile
    name: str
    rows: list[int] = field(default_factory=list)
    links: list[tuple[int, ...]] = field(default_factory=list)  # () for a broken row
    files: dict[int, Path] = field(default_factory=dict)  # of the images among the links
    texts: list[bytes] = field(default_factory=list)  # a hash of question and gold
    pixels: list[tuple[str, ...] | None] = field(default_factory=list)  # None: an image is faulty
    reasoned: list[bool] = field(default_factory=list)
    hints: dict[int, str] = field(default_factory=dict)  # for rows whose reasoning has another name
    splits: list[str] = field(default_factory=list)  # "" for rows that name none
    ids: dict[str, int] = field(default_factory=dict)


def audit(
    dataset: ReasonRftDataset | JsonlDataset,
    parser: Parser,
    prompt: PromptMaker,
    *,
    unusable: Callable[[Any], Iterable[str]] = lambda gold: (),
    max_pixels: int = MAX_PIXELS,
    progress: bool = True,
    without_cot: WithoutCot = "error",
    threads: int | None = None,
) -> Report:
    """Check every row of every file in use, and every image once.

    `unusable` takes a parsed gold and returns why rewards cannot use it. `without_cot` is the
    setting of SFT: only "error" makes a fault of a row of split sft without a cot. Images are
    read in `threads`, by default one per core; the report does not depend on their number.
    Raises: DataError only if a file cannot be opened.
    """
    from PIL import Image as pil

    files = {"": dataset.file} if isinstance(dataset, JsonlDataset) else dict(dataset.files)
    sizes = {role: file.path.stat().st_size for role, file in files.items()}
    bar = Bar(_kilobytes(sum(sizes.values())), "checking data", "kB", many="kB", show=progress)
    across, pool = CrossChecks(same_answer(parser)), _Threads(threads)
    with warnings.catch_warnings(), PixelCache() as known, bar, pool:
        warnings.simplefilter("ignore", pil.DecompressionBombWarning)  # max_pixels decides
        images = _Images(max_pixels, known)
        checks = _Checks(dataset, parser, prompt, unusable, images, pool, across, without_cot)
        for role, file in files.items():
            checks.file(role, file, bar)
            bar.update(_kilobytes(sum(sizes[r] for r in checks.files)) - bar.n)
    checks.splits()
    return checks.report()


def _kilobytes(size: int) -> int:
    """Bytes in kB, rounded up, so that a small file is not 0."""
    return -(-size >> 10)


class _Images:
    """The pixel hash, or the fault, of every image file: each file is read once."""

    def __init__(self, max_pixels: int, known: PixelCache) -> None:
        self._max, self._known = max_pixels, known
        self._begun: set[Path] = set()
        self._found: dict[Path, Shown] = {}

    def jobs(self, row: Row) -> list[Job[tuple[Path, Shown]]]:
        """The jobs of a row: reading the images that are new in it, unless the row has faults."""
        if row.faults:
            return []
        new = [path for path in dict.fromkeys(row.images) if path not in self._begun]
        self._begun.update(new)
        return [partial(self._inspect, path) for path in new]

    def __len__(self) -> int:
        return len(self._found)

    def of(self, row: Row, shown: Iterable[Job[tuple[Path, Shown]]]) -> list[Shown]:
        """The images of a row; `shown` has the results of its jobs."""
        self._found.update(job() for job in shown)
        return [self._found[path] for path in row.images]

    def _inspect(self, path: Path) -> tuple[Path, Shown]:
        from PIL import Image as pil
        from PIL import UnidentifiedImageError

        def fault(kind: str, text: str) -> tuple[Path, Shown]:
            return path, ("", (kind, text))

        try:
            data = path.read_bytes()
        except OSError as error:
            return fault("missing image", error.strerror or str(error))
        try:
            with pil.open(io.BytesIO(data)) as image:
                width, height = image.size
                if width * height > self._max:
                    most = f"more than {self._max} pixels (--max-pixels)"
                    return fault("image too large", f"{width} x {height} is {most}")
                image.verify()  # checksums, which decoding ignores
            seen = self._known.pixels(data)
        except (pil.DecompressionBombError, TooLargeError) as error:
            return fault("image too large", str(error))
        except UnidentifiedImageError:
            return fault("corrupt image", what_else(data))
        except Exception as error:  # decoders raise almost anything for damaged data
            return fault("corrupt image", str(error) or type(error).__name__)
        return path, (seen.hash, next(iter(seen.remarks), None))


_Threads = Threads[Row, tuple[Path, Shown]]


@dataclass
class _Checks:
    """The checks, and their findings so far."""

    dataset: ReasonRftDataset | JsonlDataset
    parser: Parser
    prompt: PromptMaker
    unusable: Callable[[Any], Iterable[str]]
    images: _Images
    threads: _Threads
    across: CrossChecks
    without_cot: WithoutCot
    files: dict[str, _File] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    sizes: list[tuple[str, _File, Sequence[int]]] = field(default_factory=list)

    def file(self, role: str, source: RowFile, bar: Bar) -> None:
        """Check each row on its own."""
        name = source.name
        kept = self.files[role] = _File(source, name)
        before = bar.n
        for row, shown in self.threads.ahead(source.rows(), self.images.jobs):
            self._row(kept, row, shown)
            bar.update(before + (row.end >> 10) - bar.n)

    def splits(self) -> None:
        """Check the rows against one another, split by split, training first."""
        kept = next(iter(self.files.values()))
        for kind, text in self.across.constant_prompt():
            self.findings.append(Finding(kind, kept.name, kept.rows[0], text))
        seen, trained = _Seen(), _Seen()
        for split, kept, positions in self._positions():
            self.sizes.append((split, kept, positions))
            self._split(split, kept, positions, seen, trained)
            if split == RL:
                self._mixture(kept, positions)

    def _mixture(self, kept: _File, positions: Sequence[int]) -> None:
        """GRPO cannot train on rows with images together with rows without."""
        kinds: dict[bool, int] = {}
        for at in positions:
            if (pixels := kept.pixels[at]) is not None:
                kinds.setdefault(bool(pixels), kept.rows[at])
        if len(kinds) == 2:
            text = (
                f"in split {RL}: rows with and without images, which GRPO cannot train together: "
                f"row {kinds[True]} has images, row {kinds[False]} has none"
            )
            self.findings.append(Finding("mixed rows", kept.name, max(kinds.values()), text))

    def _positions(self) -> Iterator[tuple[str, _File, Sequence[int]]]:
        """The rows of each split, and their file."""
        if isinstance(self.dataset, JsonlDataset):
            return self._of_file(self.dataset, self.files[""])
        return self._of_folder(self.dataset)

    def _of_file(
        self, dataset: JsonlDataset, kept: _File
    ) -> Iterator[tuple[str, _File, Sequence[int]]]:
        """The splits of a single file: those that rows name or are assigned to."""
        together = groups(kept.links, copies(kept.files) if "" in kept.splits else ())
        splits = kept.splits
        teachable = dataset.teachable(kept.reasoned)
        try:
            splits = assign(Path(dataset.path), splits, together, teachable, dataset.held_out)
        except DataError as error:
            self.findings.append(Finding("splits", kept.name, kept.rows[0], error.reason))
        for split in in_order(set(splits) - {""}):
            yield split, kept, [at for at, name in enumerate(splits) if name == split]

    def _of_folder(self, dataset: ReasonRftDataset) -> Iterator[tuple[str, _File, Sequence[int]]]:
        """The splits of a folder: files of their own, or parts of the training file."""
        sources = {r: f for r, f in self.files.items() if r in SOURCES}
        assigned: dict[str, Sequence[int]] = {}
        if sources:
            taught = sources.get(SFT) or sources.get(TRAIN)
            together = grouped({r: (f.links, f.files) for r, f in sources.items()})
            assigned = dataset.assign(together, taught.reasoned if taught else ())
        if dataset.drop_leaks:
            every = {r: (f.links, f.files) for r, f in self.files.items()}
            leaks = Leaks.of(every, [r for r in every if r not in sources])
            of = {
                split: self.files[dataset.file_of(split).role]
                for split, at in assigned.items()
                if at
            }
            assigned = {split: leaks.without(assigned[split], of[split].links) for split in of}
        for role, kept in self.files.items():
            if role not in sources:
                assigned[role] = range(len(kept.rows))
        for split, positions in assigned.items():
            if positions:
                yield split, self.files[dataset.file_of(split).role], positions

    def report(self) -> Report:
        """The report, with findings in the order of files and rows."""
        order = {kept.name: at for at, kept in enumerate(self.files.values())}
        self.findings.sort(key=lambda f: (order[f.file], f.row))
        layout = Layout({}) if isinstance(self.dataset, JsonlDataset) else self.dataset.layout
        folder = Path(self.dataset.path)
        return Report(
            splits=[self._size(*size) for size in self.sizes],
            findings=self.findings,
            images=len(self.images),
            unused=[path.relative_to(folder).as_posix() for path in layout.unused],
            missing=layout.missing,
        )

    def _size(self, split: str, kept: _File, positions: Sequence[int]) -> SplitReport:
        wrong = {finding.row for finding in self.findings if finding.file == kept.name}
        faulty = sum(kept.rows[at] in wrong for at in positions)
        reasoned = sum(kept.reasoned[at] for at in positions)
        return SplitReport(split, kept.name, len(positions), reasoned, faulty)

    def _row(self, kept: _File, row: Row, shown: Sequence[Job[tuple[Path, Shown]]]) -> None:
        def find(kind: str, text: str) -> None:
            self.findings.append(Finding(kind, kept.name, row.number, text))

        for kind, text in row.faults:
            find(kind, text)
        kept.rows.append(row.number)
        kept.splits.append(row.record.split if row.record else "")
        if row.record is None or row.faults:
            self._keep(kept, row, None, None)
            return
        sample = kept.source.sample(row)
        if row.record.id is not None:
            first = kept.ids.setdefault(row.record.id, row.number)
            if first != row.number:
                find("duplicate id", f"{row.record.id!r} is the id of row {first}")
        images = self.images.of(row, shown)
        pixels = self._pixels(kept.source.folder, row, images, find)
        for kind, text in self._reading(sample, row.record.concluded):
            find(kind, text)
        if pixels is not None:
            for kind, text in self.across.contradiction(
                sample, pixels, f"{kept.name} row {row.number}"
            ):
                find(kind, text)
        self._keep(kept, row, sample, pixels)

    def _keep(
        self, kept: _File, row: Row, sample: Sample | None, pixels: tuple[str, ...] | None
    ) -> None:
        links = kept.source.links(row) if sample else ()
        kept.links.append(links)
        kept.files.update(zip(links, row.images, strict=False))
        if sample and not sample.cot and (hint := reasoning_hint(sample.meta)):
            kept.hints[row.number] = hint
        kept.reasoned.append(bool(sample and sample.cot))
        text = json.dumps([sample.question, sample.gold]) if sample else ""
        kept.texts.append(hashlib.sha256(text.encode()).digest())
        kept.pixels.append(pixels)

    def _pixels(
        self,
        folder: Path,
        row: Row,
        shown: Sequence[Shown],
        find: Callable[[str, str], None],
    ) -> tuple[str, ...] | None:
        """The hashes of the row's images, None if one is faulty."""
        for path, (_, fault) in zip(row.images, shown, strict=True):
            if fault:
                name = printable(path.relative_to(folder).as_posix(), lines=False)
                find(fault[0], f"{name}: {fault[1]}{_elsewhere(folder, path, fault[0])}")
        pixels = tuple(digest for digest, _ in shown)
        return pixels if all(pixels) else None

    def _reading(self, sample: Sample, concluded: str | None) -> Iterator[tuple[str, str]]:
        """Findings of the task's parser, rewards and prompt."""
        gold = self.parser.gold(sample.gold)
        if not gold.ok:
            yield "gold", f"the task's parser cannot read {sample.gold!r}: {gold.error}"
        else:
            yield from (
                ("gold", f"{sample.gold!r}: {fault}") for fault in self.unusable(gold.value)
            )
        if gold.ok and concluded is not None:
            answer = self.parser.gold(concluded)
            if answer.value != gold.value:
                yield (
                    "cot",
                    f"the reasoning ends with answer {concluded!r}, not {sample.gold!r}",
                )
        if sample.cot and tags.has_tags(sample.cot):
            yield "cot", "tags inside the reasoning: remove them, SFT adds its own"
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

    def _split(
        self, split: str, kept: _File, positions: Sequence[int], seen: "_Seen", trained: "_Seen"
    ) -> None:
        for at in positions:
            row, pixels = kept.rows[at], kept.pixels[at]

            def find(kind: str, text: str, row: int = row) -> None:
                self.findings.append(Finding(kind, kept.name, row, text))

            if lacking := self._no_cot(split, kept, at):
                find("missing field", lacking)
            if pixels is None:
                continue
            other = seen.setdefault((kept.texts[at], pixels), (split, kept, row))
            if not may_overlap(other[0], split):
                find(
                    "leak",
                    f"in split {split}: the same question, answer and images as {_at(other)}",
                )
            elif is_training(split):
                for image in pixels:
                    trained.setdefault(image, (split, kept, row))
            elif shown := next((trained[image] for image in pixels if image in trained), None):
                find(
                    "image leak",
                    f"in split {split}: shows an image that training also shows: {_at(shown)}",
                )

    def _no_cot(self, split: str, kept: _File, at: int) -> str:
        """What is wrong with a training row without `cot`, or ""."""
        hint = kept.hints.get(kept.rows[at], "")
        if split == SFT and kept.pixels[at] is not None and not kept.reasoned[at]:
            if self.without_cot == "error":
                return f"{_NO_COT}{f'. {hint}' if hint else ''}"
            return f"no 'cot': {hint}" if hint else ""
        if hint and is_training(split) and not kept.splits[at]:
            return f"no 'cot': {hint}, so that the row can go to split sft"
        return ""


_Seen = dict[object, tuple[str, _File, int]]  # a split, its file and a row of it
_NO_COT = f"no 'cot', but split sft needs one: add it, {CHOICES}"


def _at(place: tuple[str, _File, int]) -> str:
    split, file, row = place
    return f"{file.name} row {row} ({split})"


def _elsewhere(folder: Path, path: Path, kind: str) -> str:
    """A hint if a missing image exists under a similar name, or is still in an archive."""
    if kind != "missing image":
        return ""
    if other := similar_name(path, folder):
        return f". A file {other!a} exists: use this name"
    packed = sorted(folder.glob("*.zip"))
    return f". {packed[0].name} exists: unpack it" if packed else ""
