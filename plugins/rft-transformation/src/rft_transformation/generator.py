"""Draw a scene, and then what happens to it.

    seed -> start (objects on the plane, a camera, lights)
    (start, seed, number of calls) -> calls, their moves, the end

For other packages too: the names in `__all__`.

Every state on the way is lawful in the order in which the answer names the
calls, the end can be read from every view, and no shorter or equally short
story ends in a picture that a person could take for it.
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
    lawful,
    moved,
    replay,
)
from rftcore.parsers import Call

__all__ = ["Change", "Start", "draw_change", "draw_start"]

FOV = 22.0  # degrees: the whole square, from any side
VIEWS: tuple[View, ...] = ("centre", "left", "right")
BLUR = 0.5  # how far off a place may seem (world units): what counts as the same story
TRIES, RESTARTS = 100, 200  # places of one thing, arrangements of all
DRAWS, VALUES = 200, 40  # sets of calls for a scene, values for one set


@dataclass(frozen=True)
class Start:
    """The first picture: objects by number, as seen from the centre."""

    state: State
    camera: Camera
    lights: tuple[Light, ...]

    def scene(self, state: State, view: View) -> Scene:
        """A state of these objects from one of the views."""
        return Scene(state, seen_from(self.camera, view), self.lights)


@dataclass(frozen=True)
class Change:
    """The gold calls by object and function, the steps of each move, the end."""

    calls: tuple[Call, ...]
    moves: tuple[int, ...]
    end: State


def draw_start(rng: Random, count: int, setting: int) -> Start:
    """`count` objects, no two alike, on the visible square, legible from every view.

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
    """`count` calls that each change something, no two the same attribute of one object.

    Objects and functions are drawn first and keep their chances: only values are redrawn.
    Raises: SceneError if nothing lawful is found.
    """
    cameras = [seen_from(start.camera, view) for view in VIEWS]
    pairs = list(product(range(len(start.state)), FUNCTIONS))
    for _ in range(DRAWS):
        chosen = _some(rng, pairs, count)
        for _ in range(VALUES):
            change = _drawn(start.state, chosen, rng)
            if _good(start.state, change, cameras):
                return change
    raise SceneError(f"no lawful {count} calls for this scene in {DRAWS} attempts")


def _things(rng: Random, count: int) -> list[Object]:
    """Different in what is listed: a number must mean one thing in the picture."""
    looks: dict[tuple[str, str, str, str], None] = {}
    while len(looks) < count:
        shape, size = _pick(rng, SHAPES), _pick(rng, SIZES)
        looks[shape, size, _pick(rng, COLORS), _pick(rng, MATERIALS)] = None
    return [Object(*look, 0.0, 0.0, round(rng.random() * 360, 4)) for look in looks]


def _arranged(things: Sequence[Object], cameras: Sequence[Camera], rng: Random) -> State | None:
    """Every thing somewhere, or None when one finds no room."""
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
    """Values that differ from what is there, and steps for the moves."""
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
    on_the_way = replay(start, change.calls, change.moves)
    return (
        all(lawful(state, within=VISIBLE) for state in on_the_way)
        and _readable(change.end, cameras)
        and _one_story(start, change)
    )


def _readable(state: State, cameras: Sequence[Camera]) -> bool:
    return all(legible(state, camera) for camera in cameras)


def _one_story(start: State, change: Change) -> bool:
    """Whether every exchange of two or three things is a longer story than the gold's.

    A picture shows no numbers: that two things swapped colours may look as if they had
    swapped places. Places count as reached within `BLUR`.
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
    """How many calls turn one thing into the other; infinite where no one move leads."""
    looks = sum(function != MOVE for function in changed(before, after))
    return looks + _way(before, after)


def _way(before: Object, after: Object) -> float:
    if _near(before.x, before.y, after):
        return 0
    ends = (moved(before.x, before.y, to, steps) for to in DIRECTIONS for steps in LENGTHS)
    return 1 if any(_near(x, y, after) for x, y in ends) else float("inf")


def _near(x: float, y: float, thing: Object) -> bool:
    return max(abs(thing.x - x), abs(thing.y - y)) <= BLUR


def _some(rng: Random, pairs: Sequence[tuple[int, str]], count: int) -> list[tuple[int, str]]:
    """`count` different pairs in their order."""
    left = list(range(len(pairs)))
    taken = [left.pop(int(rng.random() * len(left))) for _ in range(count)]
    return [pairs[at] for at in sorted(taken)]


def _pick(rng: Random, options: Sequence[str]) -> str:
    return options[int(rng.random() * len(options))]
