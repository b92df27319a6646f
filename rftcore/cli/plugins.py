"""`rft plugins`: who offers what, and what is broken."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rftcore.cli.check import check

if TYPE_CHECKING:
    from rftcore.plugins import Row


@click.group()
def plugins() -> None:
    """See which plugins are installed and what they offer."""


plugins.add_command(check)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List every component by name, kind, distribution, version and state.

    A broken plugin is listed with its reason and hurts nobody else.
    RFT_PLUGINS=a,b loads only those distributions or entry points.

    \b
    Example:
      rft plugins list --json
    """
    from rftcore.plugins import Catalogue  # not for --help

    rows = Catalogue.load().rows()
    click.echo(json.dumps([asdict(row) for row in rows], indent=2) if as_json else _table(rows))


def _table(rows: "Sequence[Row]") -> str:
    header = ("name", "kind", "distribution", "version", "state")
    cells = [header, *(tuple(asdict(row).values()) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in cells
    )
