"""Rank, world size and collectives of one run, started by accelerate or torchrun.

With one process every collective returns at once. Rank 0 prints and
writes the run folder; the other ranks read it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rftcore.errors import RunError

if TYPE_CHECKING:
    from accelerate import PartialState

Item = TypeVar("Item")


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


def launcher() -> str:
    """The command that starts rft as now: "rft", or torchrun with the same processes per node."""
    if world_size() == 1:
        return "rft"
    local = os.environ.get("LOCAL_WORLD_SIZE", str(world_size()))
    return f"torchrun --nproc-per-node={local} -m rftcore.cli"


def barrier() -> None:
    """Return when every rank has called this."""
    if world_size() > 1:
        _state().wait_for_everyone()


@contextmanager
def main_first() -> Iterator[None]:
    """Run the block on rank 0, then, with its results on disk, on the others."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


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


def _state() -> PartialState:
    """Accelerate's process group, on the device that the trainers will use."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())
