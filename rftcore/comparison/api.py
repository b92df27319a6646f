"""Compare runs from Python, as `rft compare` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rftcore.arguments import checked, names
from rftcore.comparison import folder as folders
from rftcore.comparison.results import Comparison, compared, reference_row
from rftcore.comparison.rows import Measured, Row, at_stage, read_rows
from rftcore.comparison.running import Runs
from rftcore.comparison.tables import as_text
from rftcore.comparison.wanted import (
    RowSpec,
    Wanted,
    row_specs,
    shares,
    wanted,
    with_less_data,
)
from rftcore.distributed import world_size
from rftcore.errors import RecipeError, RunError
from rftcore.pipeline.api import AnyTask, named, shown
from rftcore.pipeline.plan import Settings
from rftcore.pipeline.results import Run
from rftcore.plugins import Catalogue
from rftcore.statistics import scipy_stats

__all__ = ["Compared", "compare"]


@dataclass(frozen=True)
class Compared:
    """A comparison: its rows, claims and notes as plain data, and its folder, if it has one.

    failed: by run, why it has not ended; then its row has fewer seeds, or is missing.
    """

    found: Comparison
    path: Path | None = None
    failed: Mapping[str, str] | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One mapping per row: its name, its runs, and its accuracy by split with interval."""
        rows: list[dict[str, Any]] = self.found.facts()["rows"]
        return rows

    @property
    def claims(self) -> list[dict[str, Any]]:
        """One mapping per claim: two rows, a split, the difference, its interval and test."""
        claims: list[dict[str, Any]] = self.found.facts()["claims"]
        return claims

    @property
    def notes(self) -> list[str]:
        """What limits the numbers."""
        return list(self.found.notes)

    def table(self) -> str:
        """The table, the claims and the notes as text."""
        return as_text(self.found)


@checked
def compare(
    *runs: str | Path | Run,
    task: AnyTask | None = None,
    seeds: int | Sequence[int] = 3,
    paradigms: Sequence[str] | None = None,
    rows: Sequence[str] = (),
    model: str | Path | None = None,
    recipe: str | Path | Mapping[str, Any] | None = None,
    set: Settings = (),  # noqa: A002  as the option --set
    data_efficiency: str = "",
    out: str | Path | None = None,
    splits: Sequence[str] | None = None,
    reference: str | None = None,
    smoke: bool = False,
    progress: bool = True,
) -> Compared:
    """Compare runs that exist, or train the paradigms on a task and compare those.

    runs: folders, "RUN@STAGE" for an earlier stage, or `Run`s; then only `out`, `splits` and
    `reference` go with them. Otherwise `out` is needed: a comparison that it holds is continued.
    seeds: how many, from 0, or which.

    Raises: `RftError` for whatever a user can fix.
    """
    scipy_stats()  # a missing package is reported before anything is trained
    chosen = names("splits", splits)
    if runs:
        if task or model or recipe or set or paradigms or rows or data_efficiency or smoke:
            raise RecipeError(
                "runs that exist are compared as they are: leave out --task, --model, --recipe, "
                "--set, --paradigms, --row, --data-efficiency and --smoke"
            )
        return of_runs(runs, out=out, splits=chosen, reference=reference)
    catalogue = Catalogue.load()
    return of_task(
        Runs(
            folders.checked(out),
            catalogue,
            named(catalogue, task),
            None if model is None else str(model),
            recipe,
            set,
            smoke,
            progress,
        ),
        seeds=seeds,
        specs=row_specs(names("paradigms", paradigms), [rows] if isinstance(rows, str) else rows),
        less=shares(data_efficiency),
        splits=chosen,
        reference=reference,
        within=lambda: shown(bars=progress),
    )


def of_runs(
    runs: Sequence[str | Path | Run],
    *,
    out: str | Path | None = None,
    splits: Sequence[str] = (),
    reference: str | None = None,
) -> Compared:
    """Compare runs that exist; write the tables and plots if there is a folder for them."""
    rows = read_rows(runs)
    if len(rows) < 2:
        raise RunError(
            "there is one row to compare: runs that differ only in the seed are one. Name runs "
            "with other settings, or another stage as RUN@sft or RUN@start"
        )
    found = compared(rows, splits=splits, reference=reference)
    if out is None:
        return Compared(found)
    folder = folders.checked(out)
    with folders.locked(folder) as files:
        return Compared(folders.write(files, found), folder)


def of_task(
    made: Runs,
    *,
    seeds: int | Sequence[int],
    specs: Sequence[RowSpec],
    less: Sequence[float] = (),
    splits: Sequence[str] = (),
    reference: str | None = None,
    within: Callable[[], Any],
) -> Compared:
    """Make the runs that are missing and compare all.

    within: a context that the models are loaded and trained in.
    Raises: RunError if no two rows have a run that ended.
    """
    if world_size() > 1:
        raise RecipeError(
            "rft compare trains in one process: train the runs with `rft train --processes` or "
            "torchrun, then compare their folders"
        )
    if made.task is None and made.recipe is None:
        raise RecipeError(
            "name what to compare: --task TASK, a --recipe that has a task, or folders of runs"
        )
    specs = [*specs, *with_less_data(specs, less, made.sizes(specs) if less else {})]
    every = wanted(specs, seeds)
    made.check(every)
    if reference is not None:
        reference_row([Row(spec.name, ()) for spec in specs], reference)
    with folders.locked(made.folder) as files:
        with within():
            failed = made.make(every)
        rows = _rows(made, specs, every)
        if len(rows) < 2:
            raise RunError(
                f"{len(rows)} of {len(specs)} rows of {made.folder} have a run that ended, and a "
                f"comparison needs two. {_failures(failed)}"
            )
        about = reference if any(row.name == reference for row in rows) else None
        found = folders.write(
            files, compared(rows, splits=splits, reference=about), _missing(every, rows), failed
        )
    return Compared(found, made.folder, failed)


def _rows(made: Runs, specs: Sequence[RowSpec], every: Sequence[Wanted]) -> list[Row]:
    """A row for each spec with a finished run."""
    found: dict[str, list[Measured]] = {spec.name: [] for spec in specs}
    for each in every:
        if run := made.run(each):
            found[each.row.name].append(at_stage(run))
    return [
        Row(spec.name, tuple(found[spec.name]), spec.base, spec.share)
        for spec in specs
        if found[spec.name]
    ]


def _missing(every: Sequence[Wanted], rows: Sequence[Row]) -> list[str]:
    """A note for the runs that are not in the table."""
    there = {(row.name, seed) for row in rows for seed in row.seeds}
    names = [each.folder for each in every if (each.row.name, each.seed) not in there]
    return [f"not in the table, because they have not ended: {', '.join(names)}"] if names else []


def _failures(failed: Mapping[str, str]) -> str:
    return " ".join(f"{name}: {message}" for name, message in failed.items())
