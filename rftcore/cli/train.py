"""`rft train`: options to a run, and the run's table."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

PARADIGMS = ("zero-shot", "ans-sft", "cot-sft", "reason-rft-zero", "reason-rft")

if TYPE_CHECKING:
    from rftcore.evaluation.tables import Summary
    from rftcore.pipeline.job import Job
    from rftcore.signals import StopRequest


@click.command(short_help="Train a policy: SFT, then GRPO, evaluated in between.")
@click.option("--task", help="What to train on; `rft tasks list` shows the names.")
@click.option("--model", help="An offered name, a folder, or ORG/NAME on the hub.  [default: nano]")
@click.option(
    "--paradigm",
    type=click.Choice(PARADIGMS),
    help="What to run: the base model alone, SFT on answers or on reasoning, GRPO alone, or SFT "
    "and GRPO.  [default: reason-rft]",
)
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
@click.option("--processes", type=click.IntRange(1), help="How many processes, one per GPU.")
@click.option(
    "--accelerate-config",
    type=click.Path(path_type=Path),
    help="A file of `accelerate config`: FSDP, DeepSpeed, several machines.",
)
def train(
    task: str | None,
    model: str | None,
    paradigm: str | None,
    file: Path | None,
    settings: tuple[str, ...],
    out: Path | None,
    seed: int | None,
    resume: Path | None,
    fork: Path | None,
    smoke: bool,
    processes: int | None,
    accelerate_config: Path | None,
) -> None:
    """Train a policy on a task: SFT, then GRPO, measured before, between and after.

    \b
    Example:
      rft train --task counting --set grpo.group_size=8 --seed 1
      rft train --task counting --paradigm cot-sft
      rft train --task counting --smoke
      rft train --resume runs/counting-nano-s0-20260131-235959
      rft train --fork runs/counting-nano-s0-20260131-235959 --set grpo.beta=0.04
      rft train --task counting --processes 8
    """
    if processes not in (None, 1) or accelerate_config:
        from rftcore.pipeline.processes import launch

        sys.exit(launch(processes, accelerate_config, ["train", *_again()]))
    from rftcore.distributed import is_main
    from rftcore.pipeline.start import prepare
    from rftcore.plugins import Catalogue
    from rftcore.signals import StopRequest

    stop, places = StopRequest(), [resume] if resume else []
    with _stoppable(stop, places):
        job = prepare(
            Catalogue.load(),
            task=task,
            model=model,
            paradigm=paradigm,
            recipe=file,
            settings=settings,
            out=out,
            seed=seed,
            smoke=smoke,
            resume=resume,
            fork=fork,
            chosen=places.append,
        )
        job.stop = stop

        def announce() -> None:
            if job.fork:
                click.echo(f"taken over from {fork}: {job.fork}")
            click.echo(f"run: {job.run.path}")

        if is_main():
            job.announce = announce
        summary = _work(job)
        if is_main():
            click.echo(summary.table())
            if job.plan.recipe.report and job.run.report_file.is_file():
                click.echo(f"report: {job.run.report_file}")


def _again() -> list[str]:
    """The options of this call, but those of the launcher, for the processes that it starts."""
    context = click.get_current_context()
    words: list[str] = []
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if option.name in ("processes", "accelerate_config") or value in (None, False):
            continue
        for each in value if isinstance(value, tuple) else (value,):
            words += [option.opts[0]] if value is True else [f"{option.opts[0]}={each}"]
    return words


@contextmanager
def _stoppable(stop: "StopRequest", places: Sequence[Path]) -> Iterator[None]:
    """Within the block, a stop ends with the command that continues the run, if there is one.

    places: the run's folder, once it is chosen.
    """
    from rftcore.signals import Terminated, on_stop

    with on_stop(stop):
        try:
            yield
        except KeyboardInterrupt:
            _leave(places, "interrupted", 130)
        except Terminated as at:
            what = f"stopped by {stop.name}" + (f" after {at}" if str(at) else "")
            _leave(places, what, stop.exit_code)


def _work(job: "Job") -> "Summary":
    """Work on the run until it ends or fails; an error has a note on what is kept."""
    from rftcore.pipeline.start import work
    from rftcore.training.callbacks import quiet_libraries

    with quiet_libraries():
        try:
            return work(job)
        except Exception as error:
            if hint := _after_sft(job):
                error.add_note(hint)
            raise


def _after_sft(job: "Job") -> str:
    """How to continue from a finished SFT if GRPO has failed, or ""."""
    from rftcore.distributed import train_command
    from rftcore.runs import is_run

    run = job.run
    if not is_run(run.path) or not run.done("sft") or not job.to_come("grpo"):
        return ""
    folder = shlex.quote(str(run.path))
    return (
        f"SFT is finished and kept. GRPO from it with other settings: {train_command()} "
        f"--fork {folder} --set grpo.SETTING=VALUE; with the same: "
        f"{train_command()} --resume {folder}"
    )


def _leave(places: Sequence[Path], what: str, code: int) -> NoReturn:
    """Print, on one rank, the command that continues the run; exit."""
    from rftcore.distributed import first_to_report, is_main, launched, train_command
    from rftcore.runs import is_run

    if first_to_report() if launched() else is_main():
        runs = [shlex.quote(str(place)) for place in places if is_run(place)]
        how = "".join(f"; continue with: {train_command()} --resume {run}" for run in runs)
        click.echo(f"\n{what}{how}", err=True)
        sys.stderr.flush()
    sys.exit(code)
