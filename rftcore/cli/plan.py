"""`rft plan`: what a run will need, before it starts."""

from pathlib import Path

import click

from rftcore import jsontext
from rftcore.cli.output import echo, json_option


@click.command(short_help="Tokens, steps and memory of a run, before it starts.")
@click.option("--task", help="What to train on; `rft tasks list` shows the names.")
@click.option("--model", help="An offered name, a folder, or ORG/NAME on the hub.  [default: nano]")
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="A YAML file of settings.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--samples",
    default=16,
    show_default=True,
    type=click.IntRange(0),
    help="Rows to read per split, evenly spread; 0 reads all.",
)
@click.option("--device", type=click.Choice(["cuda", "cpu"]), help="What to plan for.")
@click.option("--device-memory", help="Memory per device, such as 80GB: what fits?")
@click.option("--probe", is_flag=True, help="Load the weights and time a few steps here.")
@click.option(
    "--signal",
    type=click.IntRange(1),
    metavar="K",
    help="Load the weights and sample K completions: what would GRPO learn from?",
)
@json_option("Print JSON instead of text.")
def plan(
    task: str | None,
    model: str | None,
    file: Path | None,
    settings: tuple[str, ...],
    samples: int,
    device: str | None,
    device_memory: str | None,
    probe: bool,
    signal: int | None,
    as_json: bool,
) -> None:
    """Count the tokens, steps and memory that a run will need; no weights are loaded.

    Memory is that of the longest rows read, per device, for 1, 2, 4 and 8 processes.

    \b
    Example:
      rft plan --task counting
      rft plan --recipe examples/recipes/counting-qwen2-vl-2b.yaml --device-memory 80GB
      rft plan --task counting --probe --signal 64
    """
    import rftcore

    report = rftcore.plan(
        task,
        model=model,
        recipe=file,
        set=settings,
        samples=samples or None,
        device=device,
        device_memory=device_memory,
        probe=probe,
        signal=signal,
    )
    echo(jsontext.dumps(report.as_data(), indent=2) if as_json else report.as_text())
