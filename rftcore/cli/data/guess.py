"""`rft data guess`: how accurate the best guess is that does not look at the images."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rftcore import jsontext
from rftcore.cli.making import recipe_and_task
from rftcore.cli.output import echo, json_option
from rftcore.columns import printable, table

if TYPE_CHECKING:
    from rftcore.evaluation.scores import Share
    from rftcore.guessing.measure import Report

WIDTH = 32  # characters of what a rule has learned, in the table


@click.command(short_help="Measure guesses that do not look at the images.")
@click.option("--task", required=True, help="The task to guess at; see `rft tasks list`.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    help="A split to score the rules on; repeat it for several.  [default: val]",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@json_option("Print JSON instead of a table.")
def guess(task: str, splits: tuple[str, ...], settings: tuple[str, ...], as_json: bool) -> None:
    """Measure how often guesses are right that do not look at the images.

    Simple rules are fitted on the questions of splits sft and rl, the best one is chosen on
    those that were held out, and all are scored with the task's parser and accuracy term. No
    image is read.

    \b
    Example:
      rft data guess --task counting
      rft data guess --task structure --split val --split test --json
      rft data guess --task counting --set dataset.path=FOLDER
    """
    from rftcore.guessing.measure import measure

    recipe, made = recipe_and_task(("--task", {"task": task}), settings=settings)
    report = measure(made, recipe, splits)
    if as_json:
        echo(jsontext.dumps(asdict(report), indent=2))
    else:
        echo("\n".join(_as_text(report)))


def _as_text(report: "Report") -> Iterator[str]:
    sizes = " and ".join(f"{split} ({n:,})" for split, n in report.questions.items())
    held = f"{report.held_out:,} of them held out to choose the best"
    yield f"{report.task}: rules fitted on the questions of {sizes}, {held}"
    rows = [(_named(rule.name, rule.detail), rule.held_out, rule.splits) for rule in report.rules]
    splits = {s: max(each[s].n for *_, each in rows) for s in report.best.splits}
    best = [("best guess", report.best.splits)]
    best += [(f"best guess {kind}", shares) for kind, shares in report.best.kinds.items()]
    yield table(
        [("accuracy %", "held out", *(f"{split} (n={n})" for split, n in splits.items()))],
        [(name, _cell(own, report.held_out), *_cells(each, splits)) for name, own, each in rows],
        [(name, "", *_cells(each, splits)) for name, each in best],
    )
    named = {rule.name: _named(rule.name, rule.detail) for rule in report.rules}
    chosen = {f" {kind}": named[rule] for kind, rule in report.best.rules.items()}
    if len({*chosen.values()}) == 1:
        chosen = {"": next(iter(chosen.values()))}
    yield from (f"best guess{kind}: {rule}" for kind, rule in chosen.items())
    yield (
        "note: an accuracy that is not above the best guess is no evidence that a model uses "
        "the images"
    )


def _named(name: str, detail: str) -> str:
    """A rule and what it has learned."""
    text = printable(detail, lines=False)
    short = text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
    return f"{name} ({short})" if detail else name


def _cells(shares: "Mapping[str, Share]", sizes: Mapping[str, int]) -> list[str]:
    return [_cell(share, sizes[split]) for split, share in shares.items()]


def _cell(share: "Share", size: int) -> str:
    """A share with its interval, and its n if that is not the column's."""
    from rftcore.evaluation.details import NO_NUMBER, percent

    if share.accuracy is None or share.low is None or share.high is None:
        return NO_NUMBER
    text = percent(share.accuracy, share.low, share.high)
    return text if share.n == size else f"{text}, n={share.n}"
