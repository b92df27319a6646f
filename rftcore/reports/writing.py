"""Gather what the page of one or several runs shows, and write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rftcore.config import load_recipe, read_recipe_file
from rftcore.errors import RunError
from rftcore.plugins import Catalogue
from rftcore.reports.facts import run_facts
from rftcore.reports.html import block, page
from rftcore.reports.images import Album
from rftcore.reports.looking import Found, find_images
from rftcore.reports.rows import Kept, Row, answer_rows, numbered, rollout_rows, within
from rftcore.runs import RunFolder, is_run, now
from rftcore.runs.files import Files

MAX_MB = 25.0  # of the page's answers and images, together
SHOWN = 5  # names of a folder that has no run
TEXT_SHARE = 0.6  # of it that answers and rollouts may use


@dataclass(frozen=True)
class Written:
    """A report and what it does not contain. notes: sentences for the user."""

    path: Path
    notes: Sequence[str] = ()


def find_runs(paths: Iterable[str | Path]) -> list[RunFolder]:
    """The runs in folders: each is a run, or has runs in it or one level below.

    Raises: RunError for a folder with neither.
    """
    found: dict[Path, RunFolder] = {}
    for path in map(Path, paths):
        below = [path] if is_run(path) else list(_runs_below(path))
        if not below:
            raise RunError(_no_runs(path))
        for folder in below:
            found.setdefault(folder.resolve(), RunFolder.open(folder))
    return list(found.values())


def _no_runs(path: Path) -> str:
    """Why there is nothing to report on, what is there instead, and what to give."""
    give = "give the folder of a run, or one that has runs in it or one level below"
    if inside := next((above for above in path.absolute().parents if is_run(above)), None):
        return f"{path} is inside the run {inside}: give that folder"
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        return f"{path} {found}: {give}"
    names = sorted(each.name for each in path.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    holds = f"it has {', '.join(names[:SHOWN])}{more}" if names else "it is empty"
    return f"there is no run in {path} ({holds}): {give}"


def _runs_below(path: Path) -> Iterator[Path]:
    for pattern in ("*", "*/*"):
        yield from (folder for folder in sorted(path.glob(pattern)) if is_run(folder))


def write_report(
    runs: Sequence[RunFolder],
    catalogue: Catalogue,
    *,
    out: str | Path | None = None,
    max_mb: float = MAX_MB,
    progress: bool = True,
) -> Written:
    """Write the page. out: by default `report.html` in the folder of the run.

    Raises: RunError if there are several runs and no `out`, if `max_mb` is not positive, if a run
    is damaged, or if the file cannot be written.
    """
    if out is None and len(runs) != 1:
        raise RunError(f"a report on {len(runs)} runs is in no run's folder: choose a file (--out)")
    if not max_mb > 0:
        raise RunError(f"a report of at most {max_mb} MB is empty: use more than 0 (--max-mb)")
    path = runs[0].report_file if out is None else Path(out)
    text, notes = _content(runs, catalogue, int(max_mb * 1e6), progress=progress)
    Files(path.parent).write_text(path.name, text)
    return Written(path, notes)


def _content(
    runs: Sequence[RunFolder], catalogue: Catalogue, room: int, *, progress: bool
) -> tuple[str, list[str]]:
    answers = [list(answer_rows(run, at)) for at, run in enumerate(runs)]
    rollouts = [row for at, run in enumerate(runs) for row in rollout_rows(run, at, _grpo(run))]
    shown = [run_facts(run, rows) for run, rows in zip(runs, answers, strict=True)]
    kept = within([row for rows in answers for row in rows], rollouts, int(room * TEXT_SHARE))
    rows, samples = numbered(kept.rows)
    used: dict[str, Any] = {
        "samples": [_sample(row) for row in samples],
        "rows": [_row(*each) for each in rows],
    }
    album = Album(max(0, room - len(block(used).encode())))
    found = find_images(runs, rows, catalogue, album, progress=progress)
    notes = list(_notes(kept, found))
    data = {
        "made": now(),
        "version": metadata.version("rftcore"),
        "runs": [{**facts, "sight": at} for facts, at in zip(shown, found.sights, strict=True)],
        **used,
        "pictures": [[*key, numbers] for key, numbers in found.images.items()],
        "captions": album.captions,
        "sizes": album.sizes,
        "notes": notes,
    }
    title = runs[0].path.name if len(runs) == 1 else f"{len(runs)} runs"
    return page(f"{title}: rft report", data, album.encoded), notes


def _grpo(run: RunFolder) -> dict[str, Any]:
    return load_recipe((str(run.recipe_file), read_recipe_file(run.recipe_file))).grpo.model_dump()


def _sample(row: Row) -> dict[str, Any]:
    answer = row.answer
    return {
        "id": answer.id,
        "split": answer.split,
        "index": answer.index,
        "question": answer.question,
        "gold": answer.gold,
        "meta": answer.meta,
    }


def _row(number: int, row: Row) -> dict[str, Any]:
    """A row without the fields that are empty."""
    answer = row.answer
    fields = {
        "run": row.run,
        "source": row.source,
        "sample": number,
        "group": row.group,
        "step": answer.step,
        "advantage": row.advantage,
        "completion": answer.completion,
        "tokens": answer.tokens,
        "clipped": answer.clipped,
        "answer": answer.answer,
        "error": answer.parse_error,
        "correct": answer.correct,
        "total": answer.total,
        "rewards": answer.rewards,
        "failures": answer.failures,
        "notes": answer.notes,
    }
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def _notes(kept: Kept, found: Found) -> Iterator[str]:
    """What the page leaves out, and why."""
    more = "--max-mb raises the limit"
    if kept.answers_left_out:
        yield f"{kept.answers_left_out} answers of evaluations are left out for size; {more}"
    if kept.rollouts_left_out:
        yield f"{kept.rollouts_left_out} rollouts are left out for size; {more}"
    if found.left_out:
        yield f"the images of {found.left_out} samples are left out for size; {more}"
    for reason, count in found.missing.most_common(3):
        yield f"the images of {count} samples are not shown: {reason}"
    if others := sum(found.missing.values()) - sum(n for _, n in found.missing.most_common(3)):
        yield f"the images of {others} more samples are not shown, for other reasons"
