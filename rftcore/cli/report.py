"""`rft report`: one HTML file that shows a run, or several."""

from pathlib import Path

import click


@click.command(short_help="Write a run, or several, as one HTML page.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file.  [default: RUN/report.html]"
)
@click.option(
    "--max-mb",
    type=float,
    default=25.0,
    show_default=True,
    help="Most megabytes of answers and images in the page.",
)
def report(runs: tuple[Path, ...], out: Path | None, max_mb: float) -> None:
    """Write RUN as one HTML file that any browser opens from disk, without a network.

    It has settings, table, curves, findings, and every answer with its images. A folder that has
    runs in it stands for all of them.

    \b
    Example:
      rft report runs/counting-nano-s0-20260131-235959
      rft report runs/first runs/second --out both.html
    """
    from rftcore.plugins import Catalogue
    from rftcore.reports import find_runs, write_report

    written = write_report(find_runs(runs), Catalogue.load(), out=out, max_mb=max_mb)
    for note in written.notes:
        click.echo(f"note: {note}")
    click.echo(f"report: {written.path}")
