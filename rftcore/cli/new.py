"""`rft new`: write a plugin from a template that works as it is."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rftcore.errors import PluginError

if TYPE_CHECKING:
    from rftcore.scaffold import Project

TEMPLATES = ("counting", "choice", "free-form")
OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write it.  [default: ./rft-NAME]"
)


@click.group()
def new() -> None:
    """Start a plugin from a working template."""


@new.command()
@click.argument("name")
@click.option("--template", type=click.Choice(TEMPLATES), default="counting", show_default=True)
@click.option("--images", type=click.IntRange(1, 2), default=1, show_default=True)
@click.option(
    "--single-file",
    is_flag=True,
    help="One file without packaging; only for the template counting with one image.",
)
@OUT
def task(name: str, template: str, images: int, single_file: bool, out: Path | None) -> None:
    """Start a task NAME, with images, questions, rewards and tests.

    Templates: counting (a number), choice (a letter, A to D), free-form (a
    list, with its own parser and reward); each with one image or two.

    \b
    Example:
      rft new task arrows --template counting --images 2
      rft new task arrows --single-file
    """
    from rftcore.scaffold import TASKS, Project

    project = Project(name, TASKS[template, images])
    if single_file:
        if (template, images) != ("counting", 1):
            given = f"--template {template} --images {images}"
            raise PluginError(
                f"--single-file with {given}: only the template counting with one image has one. "
                "Leave out --template and --images, or leave out --single-file for a package"
            )
        _write_file(project, out or Path(f"{project.module}.py"))
        return
    check, train = f"rft plugins check {name}", f"rft train --task {name}"
    preview = f"rft tasks preview {name} --out grid.png"
    _write("task", project, out, check, preview, f"{train} --smoke", train)


@new.command()
@click.argument("name")
@OUT
def parser(name: str, out: Path | None) -> None:
    """Start a parser NAME, which reads answers in completions.

    \b
    Example:
      rft new parser time-of-day
    """
    _write_part("parser", name, out)


@new.command()
@click.argument("name")
@OUT
def reward(name: str, out: Path | None) -> None:
    """Start a reward NAME, which scores completions.

    \b
    Example:
      rft new reward near-number
    """
    _write_part("reward", name, out)


@new.command()
@click.argument("name")
@OUT
def dataset(name: str, out: Path | None) -> None:
    """Start a dataset NAME, which any task can use.

    \b
    Example:
      rft new dataset triangles
    """
    _write_part("dataset", name, out)


def _write_part(kind: str, name: str, out: Path | None) -> None:
    from rftcore.scaffold import KINDS, Project

    check = "rft plugins check ./tests/example_task.py:task"
    _write(kind, Project(name, KINDS[kind]), out, check, f"rft plugins info {name}")


def _write(kind: str, project: "Project", out: Path | None, *then: str) -> None:
    """Write the package if its name is free; print the next commands, `then` last."""
    from rftcore.plugins import Catalogue
    from rftcore.scaffold import check_free, check_name, write_package

    check_name(project.name)
    check_free(kind, project.name, Catalogue.load())
    folder = out or Path(project.distribution)
    files = write_package(project, folder)
    _print_next(
        f"{folder}: {kind} {project.name!r}, {len(files)} files",
        f"cd {shlex.quote(str(folder))}",
        "python -m pip install -e '.[dev]'",
        "pytest",
        *then,
    )


def _write_file(project: "Project", file: Path) -> None:
    from rftcore.scaffold import check_name, write_file

    check_name(project.name)
    if file.suffix != ".py":
        raise PluginError(f"--out {file}: the file of a task must end in .py")
    write_file(project, file)
    task = shlex.quote(f"{file}:task" if file.is_absolute() else f"./{file}:task")
    preview = f"rft tasks preview {task} --out grid.png"
    _print_next(f"{file}: task {project.name!r}", preview, f"rft train --task {task} --smoke")


def _print_next(what: str, *commands: str) -> None:
    click.echo("\n".join([f"{what}. Next:", "", *(f"  {command}" for command in commands)]))
