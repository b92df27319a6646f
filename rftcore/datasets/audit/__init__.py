"""`rft data check`: every fault of a folder or a file, by file and row.

Training stops at the first fault; this reports all of them, with the same reader, the task's
parser and the task's prompt.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rftcore.config.recipe import WithoutCot
from rftcore.datasets.audit.findings import Finding, Report, SplitReport
from rftcore.datasets.audit.images import ImageFiles, Read
from rftcore.datasets.audit.rows import CheckedFile, RowChecks
from rftcore.datasets.audit.splits import Part, SplitChecks, parts_of_file, parts_of_folder
from rftcore.datasets.cross_checks import CrossChecks, same_answer
from rftcore.datasets.files import Row, RowFile
from rftcore.datasets.jsonl import JsonlDataset
from rftcore.datasets.layout import Layout
from rftcore.datasets.reason_rft import ReasonRftDataset
from rftcore.images.pixels import PixelCache
from rftcore.images.threads import Threads
from rftcore.progress import Bar
from rftcore.types import Parser, PromptMaker

MAX_PIXELS = 50_000_000  # of one image: more is a mistake, or an attack


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

    sources = {"": dataset.file} if isinstance(dataset, JsonlDataset) else dict(dataset.files)
    across, known = CrossChecks(same_answer(parser)), PixelCache()
    images = ImageFiles(max_pixels, known)
    checks = RowChecks(parser, prompt, unusable, images, across)
    with warnings.catch_warnings(), known:
        warnings.simplefilter("ignore", pil.DecompressionBombWarning)  # max_pixels decides
        files, findings = _check_rows(sources, checks, threads, progress)
    first = next(iter(files.values()))
    for kind, text in across.constant_prompt():
        findings.append(Finding(kind, first.name, first.rows[0], text))
    parts, faults = _parts(dataset, files)
    findings += faults
    splits = SplitChecks(without_cot)
    for part in parts:
        findings += splits.split(part)
    return _report(dataset, files, parts, findings, len(images))


def _check_rows(
    sources: Mapping[str, RowFile], checks: RowChecks, threads: int | None, progress: bool
) -> tuple[dict[str, CheckedFile], list[Finding]]:
    """Check each row of each file on its own, with the images of the next rows read meanwhile."""
    sizes = {role: file.path.stat().st_size for role, file in sources.items()}
    bar = Bar(_kilobytes(sum(sizes.values())), "checking data", "kB", many="kB", show=progress)
    files: dict[str, CheckedFile] = {}
    findings: list[Finding] = []
    with bar, Threads[Row, Read](threads) as pool:
        for role, source in sources.items():
            kept, before = files.setdefault(role, CheckedFile(source, source.name)), bar.n
            for row, shown in pool.ahead(source.rows(), checks.images.jobs):
                findings += checks.row(kept, row, shown)
                bar.update(before + (row.end >> 10) - bar.n)
            bar.update(_kilobytes(sum(sizes[r] for r in files)) - bar.n)
    return files, findings


def _kilobytes(size: int) -> int:
    """Bytes in kB, rounded up, so that a small file is not 0."""
    return -(-size >> 10)


def _parts(
    dataset: ReasonRftDataset | JsonlDataset, files: Mapping[str, CheckedFile]
) -> tuple[list[Part], list[Finding]]:
    if isinstance(dataset, JsonlDataset):
        return parts_of_file(dataset, files[""])
    return parts_of_folder(dataset, files), []


def _report(
    dataset: ReasonRftDataset | JsonlDataset,
    files: Mapping[str, CheckedFile],
    parts: Iterable[Part],
    findings: Sequence[Finding],
    images: int,
) -> Report:
    """The report, with findings in the order of files and rows."""
    order = {kept.name: at for at, kept in enumerate(files.values())}
    layout = Layout({}) if isinstance(dataset, JsonlDataset) else dataset.layout
    folder = Path(dataset.path)
    return Report(
        splits=[_size(part, findings) for part in parts],
        findings=sorted(findings, key=lambda found: (order[found.file], found.row)),
        images=images,
        unused=[path.relative_to(folder).as_posix() for path in layout.unused],
        missing=layout.missing,
    )


def _size(part: Part, findings: Iterable[Finding]) -> SplitReport:
    wrong = {finding.row for finding in findings if finding.file == part.file.name}
    faulty = sum(part.file.rows[at] in wrong for at in part.positions)
    reasoned = sum(part.file.reasoned[at] for at in part.positions)
    return SplitReport(part.split, part.file.name, len(part.positions), reasoned, faulty)
