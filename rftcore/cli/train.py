"""`rft train`: options to a run, and the run's table."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from rftcore.evaluation.tables import Summary
    from rftcore.pipeline.job import Job
    from rftcore.runs import RunFolder


@click.command(short_help="Train a policy: SFT, then GRPO, evaluated in between.")
@click.option("--task", help="What to train on; `rft tasks list` shows the names.")
@click.option("--model", help="An offered name, a folder, or ORG/NAME on the hub.  [default: nano]")
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="A YAML file of settings.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/…]")
@click.option("--seed", type=int, help="Seed of data order, weights and sampling.  [default: 0]")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with this run's folder.")
@click.option(
    "--fork",
    type=click.Path(path_type=Path),
    help="Start GRPO again from this run's SFT policy, with other settings.",
)
@click.option("--smoke", is_flag=True, help="Prove the task end to end with a random toy model.")
def train(
    task: str | None,
    model: str | None,
    file: Path | None,
    settings: tuple[str, ...],
    out: Path | None,
    seed: int | None,
    resume: Path | None,
    fork: Path | None,
    smoke: bool,
) -> None:
    """Train a policy on a task: SFT, then GRPO, measured before, between and after.

    \b
    Example:
      rft train --task counting --set grpo.group_size=8 --seed 1
      rft train --task counting --smoke
      rft train --resume runs/counting-nano-s0-20260131-235959
      rft train --fork runs/counting-nano-s0-20260131-235959 --set grpo.beta=0.04
    """
    from rftcore.distributed import is_main
    from rftcore.pipeline.start import prepare
    from rftcore.plugins import Catalogue

    job = prepare(
        Catalogue.load(),
        task=task,
        model=model,
        recipe=file,
        settings=settings,
        out=out,
        seed=seed,
        smoke=smoke,
        resume=resume,
        fork=fork,
    )
    if is_main():
        if job.fork:
            click.echo(f"taken over from {fork}: {job.fork}")
        click.echo(f"run: {job.run.path}")
    summary = _work(job)
    if is_main():
        click.echo(summary.table())


def _work(job: "Job") -> "Summary":
    """Work on the run until it ends, is stopped or fails; print how to continue."""
    from rftcore.pipeline.start import work
    from rftcore.signals import EXIT_CODE, Terminated, on_sigterm
    from rftcore.training.callbacks import quiet_libraries

    with on_sigterm(job.stop), quiet_libraries():
        try:
            return work(job)
        except Exception as error:
            if hint := _after_sft(job):
                error.add_note(hint)
            raise
        except KeyboardInterrupt:
            _leave(job.run, "interrupted", 130)
        except Terminated as at:
            _leave(job.run, f"stopped by SIGTERM{f' after {at}' if str(at) else ''}", EXIT_CODE)


def _after_sft(job: "Job") -> str:
    """How to continue from a finished SFT if GRPO has failed, or ""."""
    from rftcore.distributed import launcher

    run = job.run
    if not run.path.exists() or not run.done("sft") or not job.to_come("grpo"):
        return ""
    folder = shlex.quote(str(run.path))
    return (
        f"SFT is finished and kept. GRPO from it with other settings: {launcher()} train "
        f"--fork {folder} --set grpo.SETTING=VALUE; with the same: "
        f"{launcher()} train --resume {folder}"
    )


def _leave(run: "RunFolder", what: str, code: int) -> NoReturn:
    """Print, on rank 0, the command that continues the run; exit."""
    from rftcore.distributed import is_main, launcher

    if is_main():
        click.echo(f"\n{what}; continue with: {launcher()} train --resume {run.path}", err=True)
        sys.stderr.flush()
    sys.exit(code)
