"""`rft tasks`: list, describe and preview tasks."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rftcore.columns import table
from rftcore.errors import DataError, RecipeError, RftError
from rftcore.splits import SFT

if TYPE_CHECKING:
    from rftcore.plugins import Catalogue
    from rftcore.types import Task

logger = logging.getLogger(__name__)

OF_A_TASK = ("task_options", "dataset", "rewards")  # the settings of a task
set_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting of the task."
)


@click.group()
def tasks() -> None:
    """List, describe and preview tasks."""


@tasks.command("list")
def list_() -> None:
    """List the installed tasks, and plugins that are broken.

    \b
    Example:
      rft tasks list
    """
    catalogue = _catalogue()
    reachable = {offer.qualified: name for name, offer in catalogue.names("task")}
    broken = [one for one in catalogue.failures if one.kind in (None, "task")]
    rows: list[tuple[str, str]] = []
    for qualified, name in reachable.items():
        try:
            summary = catalogue.task(qualified).summary
        except RftError as error:
            summary = f"broken: {error.headline}"
        rows.append((name, summary))
    for failure in broken:
        rows.append((failure.plugin.name, f"broken, its tasks are missing: {failure}"))
    if rows:
        click.echo(table(rows))
    else:
        click.echo(
            "No task is installed. Try `pip install ./plugins/rft-counting` in a clone of rft."
        )


@tasks.command()
@click.argument("task")
@set_option
def show(task: str, settings: tuple[str, ...]) -> None:
    """Show a task's options, splits, prompt, parser and rewards.

    Without --set, the same as `rft plugins info TASK --kind task`.

    \b
    Example:
      rft tasks show counting
      rft tasks show counting --set dataset.path=FOLDER
    """
    from rftcore.cli.description import text_of
    from rftcore.plugins.describe import describe

    catalogue = _catalogue()
    made = _made(catalogue, task, settings) if settings else None
    click.echo(text_of(describe(catalogue, catalogue.find("task", task), task, made)))


@tasks.command()
@click.argument("task")
@click.option("--split", help=f"Which split to draw from; {SFT} by default, with --id all.")
@click.option("--count", default=6, show_default=True, type=click.IntRange(1, 100))
@click.option("--id", "ids", multiple=True, metavar="ID", help="Draw this sample; may be repeated.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The PNG to write.")
@set_option
def preview(
    task: str,
    split: str | None,
    count: int,
    ids: tuple[str, ...],
    out: Path,
    settings: tuple[str, ...],
) -> None:
    """Draw samples, with question and answer, as one image.

    \b
    Example:
      rft tasks preview counting --split ood-vehicles --out grid.png
      rft tasks preview counting --id counting-val-17 --out sample.png
      rft tasks preview counting --set dataset.path=FOLDER --out grid.png
    """
    from rftcore.cli.preview import grid
    from rftcore.datasets.finding import find
    from rftcore.datasets.overlays import Undrawn, overlays
    from rftcore.datasets.slices import parser_of, take

    made = _made(_catalogue(), task, settings)
    if out.suffix.lower() != ".png":
        raise DataError(f"--out {out}: the image is a PNG, so its name must end in .png")
    if ids:
        found = find(made, ids, split)
        samples = [sample for _, sample in found]
        name = ", ".join(dict.fromkeys(split for split, _ in found))
    else:
        name = split or SFT
        part = take(made, name, count)
        part.prepare()
        samples = list(part)
    drawn, undrawn = partial(overlays, parser=parser_of(made)), Undrawn()
    for sample in samples:
        undrawn.see(sample)
    for line in undrawn.lines():
        logger.warning(line)
    try:
        grid(samples, title=f"{task}, split {name}", boxes=drawn).save(out)
    except OSError as error:
        raise DataError(f"--out {out}: {error.strerror or error}") from error
    click.echo(f"{out}: {len(samples)} samples of {name}")


def _made(catalogue: "Catalogue", task: str, settings: Sequence[str]) -> "Task":
    """The task as `rft train` makes it. Raises `RecipeError` for settings of a run."""
    from rftcore.config import load_recipe, parse_override

    for origin, layer in map(parse_override, settings):
        if not layer.keys() <= {*OF_A_TASK}:
            raise RecipeError(
                f"{origin}: not a setting of the task; here you can set "
                f"{', '.join(f'{section}.NAME' for section in OF_A_TASK)}"
            )
    return catalogue.task_of(load_recipe(("TASK", {"task": task}), overrides=settings))


def _catalogue() -> "Catalogue":
    from rftcore.plugins import Catalogue  # not for --help

    return Catalogue.load()
