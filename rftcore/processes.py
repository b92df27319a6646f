"""Who we are among the processes of one run, started by accelerate or torchrun.

Alone, every function here does nothing. Rank 0, the main process, speaks and
writes the run folder; the others follow what it wrote. A process that a worker
pool started ends with its parent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rftcore.errors import RunError

Item = TypeVar("Item")


def rank() -> int:
    """This process's number, from 0 to `world_size() - 1`."""
    return _number("RANK", 0, at_least=0)


def world_size() -> int:
    """How many processes run together."""
    return _number("WORLD_SIZE", 1, at_least=1)


def _number(name: str, default: int, at_least: int) -> int:
    """An environment variable that torchrun sets. Raises `RunError` if it is no such number."""
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < at_least:
        raise RunError(
            f"environment variable {name}={text!r}: torchrun sets it to a number from {at_least}; "
            f"unset it to run one process"
        )
    return int(text)


def is_main() -> bool:
    """Whether this process is the one that speaks and writes."""
    return rank() == 0


def launcher() -> str:
    """How the command `rft` was started: "rft", or torchrun with as many processes a node."""
    if world_size() == 1:
        return "rft"
    local = os.environ.get("LOCAL_WORLD_SIZE", str(world_size()))
    return f"torchrun --nproc-per-node={local} -m rftcore.cli"


def wait() -> None:
    """Return when every process has come this far."""
    if world_size() > 1:
        _state().wait_for_everyone()


@contextmanager
def main_first() -> Iterator[None]:
    """Run the block in the main process, then, with its results on disk, in the others."""
    if not is_main():
        wait()
    yield
    if is_main():
        wait()


def share(size: int) -> range:
    """The indices below `size` that are this process's: every `world_size`-th."""
    return range(rank(), size, world_size())


def gather(mine: Sequence[Item], size: int) -> list[Item]:
    """All processes' items for their `share(size)`, in the order of the indices, everywhere."""
    shares = everyones(list(zip(share(size), mine, strict=True)))
    pairs = [pair for pairs in shares for pair in pairs]
    return [item for _, item in sorted(pairs, key=lambda pair: pair[0])]


def everyones(mine: Item) -> list[Item]:
    """Every process's item, by rank, in every process."""
    if world_size() == 1:
        return [mine]
    from accelerate.utils import gather_object

    _state()
    items: list[Item] = gather_object([mine])
    return items


def leave_with_parent() -> None:
    """End this worker process when the one that started it is gone, killed for instance.

    A killed parent cannot say so: its worker would wait, or work on, for ever.
    """

    from multiprocessing import parent_process  # slow to import

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _state() -> Any:
    """Accelerate's process group, on the device that the trainers will use."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())
