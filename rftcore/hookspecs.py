"""The hooks that a plugin may implement.

The first six hooks return mappings from a name to a factory. A factory's
annotated keyword arguments are the component's options; calling it without
arguments must work. A name offered by two distributions stays reachable as
`distribution:name`; the bare name is then an error that lists both.

The hooks that observe a run are called on rank 0 only.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

from rftcore.completions import ScoredCompletion
from rftcore.types import (
    DatasetFactory,
    ModelFactory,
    ParserFactory,
    RewardFactory,
    SuiteFactory,
    TaskFactory,
)

if TYPE_CHECKING:
    import click

PROJECT = "rft"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def rft_tasks() -> Mapping[str, TaskFactory]:  # type: ignore[empty-body]
    """Offer tasks by name. Called when a name is looked up or listed, never at import."""


@hookspec
def rft_datasets() -> Mapping[str, DatasetFactory]:  # type: ignore[empty-body]
    """Offer datasets by the name a task or recipe uses."""


@hookspec
def rft_parsers() -> Mapping[str, ParserFactory]:  # type: ignore[empty-body]
    """Offer answer parsers by the name a task or recipe uses."""


@hookspec
def rft_rewards() -> Mapping[str, RewardFactory]:  # type: ignore[empty-body]
    """Offer rewards by the name a recipe uses."""


@hookspec
def rft_models() -> Mapping[str, ModelFactory]:  # type: ignore[empty-body]
    """Offer models by name; a factory returns the folder that `from_pretrained` reads."""


@hookspec
def rft_suites() -> Mapping[str, SuiteFactory]:  # type: ignore[empty-body]
    """Offer suites by the name for `rft eval --suite`; a suite measures a model, not a task."""


@hookspec
def rft_commands() -> "Sequence[click.Command]":  # type: ignore[empty-body]
    """Add commands to `rft`; they cannot replace those of the core.

    Called for a command that the core does not have, and for `rft plugins list`; `rft --help`
    loads no plugin.
    """


@hookspec
def rft_run_start(run_dir: str, recipe: Mapping[str, object]) -> None:
    """Called once before the first phase, with the run folder and the resolved recipe."""


@hookspec
def rft_phase_start(phase: str) -> None:
    """Called before "sft", "grpo" and each evaluation ("evaluate:start", ...)."""


@hookspec
def rft_rollouts_scored(step: int, rollouts: Sequence[ScoredCompletion]) -> None:
    """Called once per GRPO step on rank 0, after the rewards are known."""


@hookspec
def rft_phase_end(phase: str, metrics: Mapping[str, float]) -> None:
    """Called after a phase, with its last metrics."""


@hookspec
def rft_run_end(run_dir: str, summary: Mapping[str, object]) -> None:
    """Called once at the end, with the data of the printed table."""
