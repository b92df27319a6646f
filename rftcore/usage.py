"""What a part of a run has used: samples, tokens, seconds and memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class Usage:
    """What one part of a run used, over all its sessions and processes.

    samples: completions that were made, or rows that SFT trained on, repetitions included.
    tokens_read: of prompts, images included, and of what SFT read. tokens_generated: by the
    policy. tokens_trained: of targets, or of completions that an update used, repetitions
    included. peak_memory: the largest number of bytes that a process had in use: on the
    accelerator, or else the resident memory of the process since it began.
    """

    samples: int = 0
    tokens_read: int = 0
    tokens_generated: int = 0
    tokens_trained: int = 0
    seconds: float = 0.0
    peak_memory: int = 0

    def __add__(self, other: Usage) -> Usage:
        """What two parts used together; the peak is the higher one."""
        sums = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in NUMBERS}
        return Usage(**sums, peak_memory=max(self.peak_memory, other.peak_memory))

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` returned."""
        return cls(**{each.name: value[each.name] for each in fields(cls)})


NUMBERS = [each for each in fields(Usage) if each.name != "peak_memory"]


def peak_memory() -> int:
    """The most bytes that this process has had in use: see `Usage`."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
