"""Read a whole folder, or one file, and say everything that is wrong with it, by file and row.

Training refuses the first fault it meets; this finds all of them, with the
same reader, the task's own parser and the task's own prompt.
"""

import hashlib
import io
import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rftcore import markup
from rftcore.bars import Bar
from rftcore.datasets.files import Row, RowFile, content_of
from rftcore.datasets.jsonl import JsonlDataset, LineFile, in_order
from rftcore.datasets.layout import Layout
from rftcore.datasets.reason_rft import ReasonRftDataset
from rftcore.decoding import TooLargeError, image_findings, what_else
from rftcore.errors import RftError
from rftcore.types import Parser, PromptMaker, Sample

MAX_PIXELS = 50_000_000  # of one picture: more is a mistake, or an attack
TRAINING = ("sft", "rl")
BLOCK = 256  # rows whose pictures are looked at together
Looked = tuple[bytes, tuple[str, str] | None]  # the hash of a picture's bytes, and its fault


@dataclass(frozen=True)
class Finding:
    """One fault: what kind, in which file and row, in words."""

    kind: str
    file: str
    row: int
    text: str

    def __str__(self) -> str:
        kind = "" if self.text.startswith(self.kind) else f"{self.kind}: "
        return f"{self.file} row {self.row}: {kind}{self.text}"


@dataclass(frozen=True)
class SplitReport:
    """A split, the file it comes from, its rows and how many of them have a fault."""

    split: str
    file: str
    rows: int
    faulty: int


