"""The effect of calls on a scene, and whether the states are valid.

    (start, calls, steps of each move) -> the state after each call

The plane, its steps and the least gap follow TRANCE. A `change_position` has a
direction but no distance, as in Reason-RFT, so an answer has several readings:
each of its moves is one step or two. It reaches a state if one of them does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

from rft_scenes import Object, gap

from rft_transformation.language import DIRECTIONS, FUNCTIONS, MOVE, attribute
from rftcore.parsers import Call

PLANE = 6.0  # half its side, world units; objects stay on it
VISIBLE = 3.0  # half the side of the square that images show
STEP = 1.5  # along an axis; a diagonal step moves as far along both
LENGTHS = (1, 2)  # steps of one move
GAP = 0.15  # least distance between two footprints, world units
EXACT = 1e-6  # tolerance for positions, which are sums of rounded numbers

State = tuple[Object, ...]  # an object's number is its index
Moves = Sequence[int]  # the steps of each change_position, in their order


@dataclass(frozen=True)
class Reached:
    """The result of `compare`."""

    state: bool
    valid: bool
    differences: int


def apply(state: State, call: Call, steps: int = 1) -> State:
    """The state after one call; a call for an object that does not exist changes nothing."""
    if call.id >= len(state):
        return state
    thing = state[call.id]
    if call.function == MOVE:
        x, y = moved(thing.x, thing.y, call.value, steps)
        thing = replace(thing, x=x, y=y)
    else:
        new: dict[str, Any] = {attribute(call.function): call.value}
        thing = replace(thing, **new)
    return (*state[: call.id], thing, *state[call.id + 1 :])


def moved(x: float, y: float, direction: str, steps: int) -> tuple[float, float]:
    """The position after a move, in world units."""
    right, away = DIRECTIONS[direction]
    return round(x + right * steps * STEP, 4), round(y + away * steps * STEP, 4)


def replay(start: State, calls: Sequence[Call], moves: Moves) -> Iterator[State]:
    """The state after each call; `moves` has the steps of each `change_position`."""
    lengths = iter(moves)
    state = start
    for call in calls:
        state = apply(state, call, next(lengths) if call.function == MOVE else 0)
        yield state


def final(start: State, calls: Sequence[Call], moves: Moves) -> State:
    """The state after all calls."""
    state = start
    for state in replay(start, calls, moves):  # noqa: B007 - only the last one is used
        pass
    return state


def valid(state: State, *, within: float = PLANE) -> bool:
    """Whether all objects are on the plane and no two are closer than `GAP`."""
    return all(_on(thing, within) for thing in state) and all(
        gap(one, two) >= GAP for one, two in combinations(state, 2)
    )


def possible_moves(calls: Sequence[Call]) -> Iterator[tuple[int, ...]]:
    """Every way to choose one step or two for each move of an answer."""
    return product(LENGTHS, repeat=sum(call.function == MOVE for call in calls))


def differences(one: State, two: State) -> int:
    """The number of (object, attribute) pairs that differ; a position is one attribute."""
    return sum(len(list(changed(before, after))) for before, after in zip(one, two, strict=True))


def compare(start: State, calls: Sequence[Call], target: State) -> Reached:
    """Compare the best reading of an answer with the target.

    `state`: some choice of steps ends in the target. `valid`: one of those has valid
    states after every call, and all objects exist. `differences`: the fewest of any choice.
    Requires: few calls, because every choice of steps is tried; the task's parser
    reads at most 8.
    """
    left = {
        moves: differences(final(start, calls, moves), target) for moves in possible_moves(calls)
    }
    fewest = min(left.values())
    exist = all(call.id < len(start) for call in calls)
    return Reached(
        state=fewest == 0,
        valid=exist
        and any(
            all(map(valid, replay(start, calls, moves)))
            for moves, count in left.items()
            if count == 0
        ),
        differences=fewest,
    )


def to_plain(state: State) -> tuple[Mapping[str, Any], ...]:
    """A state as plain data for a sample's `meta`."""
    names = ("shape", "size", "color", "material", "x", "y", "rotation")
    return tuple({name: getattr(thing, name) for name in names} for thing in state)


def from_plain(things: Sequence[Mapping[str, Any]]) -> State:
    """The inverse of `to_plain`."""
    return tuple(Object(**thing) for thing in things)


def _on(thing: Object, within: float) -> bool:
    return max(abs(thing.x), abs(thing.y)) <= within + EXACT


def changed(before: Object, after: Object) -> Iterator[str]:
    """The functions that turn one object into the other."""
    for function in FUNCTIONS:
        if function == MOVE:
            if max(abs(before.x - after.x), abs(before.y - after.y)) > EXACT:
                yield function
        elif getattr(before, attribute(function)) != getattr(after, attribute(function)):
            yield function
