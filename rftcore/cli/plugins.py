"""`rft plugins`: list, describe and examine plugins."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rftcore import jsontext
from rftcore.cli.check import check
from rftcore.cli.output import echo, json_option
from rftcore.columns import table
from rftcore.plugins.offers import KINDS

if TYPE_CHECKING:
    from rftcore.plugins import Row
    from rftcore.plugins.doctor.report import Checkup


@click.group()
def plugins() -> None:
    """List, describe and check installed plugins."""


plugins.add_command(check)


@plugins.command("list")
@json_option("Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List every component of every plugin.

    A broken plugin is listed with the reason; the others still work.
    RFT_PLUGINS=a,b loads only those distributions or entry points.

    \b
    Example:
      rft plugins list --json
    """
    from rftcore.plugins import Catalogue  # not for --help

    rows = Catalogue.load().rows()
    echo(jsontext.dumps([asdict(row) for row in rows], indent=2) if as_json else _table(rows))


@plugins.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(KINDS)), help="Component kind, if the name is ambiguous."
)
@json_option("Print JSON instead of text.")
def info(name: str, kind: str | None, as_json: bool) -> None:
    """Show a component's options, parts and source.

    NAME is a task, dataset, parser, reward, model or suite from `rft plugins
    list`, or a task's ./file.py:factory.

    \b
    Example:
      rft plugins info counting
      rft plugins info integer --kind parser --json
    """
    from rftcore.cli.description import text_of
    from rftcore.plugins import Catalogue
    from rftcore.plugins.describe import describe

    catalogue = Catalogue.load()
    offer = catalogue.find(kind, name) if kind else catalogue.find_any(name)
    about = describe(catalogue, offer, name)
    echo(jsontext.dumps(asdict(about), indent=2) if as_json else text_of(about))


@plugins.command()
@json_option("Print JSON instead of text.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Find faults of the installed plugins, and what to do about each.

    Checks metadata and versions, names that clash, misspelled hooks and missing
    sources; imports each plugin in its own process and makes every component once.
    Exits with 1 if something is wrong.

    \b
    Example:
      rft plugins doctor
    """
    from rftcore.plugins.doctor.report import examine

    checkups = examine()
    if as_json:
        echo(jsontext.dumps([asdict(one) for one in checkups], indent=2))
    else:
        echo(_report(checkups))
    ctx.exit(int(any(one.findings for one in checkups)))


def _report(checkups: "Sequence[Checkup]") -> str:
    """A table of all distributions, then the findings."""
    header = ("distribution", "version", "rftcore", "import", "heavy", "found")
    lines = [table([header, *map(_summary, checkups)])]
    for finding in (finding for one in checkups for finding in one.findings):
        lines.append(f"\n{finding.distribution}: {finding.text}\n  next: {finding.next}")
    if not any(one.findings for one in checkups):
        lines.append("\nNothing is wrong.")
    if named := os.environ.get("RFT_PLUGINS"):
        lines.append(f"\nRFT_PLUGINS={named}: other commands load only these.")
    return "\n".join(lines)


def _summary(one: "Checkup") -> tuple[str, ...]:
    found = str(len(one.findings) or "nothing")
    cost = f"{1000 * one.import_s:.0f} ms"
    heavy = ", ".join(one.heavy) or "-"
    return one.distribution, one.version, one.requires_core or "-", cost, heavy, found


def _table(rows: "Sequence[Row]") -> str:
    header = ("name", "kind", "distribution", "version", "state")
    cells = [(r.name, r.kind, r.distribution, r.version, _state(r)) for r in rows]
    return table([header, *cells])


def _state(row: "Row") -> str:
    """A row's state in words."""
    words = {"qualified": f"ok, only as {row.qualified}", "broken": f"broken: {row.reason}"}
    return words.get(row.state, row.state)
