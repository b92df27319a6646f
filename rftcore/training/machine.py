"""Settings that need a package, a GPU, a login or processes that this machine does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rftcore.config import Recipe, fault
from rftcore.distributed import world_size
from rftcore.errors import Fault, one_line
from rftcore.training import engine, vllm
from rftcore.training.configs import extras


def machine_faults(recipe: Recipe, section: str, config: Any) -> Iterator[Fault | str]:
    """Settings that need a package, a GPU, a login or processes that are not there."""
    if config.n_gpu > 1:
        yield (
            f"{section}: one process sees {config.n_gpu} GPUs, and TRL trains on one per process: "
            f"start one process per GPU with --processes {config.n_gpu}, or set "
            "CUDA_VISIBLE_DEVICES=0"
        )
    yield from (f"{section}: {reason}" for reason in engine.problems(config))
    settings = extras(getattr(recipe, section))
    problems: list[tuple[str, str | None]] = [*vllm.problems(settings, config)]
    if config.fsdp and world_size() == 1:
        problems.append(
            ("fsdp", "spreads a model over processes, and there is one: use --processes")
        )
    for name in ("push_to_hub", "log_completions_hub_repo"):
        if getattr(config, name, None):
            problems.append((name, _hub_problem(config.hub_token)))
    if config.torch_compile:
        problems.append(_compile_problem(config))
    for name, problem in problems:
        if problem is not None:
            yield fault((section, name), settings.get(name), recipe.origin(section, name), problem)


def _compile_problem(config: Any) -> tuple[str, str | None]:
    """What torch's compiler has against its backend or mode; nothing is compiled here."""
    import torch

    backend, mode = config.torch_compile_backend, config.torch_compile_mode
    compiled: Any = torch.compile  # its overloads accept literals only
    try:
        compiled(torch.nn.Identity(), backend=backend or "inductor")
    except Exception as error:  # a class of its own, private to torch
        known = ", ".join(torch.compiler.list_backends())
        return "torch_compile_backend", f"{one_line(error, 80)}; torch offers {known}"
    try:
        compiled(torch.nn.Identity(), backend=backend or "inductor", mode=mode)
    except Exception as error:
        return "torch_compile_mode", one_line(error)
    return "torch_compile", None


def _hub_problem(token: str | None) -> str | None:
    from huggingface_hub import whoami

    try:
        whoami(token=token)
    except Exception as error:  # no token, a wrong one, no network: each its own exception
        return (
            f"needs the hub, and it cannot be reached ({one_line(error, 120)}). Log in with "
            "`hf auth login`, or leave it out and upload the policy at the end: "
            "`hf upload ORG/NAME RUN/grpo/model`"
        )
    return None
