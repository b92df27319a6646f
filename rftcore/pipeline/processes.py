"""Start the processes of a run with accelerate's launcher, which calls torchrun or DeepSpeed.

Exit codes and messages are those of one process: what torchrun prints about processes that
ended is left out, because the process that failed has reported why.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rftcore.distributed import LAUNCH_OPTIONS, REPORTED, cores, world_size
from rftcore.errors import RecipeError, one_line

PATIENCE_S = "3600"  # for the step in progress, after SIGTERM; torchrun's own is 30 s


def launch(processes: int | None, config: Path | None, words: Sequence[str]) -> int:
    """Run `rft WORDS` in several processes; the exit code of the first that failed, else 0.

    processes: over all machines; None: as many as the configuration file has.
    Raises: `RecipeError` for a file that accelerate cannot read, for a package or GPUs that this
    machine lacks, and for processes that start processes.
    """
    from accelerate.utils import patch_environment

    if world_size() > 1:
        raise RecipeError(
            "--processes starts processes, and this is one of several already: leave it out, or "
            "leave torchrun or accelerate launch out"
        )
    file = load_config(config) if config else None
    total = processes or int(getattr(file, "num_processes", 1))
    machines = int(getattr(file, "num_machines", 1))
    _check_engine(config, file)
    _check_gpus(total, machines, on_cpu=bool(getattr(file, "use_cpu", False)))
    options = [f"--processes {processes}"] if processes else []
    options += [f"--accelerate-config {config}"] if config else []
    with tempfile.TemporaryDirectory(prefix="rft-") as folder, _quiet():
        reported = Path(folder) / "reported"
        variables = {
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": PATIENCE_S,
            **os.environ,
            LAUNCH_OPTIONS: " ".join(options),
            REPORTED: str(reported),
        }
        with patch_environment(**variables):
            return _run([*_arguments(total, machines, config), *words], reported)


def load_config(path: Path) -> Any:
    """A file that `accelerate config` wrote. Raises: `RecipeError` if it is not one."""
    from accelerate.commands.config.config_args import load_config_from_file

    if not path.is_file():
        raise RecipeError(f"--accelerate-config {path}: there is no such file")
    try:
        return load_config_from_file(str(path))
    except Exception as error:  # of the YAML reader, of enums, of missing and unknown fields
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise RecipeError(
            f"--accelerate-config {path}: accelerate cannot read it ({reason}); `accelerate "
            "config` writes one, and examples/accelerate has some"
        ) from error


def _check_engine(config: Path | None, file: Any) -> None:
    """Raise `RecipeError` if DeepSpeed is set, and it or a GPU is missing."""
    import torch

    engine = str(getattr(file, "distributed_type", "")).rpartition(".")[2].lower()
    if engine != "deepspeed":
        return
    if importlib.util.find_spec("deepspeed") is None:
        raise RecipeError(
            f"--accelerate-config {config}: distributed_type DEEPSPEED needs the package "
            "deepspeed: pip install deepspeed"
        )
    if not torch.cuda.device_count():
        raise RecipeError(
            f"--accelerate-config {config}: distributed_type DEEPSPEED divides a model over GPUs, "
            "and this machine has none: use FSDP, as in examples/accelerate/fsdp2_cpu.yaml"
        )


def _check_gpus(total: int, machines: int, *, on_cpu: bool) -> None:
    import torch

    here, found = total // machines, torch.cuda.device_count()
    if total % machines:
        raise RecipeError(f"--processes {total} do not divide over {machines} machines")
    if found and not on_cpu and here > found:
        raise RecipeError(
            f"--processes {total}: {here} on this machine, which has {found} GPU"
            f"{'s' * (found != 1)}, and each process needs one: use {found * machines} or fewer"
        )


def _arguments(total: int, machines: int, config: Path | None) -> list[str]:
    """The options of `accelerate launch`: the file's, or all that it would report as missing."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() * machines // total))
    common = ["--num_processes", str(total), "--num_cpu_threads_per_process", threads]
    if config:
        own = ["--config_file", str(config)]
    else:
        own = ["--multi_gpu", "--num_machines", "1", "--main_process_port", "0"]
        own += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    return [*own, *common, "-m", "rftcore.cli"]


def _run(arguments: Sequence[str], reported: Path) -> int:
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        launch_command(launch_command_parser().parse_args(list(arguments)))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        return _code(rank, failure.exitcode, reported)
    except SignalException as stopped:
        return 128 + stopped.sigval
    return 0


def _code(rank: int, code: int, reported: Path) -> int:
    """The exit code of a process that failed, as a shell reports it."""
    if code >= 0:
        return code
    if not reported.exists():
        name = signal.Signals(-code).name
        raise RecipeError(
            f"rank {rank} was ended by {name}"
            + (" (out of memory?)" if -code == signal.SIGKILL else "")
        )
    return 128 - code


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the launchers log. The processes that they start are not affected."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ports that are in use, where another is taken
            yield
    finally:
        logging.disable(disabled)
