"""The command of the campaigns: run parts, write the log, print the table."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tests.campaigns.completions import Completions
from tests.campaigns.data import Data
from tests.campaigns.disk import Disk
from tests.campaigns.frame import Case, Part, line, run, summary
from tests.campaigns.kills import Kills
from tests.campaigns.plugins import Plugins
from tests.campaigns.recipes import Recipes
from tests.campaigns.soak import Soak

PARTS: tuple[type[Part], ...] = (Recipes, Completions, Data, Plugins, Disk, Kills, Soak)
SHARES = {"disk": 2.0, "kills": 3.0}  # of the time, where a part needs more than another one
BROKEN = 1  # exit code if a promise was broken


@click.command()
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--minutes", type=float, default=60.0, show_default=True, help="Of all parts.")
@click.option("--only", type=click.Choice([part.name for part in PARTS]), help="One part.")
@click.option("--cases", type=click.IntRange(1), help="At most so many per part.")
@click.option("--case", "number", type=click.IntRange(0), help="One case again (with --only).")
@click.option("--log", type=click.Path(path_type=Path), help="[default: runs/campaign-SEED.jsonl]")
def main(
    seed: int,
    minutes: float,
    only: str | None,
    cases: int | None,
    number: int | None,
    log: Path | None,
) -> None:
    """Try to break what rft promises; exit code 1 if something broke."""
    if number is not None and only is None:
        raise click.UsageError("--case is a number of one part: name it with --only")
    file = (log or Path(f"runs/campaign-{seed}.jsonl")).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = [part for part in PARTS if only in (None, part.name)]
    done: list[Case] = []
    with file.open("w", encoding="utf-8") as stream:
        for case in _cases(parts, seed, minutes * 60, cases, number):
            stream.write(line(case))
            stream.flush()
            done.append(case)
            if case.verdict.state == "broken":
                click.echo(f"{case.verdict.tried}: {case.verdict.seen}\n  {case.again}", err=True)
    click.echo(f"seed {seed}, log {file}\n{summary(done)}")
    sys.exit(BROKEN if any(case.verdict.state == "broken" for case in done) else 0)


def _cases(
    parts: list[type[Part]], seed: int, seconds: float, most: int | None, number: int | None
) -> Iterator[Case]:
    whole = sum(SHARES.get(part.name, 1.0) for part in parts)
    for part in parts:
        click.echo(f"{part.name}: {part.promise}", err=True)
        numbers = itertools.count() if most is None else range(most)
        made, time = part(), seconds * SHARES.get(part.name, 1.0) / whole
        if isinstance(made, Soak):  # one case takes all the time
            made.seconds = time
        yield from run(made, seed, numbers if number is None else [number], time)


if __name__ == "__main__":
    main()
