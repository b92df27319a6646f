"""The folder of a comparison: its tables, plots, and every number in `comparison.json`.

comparison.json                 rows, claims, notes, and where they come from
table.txt .md .tex .csv         the table; as CSV with every number
claims.csv  costs.csv           one line per claim; what each row's training took
answers.csv                     which questions each run answered right
plots/NAME.svg                  accuracy, learning, rewards, lengths, data
runs/ROW-sSEED/                 the runs, each a run folder, if the comparison made them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rftcore.comparison import plots
from rftcore.comparison.results import Comparison
from rftcore.comparison.tables import FORMATS
from rftcore.errors import RecipeError, RunError, path_faults
from rftcore.plugins import Catalogue
from rftcore.runs import is_run, provenance
from rftcore.runs.claim import Claimed

COMPARISON = "comparison.json"
SCHEMA = 1


def checked(out: str | Path | None) -> Path:
    """The folder of a comparison, new or to be continued.

    Raises: RecipeError if none is named; RunError if it holds something else.
    """
    if out is None:
        raise RecipeError("--out FOLDER is needed: runs, table and plots are kept there")
    folder = Path(out)
    with path_faults(f"--out {folder}", RunError):
        a_file = folder.exists() and not folder.is_dir()
    if a_file:
        raise RunError(f"--out {folder}: this is a file; name a folder")
    if is_run(folder):
        raise RunError(f"--out {folder}: this is a run; name another folder")
    entries = list(folder.iterdir()) if folder.is_dir() else []
    others = any(not entry.name.startswith(".") for entry in entries)
    if others and not (folder / COMPARISON).exists():
        raise RunError(f"--out {folder}: it holds other files; name a new folder")
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[Claimed]:
    """The folder, made if it is not there, and locked. Raises: RunError if it is in use."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"--out {folder} cannot be made: {error.strerror}") from error
    with Claimed(folder) as files:
        if not (folder / COMPARISON).exists():
            files.write_json(COMPARISON, {"schema": SCHEMA, "ended": False})
        yield files


def write(
    files: Claimed,
    found: Comparison,
    more: Sequence[str] = (),
    failed: Mapping[str, str] | None = None,
) -> Comparison:
    """Write tables, plots and numbers. more: notes to add. Returns: the comparison with them."""
    drawn, unable = _plots(found)
    found = replace(found, notes=[*more, *found.notes, *unable])
    for name, form in FORMATS.items():
        files.write_text(name, form(found))
    for name, svg in drawn.items():
        files.write_text(f"plots/{name}", svg)
    facts = _relative(found.facts(), files.path)
    files.write_json(
        COMPARISON,
        {
            "schema": SCHEMA,
            "ended": not failed,
            **facts,
            "failed": dict(failed or {}),
            "provenance": provenance(Catalogue.load().distributions()),
        },
    )
    return found


def _plots(found: Comparison) -> tuple[Mapping[str, str], list[str]]:
    try:
        return plots.plots(found), []
    except ImportError:
        return {}, [plots.MISSING]


def _relative(facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The facts with runs in the folder relative to it, so that it can be moved."""
    for row in facts["rows"]:
        for run in row["runs"]:
            path = Path(run["run"])
            if path.is_relative_to(folder):
                run["run"] = str(path.relative_to(folder))
    return facts
