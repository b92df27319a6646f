"""`rft data`: check data for faults, and time it."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rftcore import jsontext
from rftcore.columns import printable, table
from rftcore.errors import DataError
from rftcore.splits import RL, SFT

if TYPE_CHECKING:
    from rftcore.config import Recipe
    from rftcore.datasets.audit.findings import Finding, Report
    from rftcore.datasets.slices import Slice
    from rftcore.types import Task

SHOWN = 10  # findings of one kind in one file
FAULTY = 1  # exit code of `rft data check` if there are findings


@click.group(short_help="Check your data, or time how fast samples are made.")
def data() -> None:
    """Check a folder or file of data, or time how fast samples are made."""


@data.command(short_help="Check every row and image; report every fault.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--task", required=True, help="The task that reads the data; see `rft tasks list`.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=50_000_000,
    show_default=True,
    help="Largest image, in pixels.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def check(
    ctx: click.Context,
    path: Path,
    task: str,
    settings: tuple[str, ...],
    max_pixels: int,
    as_json: bool,
) -> None:
    """Read every row and image of a folder or a file and report every fault.

    PATH is the value of dataset.path in training. Faults are reported by file and row.
    Exit code 0: no faults; 1: faults; 2: nothing to read.

    \b
    Example:
      rft data check Reason-RFT-CoT --task counting
      rft data check FOLDER --task counting --set dataset.test=mine.json --json
      rft data check cubes.jsonl --task counting
    """
    from rftcore.datasets import JsonlDataset, ReasonRftDataset
    from rftcore.datasets.audit import audit
    from rftcore.datasets.checks import unusable
    from rftcore.datasets.slices import parser_of

    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    recipe, made = _named(task, {"path": str(path)}, settings)
    if not isinstance(made.dataset, ReasonRftDataset | JsonlDataset):
        raise DataError(f"{type(made.dataset).__name__} is neither a folder nor a file of rows")
    report = audit(
        made.dataset,
        parser_of(made),
        made.prompt,
        unusable=partial(unusable, made),
        max_pixels=max_pixels,
        without_cot=recipe.sft.without_cot if _teaches_reasoning(recipe) else "skip",
    )
    if not report.splits and not report.findings:
        raise DataError(f"{path} has no rows")
    reasoning = _reasoning(report, recipe)
    if as_json:
        click.echo(_as_json(report, reasoning))
    else:
        click.echo("\n".join(_as_text(report, reasoning)))
    if report.findings:
        ctx.exit(FAULTY)


@data.command("time", short_help="Time making and reading images and rows.")
@click.option("--task", required=True, help="The task whose samples to read; see `rft tasks list`.")
@click.option("--split", default=RL, show_default=True, help="The split to read.")
@click.option("--count", default=64, show_default=True, type=click.IntRange(1))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
def time_(task: str, split: str, count: int, settings: tuple[str, ...]) -> None:
    """Time making images and reading them again, and the rows that a trainer reads.

    Uses a temporary cache, which is empty at first and deleted at the end.

    \b
    Example:
      rft data time --task counting --count 200
    """
    from rftcore.datasets.slices import take

    with _empty_cache():
        made = _task(task, {}, settings)
        part = take(made, split, count)
        images = len({image.key for sample in part for image in sample.images})
        click.echo(f"{made.name}, split {split}: {len(part)} samples, {images} images")
        for name, number, seconds in _timings(made, part, images):
            pace = number / seconds if seconds else float("inf")
            click.echo(
                f"{name:<24}{pace:>12.1f} per second{seconds / number * 1000:>11.3f} ms each"
            )


@data.command(short_help="Show a sample by its id.")
@click.option("--task", required=True, help="The task whose samples to read; see `rft tasks list`.")
@click.option("--id", "ids", required=True, multiple=True, metavar="ID", help="May be repeated.")
@click.option("--split", help="Search this split only.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per sample.")
def show(
    task: str, ids: tuple[str, ...], split: str | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Show samples by their ids: where they come from, question, gold, reasoning, images.

    \b
    Example:
      rft data show --task counting --id counting-val-17
    """
    from rftcore.datasets.finding import find
    from rftcore.datasets.slices import parser_of

    made = _task(task, {}, settings)
    for name, sample in find(made, ids, split):
        parsed = parser_of(made).gold(sample.gold)
        facts: dict[str, Any] = {
            "id": sample.id,
            "split": name,
            "origin": sample.origin,
            "question": sample.question,
            "gold": sample.gold,
            "parsed": repr(parsed.value) if parsed.ok else f"parse error: {parsed.error}",
            "cot": sample.cot,
            "meta": {**sample.meta},
            "images": [{"key": image.key, "size": image.size()} for image in sample.images],
        }
        click.echo(jsontext.dumps(facts) if as_json else _sample_text(facts))


