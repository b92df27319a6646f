"""Rank, world size and collectives of one run, started by accelerate or torchrun.

With one process every collective returns at once. Rank 0 prints and
writes the run folder; the other ranks read it.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from rftcore import errors
from rftcore.errors import RftError, RunError, describe

if TYPE_CHECKING:
    from accelerate import PartialState

Item = TypeVar("Item")

# What `rft train --processes` sets for the processes that it starts.
LAUNCH_OPTIONS = "RFT_LAUNCH_OPTIONS"  # its own options, to start them again
REPORTED = "RFT_LAUNCH_REPORTED"  # a file that the first process to report an end creates
FAILED = "failed"  # its content, if that end is an error
PATIENCE_S = 20  # for the other processes after that, which may wait for the failed one

_KINDS: dict[str, type[RftError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, RftError)
}


def rank() -> int:
    """This process's number, from 0 to `world_size() - 1`."""
    return _number("RANK", 0, at_least=0)


def world_size() -> int:
    """How many processes run together."""
    return _number("WORLD_SIZE", 1, at_least=1)


def _number(name: str, default: int, at_least: int) -> int:
    """An environment variable that torchrun sets. Raises `RunError` if it is not a number."""
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < at_least:
        raise RunError(
            f"environment variable {name}={text!r}: torchrun sets it to a number from {at_least}; "
            f"unset it to run one process"
        )
    return int(text)


def is_main() -> bool:
    """Whether this is rank 0, which prints and writes the run folder."""
    return rank() == 0


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_command() -> str:
    """The command that trains with the same processes as now: `rft train`, or torchrun's."""
    if options := os.environ.get(LAUNCH_OPTIONS):
        return f"rft train {options}"
    if world_size() == 1:
        return "rft train"
    local = os.environ.get("LOCAL_WORLD_SIZE", str(world_size()))
    return f"torchrun --nproc-per-node={local} -m rftcore.cli train"


def launched() -> bool:
    """Whether `rft train --processes` started this process."""
    return LAUNCH_OPTIONS in os.environ


def first_to_report(*, failed: bool = False) -> bool:
    """Whether no other process of this machine has reported how the run ended.

    A fault of one rank breaks the collectives of the others, and a fault of the settings occurs
    on every rank: the first report has the cause. True if `rft train --processes` did not start
    this process. failed: whether the end is an error; then the other processes end soon, too.
    """
    if not (file := os.environ.get(REPORTED)):
        return True
    try:
        with Path(file).open("x", encoding="utf-8") as handle:
            handle.write(FAILED if failed else "")
    except FileExistsError:
        return False
    except OSError:  # the launcher has ended and its folder is gone
        return True
    return True


def barrier() -> None:
    """Return when every rank has called this."""
    if world_size() > 1:
        _state().wait_for_everyone()


class Fault(NamedTuple):
    """What one rank sends the others about its exception: its class and text."""

    kind: str
    text: str

    @classmethod
    def of(cls, error: Exception | None) -> Fault | None:
        """The fault of an exception, or None."""
        if error is None:
            return None
        text = str(error) if isinstance(error, RftError) else describe(error)
        return cls(type(error).__name__, text)


def raise_for(faults: Sequence[Fault | None], other: type[RftError] = RunError) -> None:
    """Raise the first fault of the ranks, naming the rank; other: for classes not of rftcore."""
    for number, fault in enumerate(faults):
        if fault is not None:
            kind = _KINDS.get(fault.kind, other)
            raise kind(f"rank {number} of {len(faults)} stopped: {fault.text}")


def agree(error: Exception | None) -> None:
    """Raise on every rank if one has an error: its own there, elsewhere one that names the rank."""
    faults = all_gather(Fault.of(error))
    if error is not None:
        raise error
    raise_for(faults)


@contextmanager
def together() -> Iterator[None]:
    """Run the block on every rank. If it raises on one, raise on all: none waits for it.

    The block may hold no other collective. Raises: what the block raises; on the other ranks an
    error of the same class that names the rank, or `RunError` if the class is not rftcore's.
    """
    fault: Exception | None = None
    try:
        yield
    except Exception as error:
        fault = error
    agree(fault)


@contextmanager
def main_first() -> Iterator[None]:
    """Run the block on rank 0, then, with its results on disk, on the others. Return together.

    The block may hold no other collective. Raises: as `together`; where rank 0 fails, the others
    do not begin.
    """
    if not is_main():
        agree(None)
    fault: Exception | None = None
    try:
        yield
    except Exception as error:
        fault = error
    if is_main():
        agree(fault)
    agree(fault)


def shard(size: int) -> range:
    """This rank's indices below `size`: every `world_size`-th."""
    return range(rank(), size, world_size())


def gather(mine: Sequence[Item], size: int) -> list[Item]:
    """The items of all ranks for their `shard(size)`, in the order of the indices."""
    shards = all_gather(list(zip(shard(size), mine, strict=True)))
    pairs = [pair for pairs in shards for pair in pairs]
    return [item for _, item in sorted(pairs, key=lambda pair: pair[0])]


def all_gather(mine: Item) -> list[Item]:
    """The item of each rank, by rank, on every rank."""
    if world_size() == 1:
        return [mine]
    from accelerate.utils import gather_object

    _state()
    items: list[Item] = gather_object([mine])
    return items


def leave_with_parent() -> None:
    """End this worker process when its parent ends.

    A parent that is killed cannot end its workers, which would otherwise run forever.
    """
    from multiprocessing import parent_process  # slow to import

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def leave_with_launcher() -> None:
    """End this process when the launcher that started it ends, or soon after another has failed.

    A launcher that is killed cannot end its processes, which would otherwise go on training. A
    process that waits for one that has failed may not notice either, nor SIGTERM.
    """
    launcher = os.getppid()
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return

    def watch() -> None:
        while os.getppid() == launcher and not _another_failed():
            time.sleep(1)
        if os.getppid() == launcher:
            time.sleep(PATIENCE_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _another_failed() -> bool:
    try:
        return Path(os.environ[REPORTED]).read_text(encoding="utf-8") == FAILED
    except (KeyError, OSError):  # another launcher; none has reported; the folder is gone
        return False


def _state() -> PartialState:
    """Accelerate's process group, on the device that the trainers will use."""
    import torch
    from accelerate import PartialState

    atexit.unregister(_close_gloo)  # once, however often this is called
    atexit.register(_close_gloo)
    return PartialState(cpu=not torch.cuda.is_available())


def _close_gloo() -> None:
    """End gloo's threads before the process ends.

    A thread of gloo that still runs when the process's static objects are destroyed aborts it
    (SIGABRT), and the launcher then reports a finished run as failed. NCCL's groups are left to
    torch: closing one waits for the other ranks, of which one may have failed.
    """
    from torch import distributed

    if distributed.is_initialized() and distributed.get_backend() == "gloo":
        distributed.destroy_process_group()
