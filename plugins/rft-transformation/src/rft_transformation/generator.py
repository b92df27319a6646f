"""Sample a scene, then a change of it.

    seed -> start (objects on the plane, a camera, lights)
    (start, seed, number of calls) -> calls, steps of their moves, end

The names in `__all__` are public, also for other packages.

The state after each call of the answer is valid, the end is readable from every view,
and no other sequence of at most as many calls has an end that could be mistaken for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from random import Random

from rft_scenes import (
    Camera,
    Light,
    Object,
    Scene,
    SceneError,
    gap,
    legible,
    sample_setting,
    seen_from,
)
from rft_scenes.sampling import View

from rft_transformation.language import (
    COLORS,
    DIRECTIONS,
    FUNCTIONS,
    MATERIALS,
    MOVE,
    SHAPES,
    SIZES,
    attribute,
)
from rft_transformation.state import (
    GAP,
    LENGTHS,
    VISIBLE,
    State,
    changed,
    final,
    moved,
    replay,
    valid,
)
from rftcore.parsers import Call

__all__ = ["Change", "Start", "draw_change", "draw_start"]

FOV = 22.0  # degrees; shows the whole square from every view
VIEWS: tuple[View, ...] = ("centre", "left", "right")
BLUR = 0.5  # positions closer than this may look the same, world units
TRIES, RESTARTS = 100, 200  # positions of one object, arrangements of all
DRAWS, VALUES = 200, 40  # sets of calls for a scene, values for one set


@dataclass(frozen=True)
class Start:
    """The first image: objects by number, a central camera, lights."""

    state: State
    camera: Camera
    lights: tuple[Light, ...]

    def scene(self, state: State, view: View) -> Scene:
        """The scene of a state of these objects from a view."""
        return Scene(state, seen_from(self.camera, view), self.lights)


@dataclass(frozen=True)
class Change:
    """The gold's calls, ordered by object and function, the steps of each move, the end."""

    calls: tuple[Call, ...]
    moves: tuple[int, ...]
    end: State


def draw_start(rng: Random, count: int, setting: int) -> Start:
    """Sample `count` different objects on the visible square, legible from every view.

    `setting`: the seed of camera and lights. Only `rng.random` is used.
    Raises: SceneError if no arrangement is found.
    """
    camera, lights = sample_setting(setting, fov=FOV)
    cameras = [seen_from(camera, view) for view in VIEWS]
    for _ in range(RESTARTS):
        placed = _arranged(_things(rng, count), cameras, rng)
        if placed is not None:
            return Start(placed, camera, lights)
    raise SceneError(f"no room for {count} objects in {RESTARTS} attempts: ask for fewer")


def draw_change(start: Start, rng: Random, count: int) -> Change:
    """Sample `count` calls that each change another attribute of an object.

    Objects and functions are drawn first and only values are redrawn, so that rejection does
    not change their frequencies.
    Raises: SceneError if no valid change is found.
    """
    cameras = [seen_from(start.camera, view) for view in VIEWS]
    pairs = list(product(range(len(start.state)), FUNCTIONS))
    for _ in range(DRAWS):
        chosen = _some(rng, pairs, count)
        for _ in range(VALUES):
            change = _drawn(start.state, chosen, rng)
            if _good(start.state, change, cameras):
                return change
    raise SceneError(
        f"no valid change with {count} calls for this scene in {DRAWS} attempts: use fewer"
    )


def _things(rng: Random, count: int) -> list[Object]:
    """Objects with different descriptions, so that each can be identified in the image."""
    descriptions: dict[tuple[str, str, str, str], None] = {}
    while len(descriptions) < count:
        shape, size = _pick(rng, SHAPES), _pick(rng, SIZES)
        descriptions[shape, size, _pick(rng, COLORS), _pick(rng, MATERIALS)] = None
    return [Object(*one, 0.0, 0.0, round(rng.random() * 360, 4)) for one in descriptions]


def _arranged(things: Sequence[Object], cameras: Sequence[Camera], rng: Random) -> State | None:
    """Place the objects one by one; None if there is no place for one."""
    placed: list[Object] = []
    for thing in things:
        for _ in range(TRIES):
            x, y = (round((2 * rng.random() - 1) * VISIBLE, 4) for _ in "xy")
            there = replace(thing, x=x, y=y)
            if all(gap(there, other) >= GAP for other in placed) and _readable(
                (*placed, there), cameras
            ):
                placed.append(there)
                break
        else:
            return None
    return tuple(placed)


def _drawn(state: State, chosen: Sequence[tuple[int, str]], rng: Random) -> Change:
    """Draw values that differ from the present ones, and steps for the moves."""
    calls, moves = [], []
    for number, function in chosen:
        if function == MOVE:
            calls.append(Call(function, number, _pick(rng, tuple(DIRECTIONS))))
            moves.append(LENGTHS[int(rng.random() * len(LENGTHS))])
        else:
            now = getattr(state[number], attribute(function))
            others = tuple(value for value in FUNCTIONS[function] if value != now)
            calls.append(Call(function, number, _pick(rng, others)))
    return Change(tuple(calls), tuple(moves), final(state, calls, moves))


def _good(start: State, change: Change, cameras: Sequence[Camera]) -> bool:
    states = replay(start, change.calls, change.moves)
    return (
        all(valid(state, within=VISIBLE) for state in states)
        and _readable(change.end, cameras)
        and _is_shortest(start, change)
    )


def _readable(state: State, cameras: Sequence[Camera]) -> bool:
    return all(legible(state, camera) for camera in cameras)


def _is_shortest(start: State, change: Change) -> bool:
    """Whether every reading that exchanges two or three objects needs more calls than the gold.

    An image does not show numbers: two objects that swapped colors may look as if they had
    swapped positions. Positions within `BLUR` count as equal.
    """
    numbers = range(len(start))
    cost = {
        (one, other): _cost(start[one], change.end[other])
        for one, other in product(numbers, numbers)
    }
    return all(
        sum(cost[pair] for pair in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        > sum(cost[number, number] for number in cycle)
        for cycle in _cycles(numbers)
    )


def _cycles(numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    yield from combinations(numbers, 2)
    yield from (cycle for cycle in permutations(numbers, 3) if cycle[0] == min(cycle))


def _cost(before: Object, after: Object) -> float:
    """The number of calls that turn one object into the other; infinite if no move does."""
    attributes = sum(function != MOVE for function in changed(before, after))
    return attributes + _moves(before, after)


def _moves(before: Object, after: Object) -> float:
    if _near(before.x, before.y, after):
        return 0
    ends = (moved(before.x, before.y, to, steps) for to in DIRECTIONS for steps in LENGTHS)
    return 1 if any(_near(x, y, after) for x, y in ends) else float("inf")


def _near(x: float, y: float, thing: Object) -> bool:
    return max(abs(thing.x - x), abs(thing.y - y)) <= BLUR


def _some(rng: Random, pairs: Sequence[tuple[int, str]], count: int) -> list[tuple[int, str]]:
    """`count` different pairs, in the order of `pairs`."""
    left = list(range(len(pairs)))
    taken = [left.pop(int(rng.random() * len(left))) for _ in range(count)]
    return [pairs[at] for at in sorted(taken)]


def _pick(rng: Random, options: Sequence[str]) -> str:
    return options[int(rng.random() * len(options))]
