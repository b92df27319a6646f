"""What calls do to a scene, and whether a sequence of them is lawful.

    (start, calls, how far each move goes) -> every state on the way, the last one

The plane, its steps and the least gap follow TRANCE. A `change_position` names
a direction and not how far, as in Reason-RFT, so an answer stands for several
sequences: each of its moves is one step or two. It reaches a state if one of
them does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

from rft_scenes import Object, gap

from rft_transformation.language import DIRECTIONS, FUNCTIONS, MOVE, attribute
from rftcore.parsers import Call

PLANE = 6.0  # half its side (world units); a thing never leaves it
VISIBLE = 3.0  # half the side of the square that pictures show
STEP = 1.5  # along an axis; a diagonal step goes as far along both
LENGTHS = (1, 2)  # steps of one move
GAP = 0.15  # least free floor between two things
EXACT = 1e-6  # places are sums of rounded numbers

State = tuple[Object, ...]  # an object's number is its place
Moves = Sequence[int]  # the steps of each change_position, in their order


@dataclass(frozen=True)
class Reached:
    """How an answer compares with the target: see `compare`."""

    state: bool
    lawful: bool
    differences: int


def apply(state: State, call: Call, steps: int = 1) -> State:
    """The state after one call; one about an object that is not there changes nothing."""
    if call.id >= len(state):
        return state
    thing = state[call.id]
    if call.function == MOVE:
        x, y = moved(thing.x, thing.y, call.value, steps)
        thing = replace(thing, x=x, y=y)
    else:
        look: dict[str, Any] = {attribute(call.function): call.value}
        thing = replace(thing, **look)
    return (*state[: call.id], thing, *state[call.id + 1 :])


def moved(x: float, y: float, direction: str, steps: int) -> tuple[float, float]:
    """Where a move ends (world units)."""
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
    for state in replay(start, calls, moves):  # noqa: B007 - the last one is wanted
        pass
    return state


def lawful(state: State, *, within: float = PLANE) -> bool:
    """Whether everything is on the plane and no two things come closer than `GAP`."""
    return all(_on(thing, within) for thing in state) and all(
        gap(one, two) >= GAP for one, two in combinations(state, 2)
    )


def possible_moves(calls: Sequence[Call]) -> Iterator[tuple[int, ...]]:
    """Every way to choose one step or two for each move of an answer."""
    return product(LENGTHS, repeat=sum(call.function == MOVE for call in calls))


def differences(one: State, two: State) -> int:
    """How many (object, attribute) pairs differ; a place is one attribute."""
    return sum(len(list(changed(before, after))) for before, after in zip(one, two, strict=True))


def compare(start: State, calls: Sequence[Call], target: State) -> Reached:
    """The best that an answer can be read as.

    `state`: some choice of steps ends in the target. `lawful`: one of those is
    lawful after every call, and speaks of objects that are there. `differences`:
    the fewest that any choice leaves.
    Expects: few calls, since every choice of steps is tried; the task's parser
    reads at most 8.
    """
    left = {
        moves: differences(final(start, calls, moves), target) for moves in possible_moves(calls)
    }
    fewest = min(left.values())
    there = all(call.id < len(start) for call in calls)
    return Reached(
        state=fewest == 0,
        lawful=there
        and any(
            all(map(lawful, replay(start, calls, moves)))
            for moves, count in left.items()
            if count == 0
        ),
        differences=fewest,
    )


def to_plain(state: State) -> tuple[Mapping[str, Any], ...]:
    """A state as plain data, for a sample's `meta`."""
    names = ("shape", "size", "color", "material", "x", "y", "rotation")
    return tuple({name: getattr(thing, name) for name in names} for thing in state)


def from_plain(things: Sequence[Mapping[str, Any]]) -> State:
    """The inverse of `to_plain`."""
    return tuple(Object(**thing) for thing in things)


def _on(thing: Object, within: float) -> bool:
    return max(abs(thing.x), abs(thing.y)) <= within + EXACT


def changed(before: Object, after: Object) -> Iterator[str]:
    """The functions that turn one thing into the other."""
    for function in FUNCTIONS:
        if function == MOVE:
            if max(abs(before.x - after.x), abs(before.y - after.y)) > EXACT:
                yield function
        elif getattr(before, attribute(function)) != getattr(after, attribute(function)):
            yield function
