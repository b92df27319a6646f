"""`rft replay`: score a run's rollouts again with the installed plugins."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rftcore import jsontext
from rftcore.cli.output import echo, json_option
from rftcore.columns import table

if TYPE_CHECKING:
    from rftcore.rescore.replay import Change, Replay

DRIFTED = 1  # exit code if a value differs
EXAMPLES = 3  # changes shown per term, without --json


@click.command(short_help="Score the rollouts of a run again.")
@click.argument("run", type=click.Path(path_type=Path))
@json_option("Print JSON, with every change.")
@click.pass_context
def replay(ctx: click.Context, run: Path, as_json: bool) -> None:
    """Score the stored rollouts of RUN again and report what differs.

    Exit code 0: nothing has changed; 1: something has; 2: RUN cannot be scored.

    \b
    Example:
      rft replay runs/counting-nano-s0-20260131-235959
    """
    from rftcore.plugins import Catalogue
    from rftcore.rescore.replay import replay as score_again
    from rftcore.runs import RunFolder

    found = score_again(RunFolder.open(run), Catalogue.load())
    if as_json:
        echo(jsontext.dumps({**asdict(found), "changed": found.changed}, indent=2))
    else:
        echo("\n".join(_text(found)))
    if found.changes:
        ctx.exit(DRIFTED)


def _text(found: "Replay") -> Iterator[str]:
    from rftcore.evaluation.notes import failure_note

    yield f"{found.rollouts} rollouts, scored again"
    rows = [(name, str(n), str(found.changed[name])) for name, n in found.compared.items()]
    yield table([("value", "compared", "changed"), *rows])
    for name in found.changed:
        changes = [change for change in found.changes if change.term == name]
        yield from map(_line, changes[:EXAMPLES])
    for name, (stored, now) in found.versions.items():
        yield f"{name}: {stored or 'absent'} in the run, {now or 'absent'} now"
    if not found.versions:
        yield "plugin versions: unchanged"
    if found.failures:
        kept_in = "--json prints all with their tracebacks"
        yield failure_note(found.failures, kept_in, all_kept=True)


def _line(change: "Change") -> str:
    from rftcore.runs import ROLLOUTS

    where = f"{ROLLOUTS} line {change.line} (step {change.step}, sample {change.sample})"
    return f"{where}: {change.term} was {change.before!r}, is {change.now!r}"
