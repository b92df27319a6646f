"""`rft tasks`: what there is to train on, in words and in pictures."""

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rftcore.errors import DataError, RftError

if TYPE_CHECKING:
    from rftcore.plugins import Catalogue, Offer
    from rftcore.types import Task


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

    \b
    Example:
      rft tasks show counting
    """
    catalogue = _catalogue()
    offer = catalogue.find("task", task)
    click.echo("\n".join(_description(offer, catalogue.task(task))))


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


def _description(offer: "Offer", task: "Task") -> Iterator[str]:
    from rftcore.data import dataset_of, take

    dataset = dataset_of(task)
    yield f"{task.name}: {task.summary}" if task.summary else task.name
    yield f"from {offer.plugin}, licence {_licence(offer.plugin.distribution)}"
    yield "\noptions (--set task_options.NAME=VALUE):" if offer.options else "\nno options"
    yield from (f"  {_option(parameter)}" for parameter in offer.options.values())
    yield "\nsplits:"
    yield from (f"  {split}: {dataset.size(split)} samples" for split in dataset.splits)
    yield "\nrewards:"
    for name, term in task.rewards.items():
        yield f"  {name}: {_named(term.reward)}, weight {term.weight:g}"
    yield f"\nparser: {task.parser}"
    if task.defaults:
        yield "\nrecipe defaults:"
    for section, settings in task.defaults.items():
        yield from (f"  {section}.{name} = {value!r}" for name, value in settings.items())
    sample = take(task, dataset.splits[0])[0]
    yield f"\nprompt of {sample.id} (with {len(sample.images)} image(s)):"
    yield textwrap.indent(task.prompt(sample).text, "  ")


def _option(parameter: inspect.Parameter) -> str:
    return str(parameter).replace("NoneType", "None")


def _named(reward: object) -> str:
    return getattr(reward, "__name__", None) or str(reward)


def _licence(distribution: str) -> str:
    from importlib import metadata

    try:
        facts = metadata.metadata(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
    fields = ("License-Expression", "License")
    return next((facts[field] for field in fields if field in facts), "unknown")
