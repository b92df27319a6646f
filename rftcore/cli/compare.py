"""`rft compare`: options to a comparison, and its table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from rftcore.comparison.api import Compared


@click.command(short_help="Compare paradigms, models and runs, with intervals and tests.")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--task", help="Train the paradigms on this task and compare them.")
@click.option(
    "--seeds", default="3", show_default=True, help="How many, from seed 0, or which: 3,4."
)
@click.option("--paradigms", default="", help="Comma-separated.  [default: all five]")
@click.option(
    "--row",
    "rows",
    multiple=True,
    metavar="'NAME: PARADIGM KEY=VALUE ...'",
    help="Add a row: a paradigm with settings of its own.",
)
@click.option("--model", help="An offered name, a folder, or ORG/NAME on the hub.  [default: nano]")
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="A YAML file of settings.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--data-efficiency",
    default="",
    metavar="5%,20%,100%",
    help="Train every row also on these shares of its training samples.",
)
@click.option("--split", "splits", multiple=True, help="A split to compare; repeat it for several.")
@click.option("--reference", help="The row that claims are about.  [default: reason-rft]")
@click.option("--out", type=click.Path(path_type=Path), help="The comparison's folder.")
@click.option("--smoke", is_flag=True, help="Two steps per phase with a random toy model.")
def compare(
    runs: tuple[str, ...],
    task: str | None,
    seeds: str,
    paradigms: str,
    rows: tuple[str, ...],
    model: str | None,
    file: Path | None,
    settings: tuple[str, ...],
    data_efficiency: str,
    splits: tuple[str, ...],
    reference: str | None,
    out: Path | None,
    smoke: bool,
) -> None:
    """Train paradigms on a task and compare them, or compare runs that exist.

    A comparison that was stopped is continued by the same command.

    \b
    Example:
      rft compare --task counting --seeds 3 --out comparisons/counting
      rft compare --task counting --paradigms cot-sft,reason-rft --seeds 2 --out few
      rft compare --task counting --data-efficiency 5%,20%,100% --out data
      rft compare runs/A runs/B runs/B@sft --split test
    """
    from rftcore.comparison import api
    from rftcore.comparison.folder import checked
    from rftcore.comparison.running import Runs
    from rftcore.comparison.wanted import row_specs, seed_list, shares
    from rftcore.plugins import Catalogue
    from rftcore.signals import Terminated, on_stop
    from rftcore.statistics import scipy_stats
    from rftcore.training.callbacks import quiet_libraries

    if runs:
        found = api.compare(
            *runs,
            task=task,
            paradigms=_names(paradigms) or None,
            rows=rows,
            model=model,
            recipe=file,
            set=settings,
            data_efficiency=data_efficiency,
            out=out,
            splits=splits or None,
            reference=reference,
            smoke=smoke,
        )
        _show(found)
        return
    scipy_stats()
    made = Runs(
        checked(out), Catalogue.load(), task, model, file, settings, smoke, report=click.echo
    )
    with on_stop(made.stop):
        try:
            found = api.of_task(
                made,
                seeds=seed_list(seeds),
                specs=row_specs(_names(paradigms), rows),
                less=shares(data_efficiency),
                splits=splits,
                reference=reference,
                within=quiet_libraries,
            )
        except KeyboardInterrupt:
            _leave("interrupted", 130)
        except Terminated:
            _leave(f"stopped by {made.stop.name}", made.stop.exit_code)
    _show(found)


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _show(found: "Compared") -> None:
    """Print the table; raise `RunError` if a run failed."""
    from rftcore.errors import RunError

    click.echo(found.table())
    if found.path:
        click.echo(f"comparison: {found.path}")
    if found.failed:
        lines = [f"  {name}: {message}" for name, message in found.failed.items()]
        raise RunError(
            "\n".join(
                [
                    f"{len(lines)} of the runs failed; the same command tries them again:",
                    *lines,
                ]
            )
        )


def _leave(what: str, code: int) -> NoReturn:
    click.echo(f"\n{what}; the same command continues the comparison", err=True)
    sys.exit(code)