def _sample_text(facts: dict[str, Any]) -> str:
    """A sample as lines; those of a text after its first are indented."""
    images = [("image", f"{i['key']} ({i['size'][0]} x {i['size'][1]})") for i in facts["images"]]
    rows = [(name, str(facts[name])) for name in facts if name != "images" and facts[name]]
    width = max(len(name) for name, _ in rows) + 2
    lines = (f"{name:<{width}}{printable(text)}" for name, text in (*rows, *images))
    return "".join(line.replace("\n", "\n" + " " * width) + "\n" for line in lines)


def _task(task: str, dataset: dict[str, Any], settings: Sequence[str]) -> "Task":
    return _named(task, dataset, settings)[1]


def _named(task: str, dataset: dict[str, Any], settings: Sequence[str]) -> "tuple[Recipe, Task]":
    from rftcore.config import load_recipe
    from rftcore.plugins import Catalogue

    layers: list[tuple[str, dict[str, Any]]] = [("--task", {"task": task})]
    if dataset:
        layers.append(("PATH", {"dataset": dataset}))
    recipe = load_recipe(*layers, overrides=settings)
    return recipe, Catalogue.load().task_of(recipe)


# --- check --------------------------------------------------------------------


def _teaches_reasoning(recipe: "Recipe") -> bool:
    from rftcore.config import ANSWERS

    return recipe.sft.enabled and recipe.paradigm != ANSWERS


def _reasoning(report: "Report", recipe: "Recipe") -> str:
    """What training with the recipe does with rows without a `cot`; "" if there is no choice."""
    from rftcore.datasets.reasoning import SftRows, note

    splits = {split.split: split for split in report.splits}
    part = splits.get(SFT)
    if part is None and RL in splits and _teaches_reasoning(recipe):
        return (
            "no training row has a cot, so there is no split sft: train with --paradigm ans-sft "
            "(answers alone) or reason-rft-zero"
        )
    part = part or splits.get(RL)
    if part is None or not recipe.sft.enabled:
        return ""
    bare, skips = part.rows - part.reasoned, recipe.sft.without_cot == "skip"
    if _teaches_reasoning(recipe) and recipe.sft.without_cot == "error":
        return ""  # each such row is a fault
    facts = SftRows(part.split, bare if skips else 0, part.reasoned, 0 if skips else bare)
    return note(asdict(facts), bare=not _teaches_reasoning(recipe))


def _as_json(report: "Report", reasoning: str) -> str:
    facts = {**asdict(report), "kinds": report.kinds, "reasoning": reasoning}
    return jsontext.dumps(facts, indent=2)


def _as_text(report: "Report", reasoning: str) -> Iterator[str]:
    yield from _first_of_each(report.findings)
    if report.findings:
        yield ""
    rows = [(s.split, s.file, *map(str, (s.rows, s.reasoned, s.faulty))) for s in report.splits]
    yield table([("split", "file", "rows", "with cot", "faulty"), *rows])
    if reasoning:
        yield reasoning
    yield f"images: {report.images}"
    if report.missing:
        yield f"not found: {', '.join(report.missing)}"
    if report.unused:
        yield f"not used: {', '.join(report.unused)}"
    if not report.findings:
        yield "no faults"
        return
    yield ""
    yield table([("fault", "how often"), *((k, str(n)) for k, n in report.kinds.items())])


def _first_of_each(findings: "Sequence[Finding]") -> Iterator[str]:
    """The first findings of each sort in each file, and the number of the others."""
    shown: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        shown[finding.file, _sort(finding)] += 1
        if shown[finding.file, _sort(finding)] <= SHOWN:
            yield str(finding)
    for (file, sort), count in shown.items():
        if count > SHOWN:
            yield f"{file}: {sort}: {count - SHOWN} more rows (--json lists all)"


def _sort(finding: "Finding") -> str:
    """The kind of a finding and, for a field, its name, so that one field does not hide another."""
    words = {"missing field": 2, "wrong field": 1}.get(finding.kind, 0)
    return " ".join((finding.kind, *finding.text.split()[:words])).rstrip(".,:")


# --- time ---------------------------------------------------------------------


@contextmanager
def _empty_cache() -> Iterator[None]:
    """An empty cache folder for the block."""
    before = os.environ.get("RFT_CACHE")
    with tempfile.TemporaryDirectory(prefix="rft-time-") as folder:
        os.environ["RFT_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["RFT_CACHE"]
            if before is not None:
                os.environ["RFT_CACHE"] = before


def _timings(task: "Task", part: "Slice", images: int) -> Iterator[tuple[str, int, float]]:
    """What was done, how many times, and the seconds it took."""
    from rftcore.training.rows import Rows

    if images:
        yield "images, first time", images, _seconds(lambda: _open(part))
        yield "images, again", images, _seconds(lambda: _open(part))
    rows = Rows(part, task.prompt)
    yield "rows for training", len(part), _seconds(lambda: [rows[at] for at in range(len(part))])
    last = len(part) - 1
    yield "the same row again", 1000, _seconds(lambda: [rows[last] for _ in range(1000)])


def _open(part: "Slice") -> None:
    """Make missing images and decode each image once."""
    part.prepare()
    images = {image.key: image for sample in part for image in sample.images}
    for image in images.values():
        image.open()


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
