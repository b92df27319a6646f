"""`rft score`: score completions in a file with a task's rewards, without a model."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rftcore import jsontext
from rftcore.cli.making import recipe_and_task
from rftcore.cli.output import echo, json_option
from rftcore.columns import printable, table
from rftcore.errors import DataError

if TYPE_CHECKING:
    from rftcore.rescore.stored import Stored
    from rftcore.scoring import Failure, Outcome, Score
    from rftcore.types import Task

FAILED = 1  # exit code if a reward could not be computed
WIDTH = 32  # characters of an answer in the table
LISTED = 3  # rows that are named of those with one note or one cause of failure


@click.command(short_help="Score completions in a file.")
@click.argument("task")
@click.argument("file")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option("--step", type=click.IntRange(1), help="Optimizer step that rewards receive.")
@click.option(
    "--parser",
    type=click.Choice(["strict", "forgiving"]),
    default="strict",
    show_default=True,
    help="How answers are read: as in training, or as in the zero-shot row of a run.",
)
@json_option("Print JSON instead of a table.")
@click.pass_context
def score(
    ctx: click.Context,
    task: str,
    file: str,
    settings: tuple[str, ...],
    step: int | None,
    parser: str,
    as_json: bool,
) -> None:
    """Score the completions in FILE with the parser and the rewards of a task.

    FILE has one JSON object a line, with "completion" and either "gold" or "split" and
    "index" of a sample of the task; "-" is the standard input. Exit code 0: every reward
    gave a value; 1: some failed; 2: there was nothing to score.

    \b
    Example:
      rft score counting completions.jsonl
      echo '{"completion": "<answer>5</answer>", "gold": "5"}' | rft score counting -
    """
    from rftcore.rescore.stored import groups, lengths, read_rows
    from rftcore.scoring import Scorer

    recipe, made = recipe_and_task(("TASK", {"task": task}), settings=settings)
    name = "standard input" if file == "-" else file
    rows = read_rows(_lines(file), name, made)
    tokens = lengths(rows, name)
    failures: list[Failure] = []
    forgiving = parser == "forgiving"
    budget = sys.maxsize
    with (
        Scorer.of(
            made, recipe, failures.append, error_budget=budget, forgiving=forgiving
        ) as scorer,
        scorer.collective(),
    ):
        texts, samples = [row.completion for row in rows], [row.sample for row in rows]
        scores = scorer.score(texts, samples, step=step, groups=groups(rows), tokens=tokens)
    if as_json:
        echo(jsontext.dumps(_report(made, rows, scores, failures, step), indent=2))
    else:
        echo("\n".join(_text(made, rows, scores, failures)))
    if any(part.failed for one in scores for part in one.parts.values()):
        ctx.exit(FAILED)


def _lines(file: str) -> list[str]:
    from rftcore.runs import runs_in

    try:
        with click.open_file(file, encoding="utf-8") as stream:
            return list(stream)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text: {error}") from error
    except IsADirectoryError as error:
        raise DataError(
            f"{file} is a folder: name a file of completions; `rft replay {file}` scores the "
            f"rollouts of a run again.{runs_in(file)}"
        ) from error
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error


def _report(
    task: "Task",
    rows: "Sequence[Stored]",
    scores: "Sequence[Score]",
    failures: "Sequence[Failure]",
    step: int | None,
) -> dict[str, Any]:
    scored = [
        {"row": row.number, **row.record(score, step).to_json()}
        for row, score in zip(rows, scores, strict=True)
    ]
    weights = {name: term.weight for name, term in task.rewards.items()}
    return {
        "task": task.name,
        "weights": weights,
        "rows": scored,
        "failures": [{**asdict(one), "row": rows[one.at].number} for one in failures],
    }


def _text(
    task: "Task",
    rows: "Sequence[Stored]",
    scores: "Sequence[Score]",
    failures: "Sequence[Failure]",
) -> Iterator[str]:
    head = ("row", "answer", *task.rewards, "total")
    yield table([head, *(_cells(*pair) for pair in zip(rows, scores, strict=True))])
    terms = (f"{term.weight:g} {name}" for name, term in task.rewards.items())
    yield f"\ntotal = {' + '.join(terms)}; - does not apply"
    notes: dict[str, list[int]] = {}
    for row, score in zip(rows, scores, strict=True):
        for note in _notes(score):
            notes.setdefault(note, []).append(row.number)
    for note, numbers in notes.items():
        yield f"{_rows(numbers)}{note}"
    yield from _failures(rows, scores, failures)


def _failures(
    rows: "Sequence[Stored]", scores: "Sequence[Score]", failures: "Sequence[Failure]"
) -> Iterator[str]:
    """The failures of rewards by cause, each with the note and the traceback of its first."""
    failed: dict[tuple[str, str, str], list[int]] = {}
    for row, score in zip(rows, scores, strict=True):
        for name, part in score.parts.items():
            if part.failed:
                failed.setdefault((name, part.kind, part.cause), []).append(row.number)
    first = {(one.reward, one.kind, one.cause): one for one in reversed(failures)}
    for cause, numbers in failed.items():
        one = first[cause]
        yield f"\n{_rows(numbers)}, {one.reward}: {one.kind}: {one.note}"
        yield textwrap.indent(one.traceback.rstrip(), "  ")


def _rows(numbers: Sequence[int]) -> str:
    """The rows of one cause: "row 2", "rows 2, 3, 4 and 97 more"."""
    listed = ", ".join(map(str, numbers[:LISTED]))
    more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
    return f"row{'s' * (len(numbers) > 1)} {listed}{more}"


def _cells(row: "Stored", score: "Score") -> tuple[str, ...]:
    answer = (
        "(unparsed)"
        if not score.parsed.ok
        else textwrap.shorten(printable(score.answer or ""), WIDTH)
    )
    total = "none" if score.total is None else f"{score.total:g}"
    return str(row.number), answer, *map(_cell, score.parts.values()), total


def _cell(part: "Outcome") -> str:
    if part.value is not None:
        return f"{part.value:g}"
    return "-" if part.kind == "n/a" else part.kind


def _notes(score: "Score") -> Iterator[str]:
    """Why there is no answer, and the notes of rewards."""
    if not score.parsed.ok:
        yield f": no answer: {score.parsed.error}"
    for name, part in score.parts.items():
        if part.note and not part.failed:
            yield f", {name}: {part.note}"
