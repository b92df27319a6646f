"""Names of splits, and what each is for.

Phases have names of their own: "sft" and "grpo"."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from rftcore.errors import DataError, closest

SFT, RL, VAL, TEST = "sft", "rl", "val", "test"
OOD_PREFIX = "ood-"  # of a split that differs from the training samples in one way
STANDARD = (SFT, RL, VAL, TEST)
TRAINING = (SFT, RL)
PHASE_SPLITS: Mapping[str, str] = MappingProxyType({"sft": SFT, "grpo": RL})  # what each trains on


def is_training(split: str) -> bool:
    """Whether a phase trains on the split; all others are for evaluation."""
    return split in TRAINING


def is_ood(split: str) -> bool:
    """Whether the split is out of distribution: `OOD_PREFIX` and a name."""
    return split.startswith(OOD_PREFIX) and split != OOD_PREFIX


def is_known(split: str) -> bool:
    """Whether the name is a standard one or that of an out-of-distribution split."""
    return split in STANDARD or is_ood(split)


def may_overlap(one: str, other: str) -> bool:
    """Whether two splits may have a sample in common: both train, or they are one."""
    return one == other or (is_training(one) and is_training(other))


def evaluated(splits: Iterable[str]) -> tuple[str, ...]:
    """Those that are evaluated by default: val, test and every out-of-distribution split."""
    return tuple(split for split in splits if split in (VAL, TEST) or is_ood(split))


def in_order(splits: Collection[str]) -> tuple[str, ...]:
    """The standard splits first, then the others by name."""
    known = [split for split in STANDARD if split in splits]
    return (*known, *sorted({*splits} - {*known}))


def out_of_distribution(name: str) -> str:
    """The split that an option calls `name`, with or without the prefix."""
    return name if name.startswith(OOD_PREFIX) else OOD_PREFIX + name


def unknown(owner: object, split: str, offered: Collection[str]) -> DataError:
    """The error for a split that `owner` does not have."""
    names = ", ".join(offered)
    return DataError(f"{owner} has no split {split!r}.{closest(split, offered)} It has: {names}")


def check_index(split: str, index: int, size: int) -> None:
    """Raise `IndexError` for an index outside [0, size)."""
    if not 0 <= index < size:
        raise IndexError(f"split {split!r} has samples 0 to {size - 1}, not {index}")
