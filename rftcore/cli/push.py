"""`rft push`: options to an upload to the hub."""

import sys
from pathlib import Path

import click

from rftcore.errors import HubError


@click.command(short_help="Upload the policy of a run to the hub.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("repo", metavar="ORG/NAME")
@click.option("--phase", type=click.Choice(["sft", "grpo"]), help="[default: the last one]")
@click.option("--public", is_flag=True, help="Everyone can see it.  [default: private]")
@click.option("--anyway", is_flag=True, help="Also a run that has not ended, or a smoke run.")
@click.option("--yes", is_flag=True, help="Upload without a question.")
def push(run: Path, repo: str, phase: str | None, public: bool, anyway: bool, yes: bool) -> None:
    """Upload the policy of a run to the hub, with its model card.

    \b
    Example:
      rft push runs/RUN me/counting-nano
      rft push runs/RUN me/counting-nano --public --yes
    """
    from rftcore.pipeline.push import prepare_upload, upload

    what = prepare_upload(run, repo, phase=phase, public=public, anyway=anyway)
    click.echo("\n".join(what.lines()))
    if not yes and not _agreed():
        click.echo("nothing was uploaded")
        return
    click.echo(f"uploaded: {upload(what)}")


def _agreed() -> bool:
    """Whether the answer is yes. `click.confirm` would end Ctrl-C and a closed input alike.

    Raises: HubError where there is no answer, as in a job.
    """
    click.echo("Upload? [y/N]: ", nl=False)
    if not (answer := sys.stdin.readline()):
        click.echo()
        raise HubError("nothing was uploaded: no answer. `--yes` uploads without a question")
    return answer.strip().lower() in ("y", "yes")
