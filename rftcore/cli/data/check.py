"""`rft data check`: report every fault of a folder or a file of data."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rftcore import jsontext
from rftcore.cli.making import recipe_and_task
from rftcore.cli.output import echo, json_option
from rftcore.columns import table
from rftcore.errors import DataError, limited
from rftcore.splits import RL, SFT

if TYPE_CHECKING:
    from rftcore.config import Recipe
    from rftcore.datasets.audit.findings import Finding, Report

SHOWN = 10  # findings of one kind in one file
FAULTY = 1  # exit code of `rft data check` if there are findings


@click.command(short_help="Check every row and image; report every fault.")
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
@json_option("Print JSON instead of text.")
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
    from rftcore.datasets.sample_check import unusable
    from rftcore.datasets.slices import parser_of

    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    layers = ("--task", {"task": task}), ("PATH", {"dataset": {"path": str(path)}})
    recipe, made = recipe_and_task(*layers, settings=settings)
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
        echo(_as_json(report, reasoning))
    else:
        echo("\n".join(_as_text(report, reasoning)))
    if report.findings:
        ctx.exit(FAULTY)


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
        yield limited(f"not found: {', '.join(report.missing)}")
    if report.unused:
        yield limited(f"not used: {', '.join(report.unused)}")
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
