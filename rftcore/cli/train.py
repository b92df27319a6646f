"""`rft train`: from names and settings to a job, and the job's table."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rftcore.errors import RecipeError
from rftcore.types import TASK_SECTIONS

if TYPE_CHECKING:
    from rftcore.config import Layer, Recipe
    from rftcore.pipeline.forks import Fork
    from rftcore.plugins import Catalogue
    from rftcore.runs import RunFolder
    from rftcore.types import Task

# What --smoke changes: every part runs, none of them long. --set still wins.
SMOKE: dict[str, Any] = {
    "model": "toy",  # of rft-nano: every part of a real model, tiny, with random weights
    "sft": {
        "samples": 16,
        "batch_size": 8,
        "micro_batch": None,
        "max_steps": 2,
        "check_lengths": False,  # few tokens are the point
    },
    "grpo": {
        "samples": 8,
        "prompts_per_step": 2,
        "group_size": 4,
        "micro_batch": None,
        "max_steps": 2,
        "max_completion_length": 16,
    },
    "evaluation": {"max_new_tokens": 16},
}
SMOKE_SAMPLES = 8  # evaluated per split
TASK_SETTINGS = ("task", "task_options", "dataset", "rewards")  # that a task is made of


@click.command()
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
    help="Start GRPO anew from this run's SFT policy, with other settings.",
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
    from rftcore.plugins import Catalogue

    given = {"task": task, "model": model, "seed": seed}
    options = [(f"--{name}", {name: value}) for name, value in given.items() if value is not None]
    catalogue = Catalogue.load()
    if resume is not None and (file or out or smoke or fork):
        raise RecipeError(
            "--resume goes on as the run began: leave out --recipe, --out, --smoke, --fork"
        )
    if fork is not None and smoke:
        raise RecipeError("--fork keeps the settings of its run: leave out --smoke")
    if resume is not None:
        run, plan = _resume(catalogue, resume, options, settings)
    elif fork is not None:
        run, plan = _fork(catalogue, fork, Request(file, options, settings, smoke), out)
    else:
        plan = Request(file, options, settings, smoke).plan(catalogue)
        run = _start(plan, catalogue, out, smoke)
    _work(plan, catalogue, run)


@dataclass(frozen=True)
class Plan:
    """What to do, every name resolved."""

    recipe: "Recipe"
    task: "Task"
    model: Path | str


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    file: Path | None
    options: Sequence["Layer"]
    settings: Sequence[str]
    smoke: bool

    def plan(self, catalogue: "Catalogue") -> Plan:
        """Resolve it in steps: the recipe names a model and a task, which may bring defaults.

        The task comes first: a fault in its options is found before a model is made.
        """
        from rftcore.config import check_splits, differences, evaluated_splits, model_defaults

        first = self.named()
        task = catalogue.task_of(first)
        model = catalogue.model(first.model)
        defaults = model_defaults(model)
        named = self.named(defaults)
        if any(name.partition(".")[0] in TASK_SETTINGS for name in differences(first, named)):
            task = catalogue.task_of(named)
        defaults.append(catalogue.defaults_of(named.task, task))
        recipe = self.recipe(defaults)
        splits = _splits(task)
        check_splits(recipe, splits)
        if self.smoke:
            recipe = self.recipe(defaults, evaluated_splits(recipe, splits))
        recipe = catalogue.located(recipe)
        return Plan(recipe, task, catalogue.model(recipe.model))

    def named(self, defaults: "Sequence[Layer]" = ()) -> "Recipe":
        """The recipe before all defaults are known: good for the names in it.

        Numbers that do not fit yet may fit then; if not, that is told then.
        """
        try:
            return self.recipe(defaults)
        except RecipeError as every_fault:
            try:
                return self.recipe(defaults, without=TASK_SECTIONS)
            except RecipeError:
                raise every_fault from None

    def recipe(
        self,
        defaults: "Sequence[Layer]" = (),
        splits: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> "Recipe":
        """Core < `defaults` (model, then task) < --recipe < --smoke < options < --set."""
        from rftcore.config import load_recipe, read_recipe_file

        layers = list(defaults)
        if self.file:
            layers.append((str(self.file), read_recipe_file(self.file)))
        if self.smoke:
            few = {"samples": dict.fromkeys(splits, SMOKE_SAMPLES)}
            layers += [("--smoke", SMOKE), ("--smoke", {"evaluation": few})]
        return load_recipe(*layers, *self.options, overrides=self.settings, without=without)


def _start(
    plan: Plan, catalogue: "Catalogue", out: Path | None, smoke: bool, fork: "Fork | None" = None
) -> "RunFolder":
    from rftcore.config import dump_recipe
    from rftcore.distributed import world_size
    from rftcore.runs import RunFolder, default_run_dir, manifest

    recipe = plan.recipe
    if out is None and world_size() > 1:
        raise RecipeError("several processes need one folder: say which with --out DIR")
    name = f"smoke-{recipe.task}" if smoke else recipe.task
    facts = manifest(
        recipe.model_dump(mode="json"), plugins=catalogue.distributions(), model=str(plan.model)
    )
    folder = out or default_run_dir(name, recipe.model, recipe.seed)
    if fork is None:
        return RunFolder.create(folder, facts, dump_recipe(recipe))
    return RunFolder.create(folder, {**facts, **fork.facts()}, dump_recipe(recipe), fork.fill)


def _fork(
    catalogue: "Catalogue", folder: Path, request: Request, out: Path | None
) -> tuple["RunFolder", Plan]:
    """A new run with the recipe of another, changed, and with what that one has finished."""
    from rftcore.config import check_splits, load_recipe, read_recipe_file
    from rftcore.distributed import is_main
    from rftcore.pipeline.forks import Fork
    from rftcore.runs import RunFolder

    parent = RunFolder.open(folder)
    own = (str(parent.recipe_file), read_recipe_file(parent.recipe_file))
    _require_as_begun(parent, own)
    recipe = catalogue.located(request.recipe([own]))
    fork = Fork(parent, load_recipe(own), recipe)
    plan = Plan(recipe, catalogue.task_of(recipe), catalogue.model(recipe.model))
    check_splits(recipe, _splits(plan.task))
    run = _start(plan, catalogue, out, smoke=False, fork=fork)
    if is_main():
        taken = f"taken over from {folder}: {', '.join(fork.phases) or 'nothing'}"
        again = f"; measured again: {', '.join(fork.measured_again)}" if fork.measured_again else ""
        click.echo(taken + again)
    return run, plan


def _resume(
    catalogue: "Catalogue", folder: Path, options: Sequence["Layer"], settings: Sequence[str]
) -> tuple["RunFolder", Plan]:
    """The run and its own recipe. A setting may be repeated, not changed."""
    from rftcore.config import differences, load_recipe, read_recipe_file
    from rftcore.distributed import is_main
    from rftcore.runs import RunFolder, changed_versions, now

    run = RunFolder.resume(folder)
    own = (str(run.recipe_file), read_recipe_file(run.recipe_file))
    recipe = load_recipe(own)
    _require_as_begun(run, own)
    asked = catalogue.located(load_recipe(own, *options, overrides=settings))
    changed = differences(catalogue.located(recipe), asked)
    if changed:
        raise RecipeError(
            f"--resume cannot change {', '.join(changed)}: {folder} began with other values. "
            "Leave the change out, or start a new run."
        )
    manifest = run.manifest()
    moved = changed_versions(manifest, catalogue.distributions())
    if moved and is_main():
        click.echo(
            f"warning: other versions than the run began with ({'; '.join(moved)}): "
            "the results may differ from those of an uninterrupted run",
            err=True,
        )
    session = {"at": now(), "changed_versions": moved}
    run.record(resumed=[*manifest.get("resumed", []), session])
    return run, Plan(recipe, catalogue.task_of(recipe), catalogue.model(recipe.model))


def _require_as_begun(run: "RunFolder", own: "Layer") -> None:
    """Raise `RunError` if the run's recipe file was edited: what is finished was not made so."""
    from rftcore.config import differences, load_recipe
    from rftcore.errors import RunError
    from rftcore.runs import MANIFEST

    began = run.manifest().get("recipe")
    if began and (edited := differences(load_recipe((MANIFEST, began)), load_recipe(own))):
        raise RunError(
            f"{own[0]} is not the recipe that {run.path} began with (recipe in its {MANIFEST}): "
            f"{', '.join(edited)} was edited. Set it back, and change settings in a new run, by "
            "--fork with --set, or by --recipe"
        )


