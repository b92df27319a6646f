"""How several processes divide a model: the memory of one of them.

    ddp      each process has everything, and a copy of the gradients to send
    zero-1   optimizer state is divided        zero-2   gradients, too
    zero-3   weights, too; a layer's weights are gathered while it computes
    fsdp     as zero-3 (FSDP2, full shard)

DeepSpeed trains bfloat16 weights from float32 copies that are divided with the optimizer state:
2 + 2 + 12 bytes per weight for Adam. A rollout needs all weights, and TRL gathers them for it.

Source: arXiv:1910.02054 (ZeRO), section 3; docs.pytorch.org, FSDP2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rftcore.planning.memory import Moment, State

ENGINES = ("ddp", "zero-1", "zero-2", "zero-3", "fsdp")
SHARDED = ("zero-3", "fsdp")
HALF = 2  # bytes of a bfloat16 number
CONTEXT = 10**9  # bytes: a GPU's context, kernels and workspaces, and room between blocks


@dataclass(frozen=True)
class Peak:
    """The most memory of one process, in bytes, the moment that has it, and what it is made of."""

    total: int
    moment: str
    parts: dict[str, int]


@dataclass(frozen=True)
class Share:
    """Bytes of the state that one process holds."""

    weights: int
    gradients: int
    optimizer: int
    reference: int
    sent: int  # gradients on their way
    gathered: int  # weights of the layers at work


def share(state: State, engine: str, processes: int) -> Share:
    """The state of one of `processes`."""
    if processes == 1 or engine == "ddp":
        sent = state.gradients if processes > 1 else 0
        return Share(state.weights, state.gradients, state.optimizer, state.reference, sent, 0)
    if engine == "fsdp":
        return Share(
            -(-state.weights // processes),
            -(-state.gradients // processes),
            -(-state.optimizer // processes),
            -(-state.reference // processes),
            sent=0,
            gathered=2 * state.largest,
        )
    half = HALF * state.parameters
    moments = state.optimizer * 4 * state.trainable // max(1, state.gradients)  # in float32
    stage = int(engine[-1])
    gradients = HALF * state.trainable
    return Share(
        weights=-(-half // processes) if stage == 3 else half,
        gradients=-(-gradients // processes) if stage >= 2 else gradients,
        optimizer=-(-(4 * state.trainable + moments) // processes),
        reference=HALF * state.parameters // (processes if stage == 3 else 1)
        if state.reference
        else 0,
        sent=0,
        gathered=state.largest if stage == 3 else 0,
    )


def peak(
    state: State, moments: Sequence[Moment], engine: str, processes: int, *, overhead: int = 0
) -> Peak:
    """The most memory of one process. overhead: bytes of the device's own."""
    return max(
        (_at(state, moment, engine, processes, overhead) for moment in moments),
        key=lambda found: found.total,
    )


def _at(state: State, moment: Moment, engine: str, processes: int, overhead: int) -> Peak:
    mine = share(state, engine, processes)
    whole = processes == 1 or engine == "ddp"
    weights = mine.weights
    if moment.whole and engine in SHARDED and processes > 1:
        weights += state.weights if engine == "fsdp" else HALF * state.parameters
    gradients = mine.gradients if moment.gradients else 0
    work = moment.peak - gradients if whole else moment.rest
    if whole and moment.gradients:  # at its own peak, some gradients may not exist yet
        gradients = min(gradients, max(0, moment.peak - moment.rest))
        work = moment.peak - gradients
    found = {
        "weights": weights,
        "optimizer": mine.optimizer,
        "reference": mine.reference,
        "gradients": gradients + (mine.sent if moment.gradients else 0),
        "activations": work + (mine.gathered if moment.gradients else 0),
        "device": overhead,
    }
    return Peak(sum(found.values()), moment.name, found)
