"""`rft tasks`: what there is to train on, in words and in pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rftcore.errors import DataError, RftError

if TYPE_CHECKING:
    from rftcore.plugins import Catalogue


@click.group()
def tasks() -> None:
    """List tasks, show one, or draw some of its samples."""


@tasks.command("list")
def list_() -> None:
    """List the installed tasks.

    \b
    Example:
      rft tasks list
    """
    catalogue = _catalogue()
    reachable = {offer.qualified: name for name, offer in catalogue.names("task")}
    width = max(map(len, reachable.values()), default=0)
    for qualified, name in reachable.items():
        try:
            summary = catalogue.task(qualified).summary
        except RftError as error:
            summary = f"broken: {str(error).partition(chr(10))[0]}"
        click.echo(f"{name.ljust(width)}  {summary}")
    if not reachable:
        click.echo("No task is installed. Try `pip install rft-counting`.")


@tasks.command()
@click.argument("task")
def show(task: str) -> None:
    """Show a task: options, splits, prompt, parser, rewards, and where it comes from.

    The same as `rft plugins info TASK --kind task`.

    \b
    Example:
      rft tasks show counting
    """
    from rftcore.cli.description import text_of
    from rftcore.describe import describe

    catalogue = _catalogue()
    click.echo(text_of(describe(catalogue, catalogue.find("task", task), task)))


@tasks.command()
@click.argument("task")
@click.option("--split", default="sft", show_default=True, help="Which split to draw from.")
@click.option("--count", default=6, show_default=True, type=click.IntRange(1, 100))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The PNG to write.")
def preview(task: str, split: str, count: int, out: Path) -> None:
    """Draw samples with question, answer and reasoning, as one picture.

    \b
    Example:
      rft tasks preview counting --split ood-vehicles --out grid.png
    """
    from rftcore.cli.preview import grid
    from rftcore.data import take

    part = take(_catalogue().task(task), split, count)
    if out.suffix.lower() != ".png":
        raise DataError(f"--out {out}: the picture is a PNG, so end its name in .png")
    part.prepare()
    samples = list(part)
    try:
        grid(samples, title=f"{task}, split {split}").save(out)
    except OSError as error:
        raise DataError(f"--out {out}: {error.strerror or error}") from error
    click.echo(f"{out}: {len(samples)} samples of {split}")


def _catalogue() -> "Catalogue":
    from rftcore.plugins import Catalogue  # not for --help

    return Catalogue.load()
