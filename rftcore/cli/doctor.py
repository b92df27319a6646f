"""`rft doctor`: what this machine has for training, what is lacking, and what to do."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rftcore import jsontext
from rftcore.cli.output import echo, json_option
from rftcore.columns import table

if TYPE_CHECKING:
    from rftcore.pipeline.environment import Environment

GIB = 2**30


@click.command()
@click.option("--model", help="Also check what this model needs: a name, folder or ORG/NAME.")
@json_option("Print JSON instead of text.")
@click.pass_context
def doctor(ctx: click.Context, model: str | None, as_json: bool) -> None:
    """Show devices, packages, folders and plugins, and what they lack.

    Exits with 1 if something does not fit; what is missing but optional is no fault.
    `rft plugins doctor` has the details of each plugin.

    \b
    Example:
      rft doctor
      rft doctor --model Qwen/Qwen2-VL-2B-Instruct
    """
    from rftcore.pipeline.environment import examine

    found = examine(model)
    if as_json:
        echo(jsontext.dumps({**asdict(found), "faults": found.faults}, indent=2))
    else:
        echo(_text(found))
    ctx.exit(int(bool(found.faults)))


def _text(found: "Environment") -> str:
    memory = f", {found.memory / GIB:.0f} GiB of memory" if found.memory else ""
    lines = [
        f"Python {found.python} on {found.platform}",
        f"{found.cores} cores, {found.threads} threads per process{memory}",
        *found.devices,
        "",
    ]
    header = ("package", "version", "supported", "state", "needed for")
    rows = [
        (one.name, one.version or "-", one.supported or "any", one.state, one.needed_for)
        for one in found.packages
    ]
    places = [(one.what, f"{one.free / GIB:.1f} GiB free", one.path) for one in found.places]
    lines += [table([header, *rows]), "", table([("folder", "room", "path"), *places]), ""]
    lines += [f"plugins: {len(found.plugins)} distributions, {_count(found)}"]
    if found.model:
        lines.append(f"model: {found.model.source}, {found.model.about or 'not readable'}")
    lines += [f"fault: {fault}" for fault in found.faults] or ["Nothing is wrong."]
    return "\n".join(lines)


def _count(found: "Environment") -> str:
    faults = sum(len(one.findings) for one in found.plugins)
    return f"{faults} faults" if faults else "nothing is wrong with them"
