"""One optimizer step on a toy, before a model loads, to test whether TRL accepts the settings.

TRL, transformers, accelerate and torch check values where they use them: some
when a trainer is built, many at the first step. A run would reach those places
after its evaluations or after hours of SFT. So each phase takes one step here
first, with its settings, on a language model of a few hundred weights and rows
of three words. What is raised is traced to the settings that cause it.
"""

from __future__ import annotations

import io
import logging
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from rftcore.distributed import world_size
from rftcore.training.toy import toy_trainer, trl_config

# Fields that a dry run leaves out: they use the network, take long, or depend on the real size.
# `fields` checks them in other ways.
LEFT_OUT = frozenset(
    (
        *("report_to", "run_name", "project", "push_to_hub", "log_completions_hub_repo"),
        *("use_vllm", "torch_compile", "torch_compile_backend", "torch_compile_mode"),
        *("fsdp", "fsdp_config", "deepspeed", "parallelism_config", "full_determinism"),
        *("log_level", "log_level_replica", "max_length", "num_train_epochs"),
        *("cast_lm_head_to_fp32", "router_aux_loss_coef", "max_completion_length"),
    )
)
MOST = {"dataloader_num_workers": 1, "num_iterations": 2}

Attempt = Callable[[Mapping[str, Any]], object]


class Cause(NamedTuple):
    """The settings that make TRL raise, and the exception.

    Several names: only together. None: TRL raises without any of them, too.
    """

    names: tuple[str, ...]
    error: Exception


def find_causes(settings: Mapping[str, Any], attempt: Attempt) -> list[Cause]:
    """Which of `settings` make `attempt` raise. An attempt takes some of the settings."""

    def raised(names: Iterator[str] | tuple[str, ...]) -> Exception | None:
        try:
            attempt({name: settings[name] for name in names})
        except Exception as error:  # whatever the libraries below us raise for a value
            return error
        return None

    def without(names: tuple[str, ...], *left_out: str) -> Iterator[str]:
        return (name for name in names if name not in left_out)

    every = tuple(settings)
    whole = raised(every)
    if whole is None:
        return []
    if (error := raised(())) is not None:
        return [Cause((), error)]
    suspects = tuple(name for name in every if raised((name,)) is not None)
    sound = tuple(without(every, *suspects))
    found = []
    if (error := raised(sound)) is not None:
        together = tuple(name for name in sound if raised(without(sound, name)) is None)
        found.append(Cause(together or sound, error))
        sound = tuple(without(sound, *found[0].names))
    for name in suspects:  # one may be right beside a setting that it needs
        if (error := raised((*sound, name))) is not None:
            found.append(Cause((name,), error))
    if not found:
        together = tuple(name for name in every if raised(without(every, name)) is None)
        found.append(Cause(together or every, whole))
    return found


def take_step(
    phase: str, settings: Mapping[str, Any], base: Mapping[str, Any], *, adapter: bool = False
) -> None:
    """Take one step of a phase on a toy. Raises whatever TRL raises for a value.

    settings: TRL's fields as the recipe gives them. base: what rft passes to TRL otherwise.
    adapter: whether an adapter is trained.
    """
    chosen = {name: value for name, value in settings.items() if name not in LEFT_OUT}
    for name, most in MOST.items():
        if name in chosen:
            chosen[name] = min(chosen[name], most)
    steps = max(chosen.get("max_steps", -1), 1000)  # the schedule's; one of them is taken
    quiet = {"ddp_find_unused_parameters": False}  # torch would print that it finds none
    toy: dict[str, Any] = {"max_steps": steps, "per_device_train_batch_size": 4}
    if phase == "grpo":
        toy |= {"num_generations": 2, "max_completion_length": 4}
    with tempfile.TemporaryDirectory() as folder, unnoticed():
        config = trl_config(phase)(**{**quiet, **base, **chosen, **toy, "output_dir": folder})
        toy_trainer(phase, Path(folder), config, rows=4 * world_size(), adapter=adapter).train()


@contextmanager
def unnoticed() -> Iterator[None]:
    """Print nothing, and restore every random state."""
    import numpy
    import torch

    states = random.getstate(), numpy.random.get_state()
    disabled = logging.root.manager.disable
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
            random.setstate(states[0])
            numpy.random.set_state(states[1])