def _work(plan: Plan, catalogue: "Catalogue", run: "RunFolder") -> None:
    from rftcore.distributed import is_main
    from rftcore.signals import EXIT_CODE, StopRequest, Terminated, on_sigterm

    if is_main():
        click.echo(f"run: {run.path}")
    stop = StopRequest()
    with run, on_sigterm(stop):
        try:
            from rftcore.pipeline.loop import Job, train

            summary = train(
                Job(
                    task=plan.task,
                    recipe=plan.recipe,
                    model=plan.model,
                    run=run,
                    catalogue=catalogue,
                    stop=stop,
                )
            )
        except Exception as error:
            run.discard_unstarted()
            if hint := _after_sft(plan.recipe, run):
                error.add_note(hint)
            raise
        except KeyboardInterrupt:
            _leave(run, "interrupted", 130)
        except Terminated as at:
            _leave(run, f"stopped by SIGTERM{f' after {at}' if str(at) else ''}", EXIT_CODE)
    if is_main():
        click.echo(summary.table())


def _after_sft(recipe: "Recipe", run: "RunFolder") -> str:
    """How to go on from a finished SFT if GRPO has failed, or ""."""
    from rftcore.distributed import launcher

    if not run.path.exists() or not run.done("sft") or run.done("grpo") or not recipe.grpo.enabled:
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


def _splits(task: "Task") -> tuple[str, ...]:
    from rftcore.datasets.slices import dataset_of

    return dataset_of(task).splits