@dataclass(frozen=True)
class Report:
    """What a folder holds, and all that is wrong with it."""

    splits: Sequence[SplitReport]
    findings: Sequence[Finding]
    images: int
    unused: Sequence[str] = ()
    missing: Sequence[str] = ()

    @property
    def kinds(self) -> dict[str, int]:
        """How many faults of each kind, the most frequent first."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())


@dataclass
class _File:
    """What is kept of a file: a few numbers a row."""

    source: RowFile | LineFile
    name: str
    rows: list[int] = field(default_factory=list)
    contents: list[int | None] = field(default_factory=list)  # by the pictures' names
    seen: list[bytes | None] = field(default_factory=list)  # by the pictures' bytes
    reasoned: list[bool] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)  # where each row says its own
    ids: dict[str, int] = field(default_factory=dict)


def audit(
    dataset: ReasonRftDataset | JsonlDataset,
    parser: Parser,
    prompt: PromptMaker,
    *,
    max_pixels: int = MAX_PIXELS,
    progress: bool = True,
) -> Report:
    """Read every row of every file in use, and every picture once.

    Raises: DataError only if a file cannot be opened.
    """
    from PIL import Image as pil

    checks = _Checks(dataset, parser, prompt, _Pictures(max_pixels))
    files = {"": dataset.file} if isinstance(dataset, JsonlDataset) else dict(dataset.files)
    sizes = {role: file.path.stat().st_size for role, file in files.items()}
    bar = Bar(sum(sizes.values()) >> 10, "checking data", "kB", show=progress)
    with warnings.catch_warnings(), bar:
        warnings.simplefilter("ignore", pil.DecompressionBombWarning)  # max_pixels is the rule
        for role, file in files.items():
            checks.file(role, file, bar)
            bar.update((sum(sizes[r] for r in checks.files) >> 10) - bar.n)
    checks.splits()
    return checks.report()


class _Pictures:
    """What is known of every picture, looked at once: the hash of its bytes, or its fault."""

    def __init__(self, max_pixels: int) -> None:
        self._max = max_pixels
        self.known: dict[Path, Looked] = {}
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def look_ahead(self, paths: Iterable[Path]) -> None:
        """Look at these now, on every core: decoding leaves the interpreter to others."""
        new = [path for path in dict.fromkeys(paths) if path not in self.known]
        self.known.update(zip(new, self._threads.map(self._look, new), strict=True))

    def _look(self, path: Path) -> Looked:
        try:
            data = path.read_bytes()
        except OSError as error:
            return b"", ("missing image", error.strerror or str(error))
        return hashlib.blake2b(data, digest_size=16).digest(), self._fault(data)

    def _fault(self, data: bytes) -> tuple[str, str] | None:
        from PIL import Image as pil
        from PIL import UnidentifiedImageError

        try:
            with pil.open(io.BytesIO(data)) as picture:
                width, height = picture.size
                if width * height > self._max:
                    most = f"more than {self._max} pixels (--max-pixels)"
                    return "image too large", f"{width} x {height} is {most}"
                picture.verify()  # checksums, which decoding passes over
            doubts = image_findings(data)
        except (pil.DecompressionBombError, TooLargeError) as error:
            return "image too large", str(error)
        except UnidentifiedImageError:
            return "corrupt image", what_else(data)
        except Exception as error:  # decoders of damaged data raise almost anything
            return "corrupt image", str(error) or type(error).__name__
        return doubts[0] if doubts else None


@dataclass
class _Checks:
    """The checks, and what they found so far."""

    dataset: ReasonRftDataset | JsonlDataset
    parser: Parser
    prompt: PromptMaker
    pictures: _Pictures
    files: dict[str, _File] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    sizes: list[tuple[str, _File, Sequence[int]]] = field(default_factory=list)

    def file(self, role: str, source: RowFile | LineFile, bar: Bar) -> None:
        """Check every row by itself."""
        name = source.path.relative_to(source.folder).as_posix()
        kept = self.files[role] = _File(source, name)
        before, rows = bar.n, source.rows()
        while block := list(islice(rows, BLOCK)):
            good = (row for row in block if not row.faults)
            self.pictures.look_ahead(path for row in good for path in row.images)
            for row in block:
                self._row(kept, row)
            bar.update(before + (block[-1].end >> 10) - bar.n)

    def splits(self) -> None:
        """Check the rows against one another, split by split."""
        met: dict[bytes, tuple[str, _File, int]] = {}
        for split, kept, positions in self._positions():
            self.sizes.append((split, kept, positions))
            self._split(split, kept, positions, met)

    def _positions(self) -> Iterator[tuple[str, _File, Sequence[int]]]:
        """Which rows of which file each split has."""
        if isinstance(self.dataset, JsonlDataset):
            return self._said(self.files[""])
        return self._dealt(self.dataset)

    def _said(self, kept: _File) -> Iterator[tuple[str, _File, Sequence[int]]]:
        """The splits that the rows themselves name."""
        for split in in_order(set(kept.splits) - {""}):
            yield split, kept, [at for at, said in enumerate(kept.splits) if said == split]

    def _dealt(self, dataset: ReasonRftDataset) -> Iterator[tuple[str, _File, Sequence[int]]]:
        """The splits that files are, or are dealt into."""
        sources = {r: f for r, f in self.files.items() if r in ("train", "sft", "rl")}
        dealt: dict[str, Sequence[int]] = {}
        if sources:
            taught = sources.get("sft") or sources.get("train")
            contents = {role: kept.contents for role, kept in sources.items()}
            dealt = dataset.deal(contents, taught.reasoned if taught else ())
        for role, kept in self.files.items():
            if role not in sources:
                dealt[role] = range(len(kept.rows))
        for split, positions in dealt.items():
            if positions:
                yield split, self.files[dataset.file_of(split).role], positions

    def report(self) -> Report:
        """What was found; the faults in the order of files and rows."""
        order = {kept.name: at for at, kept in enumerate(self.files.values())}
        self.findings.sort(key=lambda f: (order[f.file], f.row))
        layout = Layout({}) if isinstance(self.dataset, JsonlDataset) else self.dataset.layout
        folder = Path(self.dataset.path)
        return Report(
            splits=[self._size(*size) for size in self.sizes],
            findings=self.findings,
            images=len(self.pictures.known),
            unused=[path.relative_to(folder).as_posix() for path in layout.unused],
            missing=layout.missing,
        )

    def _size(self, split: str, kept: _File, positions: Sequence[int]) -> SplitReport:
        wrong = {finding.row for finding in self.findings if finding.file == kept.name}
        faulty = sum(kept.rows[at] in wrong for at in positions)
        return SplitReport(split, kept.name, len(positions), faulty)

    def _row(self, kept: _File, row: Row) -> None:
        def find(kind: str, text: str) -> None:
            self.findings.append(Finding(kind, kept.name, row.number, text))

        for kind, text in row.faults:
            find(kind, text)
        kept.rows.append(row.number)
        kept.splits.append(row.split)
        if row.record is None or row.faults:
            self._keep(kept, None, None)
            return
        sample = kept.source.sample(row)
        if row.record.id is not None:
            first = kept.ids.setdefault(row.record.id, row.number)
            if first != row.number:
                find("duplicate id", f"{row.record.id!r} is the id of row {first}")
        digests = self._images(kept.source.folder, row, find)
        for kind, text in self._reading(sample, row.record.said):
            find(kind, text)
        self._keep(kept, sample, digests)

    def _keep(self, kept: _File, sample: Sample | None, digests: bytes | None) -> None:
        kept.contents.append(content_of(sample) if sample else None)
        kept.reasoned.append(bool(sample and sample.cot))
        seen = None
        if sample and digests is not None:
            text = json.dumps([sample.question, sample.gold]).encode()
            seen = hashlib.sha256(text + digests).digest()
        kept.seen.append(seen)

    def _images(self, folder: Path, row: Row, find: Callable[[str, str], None]) -> bytes | None:
        """The hashes of the row's pictures, None if one is not there."""
        looked = [self.pictures.known[path] for path in row.images]
        for path, (_, fault) in zip(row.images, looked, strict=True):
            if fault:
                name = path.relative_to(folder).as_posix()
                find(fault[0], f"{name}: {fault[1]}{_packed(folder, fault[0])}")
        digests = [digest for digest, _ in looked]
        return b"".join(digests) if all(digests) else None

    def _reading(self, sample: Sample, said: str | None) -> Iterator[tuple[str, str]]:
        """What the task's parser and prompt have to say."""
        gold = self.parser.gold(sample.gold)
        if not gold.ok:
            yield "gold", f"the task's parser cannot read {sample.gold!r}: {gold.refusal}"
        elif said is not None:
            answer = self.parser.gold(said)
            if answer.value != gold.value:
                yield "cot", f"the reasoning ends with the answer {said!r}, not {sample.gold!r}"
        if sample.cot and markup.has_tags(sample.cot):
            yield "cot", "tags inside the reasoning: SFT adds them"
        try:
            self.prompt(sample)
        except RftError as error:
            yield "prompt", str(error)
        except Exception as error:  # a plugin's code on data it has never seen
            yield "prompt", f"the task's prompt failed: {type(error).__name__}: {error}"

    def _split(
        self,
        split: str,
        kept: _File,
        positions: Sequence[int],
        met: dict[bytes, tuple[str, _File, int]],
    ) -> None:
        for at in positions:
            if split == "sft" and kept.contents[at] is not None and not kept.reasoned[at]:
                text = "no 'cot', but split sft learns from it"
                self.findings.append(Finding("missing field", kept.name, kept.rows[at], text))
            seen = kept.seen[at]
            if seen is None:
                continue
            other, file, row = met.setdefault(seen, (split, kept, kept.rows[at]))
            if other != split and {other, split} != set(TRAINING):
                text = f"the same question, answer and pictures as {file.name} row {row} ({other})"
                self.findings.append(
                    Finding("leak", kept.name, kept.rows[at], f"in split {split}: {text}")
                )


def _packed(folder: Path, kind: str) -> str:
    """A hint if the pictures are still in their archive."""
    packed = sorted(folder.glob("*.zip")) if kind == "missing image" else []
    return f". {packed[0].name} is there: unpack it" if packed else ""
