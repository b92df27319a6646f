"""Sample a scene from a seed such that its image is readable.

The objects are drawn first; then only their positions are redrawn until the rules
hold, so that crowded scenes are not biased towards small objects. Only a set
without any arrangement (say ten large aeroplanes) is replaced. Only `Random.random`
is used, whose sequence Python guarantees, and values are rounded: the same seed
gives the same scene on every machine.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from random import Random
from typing import Literal

from rft_scenes.geometry import Spot, gap, scale, spot
from rft_scenes.scene import (
    ALL_MATERIALS,
    ALL_SIZES,
    COLORS,
    MATERIALS,
    SHAPES,
    SIZES,
    VEHICLES,
    Camera,
    Light,
    Object,
    Scene,
    SceneError,
)

World = Literal["shapes", "vehicles"]
View = Literal["centre", "left", "right"]

MAX_OBJECTS = 10
FOV = 19.0  # horizontal, degrees
FLOOR = 5.0  # half the side of the square of possible positions, world units
GAP = 0.10  # least distance between two footprints, world units
MARGIN = 0.015  # free margin around an object's disc, share of the width
APART = 0.10  # least distance of two centers in the image, share of the width
FREE = 1.25  # least distance of a farther center from a nearer object, in radii of the nearer
SHOWN = 0.4  # visible part of a farther object's nearer half, in radii: 0.7 of its width
ORDERED = 0.025  # least difference in u, so that the order from left to right is unambiguous
TRIES, RESTARTS, DRAWS = 150, 60, 12  # of positions, arrangements, sets of objects

_TURN: dict[View, float] = {"centre": 0.0, "left": -40.0, "right": 40.0}
_SWING = {"car": 55.0, "bus": 45.0, "bicycle": 35.0, "motorbike": 40.0, "aeroplane": 180.0}


def sample_scene(
    seed: int,
    *,
    world: World = "shapes",
    objects: int,
    sizes: Sequence[str] = SIZES,
    materials: Sequence[str] = MATERIALS,
    view: View = "centre",
) -> Scene:
    """Sample a scene; the same arguments give the same scene on every machine.

    Every attribute is uniform and independent. No two footprints touch, every
    object is inside the frame, no visual center is covered by a nearer object,
    and the order from left to right is unambiguous (the constants above).
    Requires: 1 <= objects <= 10; sizes and materials of `ALL_SIZES`, `ALL_MATERIALS`.
    Raises: SceneError for other arguments, or if no arrangement is found.
    """
    _check(world, objects, sizes, materials, view)
    key = f"{seed}|{world}|{objects}|{','.join(sizes)}|{','.join(materials)}|{view}"
    rng = _rng(key)
    camera, lights = _camera(rng, view), _lights(rng)
    for draw in range(DRAWS):
        things = [_thing(rng, world, sizes, materials, camera) for _ in range(objects)]
        for restart in range(RESTARTS):
            placed = _arrange(things, camera, _rng(f"{key}|{draw}|{restart}"))
            if placed is not None:
                placed.sort(key=lambda thing: spot(thing, camera).u)
                return Scene(tuple(placed), camera, lights)
    raise SceneError(
        f"no room for {objects} {world} of sizes {'/'.join(sizes)} (seed {seed}) in "
        f"{DRAWS * RESTARTS} attempts: ask for fewer objects or allow smaller ones"
    )


def sample_setting(seed: int, *, fov: float = FOV) -> tuple[Camera, tuple[Light, ...]]:
    """Sample a central camera and lights, for a scene whose objects are arranged elsewhere.

    `fov`: horizontal, in degrees; a larger one shows more of the floor, at a smaller scale.
    """
    rng = _rng(f"{seed}|setting")
    return replace(_camera(rng, "centre"), fov=fov), _lights(rng)


def seen_from(camera: Camera, view: View) -> Camera:
    """The camera rotated about the vertical through the origin to another view.

    Raises: SceneError for an unknown view.
    """
    if view not in _TURN:
        raise SceneError(f"view {view!r}: use one of {', '.join(_TURN)}")
    return replace(camera, azimuth=round(camera.azimuth + _TURN[view], 4))


def legible(things: Sequence[Object], camera: Camera) -> bool:
    """Whether all objects are in the frame and no nearer one covers much of a farther one."""
    spots = [spot(thing, camera) for thing in things]
    return all(_inside(seen) for seen in spots) and all(
        _uncovered(one, two, SHOWN) for one, two in combinations(spots, 2)
    )


def _check(
    world: str, objects: int, sizes: Sequence[str], materials: Sequence[str], view: str
) -> None:
    if world not in ("shapes", "vehicles"):
        raise SceneError(f"world {world!r}: use 'shapes' or 'vehicles'")
    if view not in _TURN:
        raise SceneError(f"view {view!r}: use one of {', '.join(_TURN)}")
    if not 1 <= objects <= MAX_OBJECTS:
        raise SceneError(f"objects={objects}: use 1 to {MAX_OBJECTS}, or the image is not readable")
    for name, given, known in (
        ("sizes", sizes, ALL_SIZES),
        ("materials", materials, ALL_MATERIALS),
    ):
        if isinstance(given, str) or not given or not set(given) <= set(known):
            raise SceneError(f"{name}={given!r}: use one or more of {', '.join(known)}")


def _rng(key: str) -> Random:
    return Random(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"))


def _pick(rng: Random, options: Sequence[str]) -> str:
    return options[int(rng.random() * len(options))]


def _between(rng: Random, low: float, high: float) -> float:
    return round(low + (high - low) * rng.random(), 4)


def _camera(rng: Random, view: View) -> Camera:
    turn = _TURN[view]
    return Camera(
        azimuth=_between(rng, turn - 5, turn + 5),
        elevation=_between(rng, 45.5, 49.5),
        distance=_between(rng, 19.6, 20.4),
        fov=FOV,
        target=(_between(rng, -0.1, 0.1), _between(rng, -0.1, 0.1), 0.3),
    )


def _lights(rng: Random) -> tuple[Light, ...]:
    """A bright key from the left and a fill from the right, jittered as in CLEVR."""

    def lamp(x: float, y: float, z: float, dim: float, bright: float) -> Light:
        at = (_between(rng, x - 1, x + 1), _between(rng, y - 1, y + 1), _between(rng, z - 1, z + 1))
        return Light(at, _between(rng, dim, bright))

    return (lamp(-6, -4, 10, 200, 240), lamp(7, 2, 9, 50, 70))


def _thing(
    rng: Random, world: World, sizes: Sequence[str], materials: Sequence[str], camera: Camera
) -> Object:
    shape = _pick(rng, SHAPES if world == "shapes" else tuple(VEHICLES))
    swing = _SWING.get(shape, 180.0)
    side = 0.0 if rng.random() < 0.5 else 180.0  # a vehicle is seen from its left or right
    return Object(
        shape=shape,
        size=_pick(rng, sizes),
        color=_pick(rng, COLORS),
        material=_pick(rng, materials),
        x=0.0,
        y=0.0,
        rotation=round((camera.azimuth + side + _between(rng, -swing, swing)) % 360, 4),
        variant=_pick(rng, VEHICLES[shape]) if world == "vehicles" else None,
    )


def _arrange(things: Sequence[Object], camera: Camera, rng: Random) -> list[Object] | None:
    """Place the objects one by one, large ones first; None if there is no place for one."""
    placed: list[tuple[Object, Spot]] = []
    for thing in sorted(things, key=scale, reverse=True):
        for _ in range(TRIES):
            moved = replace(thing, x=_between(rng, -FLOOR, FLOOR), y=_between(rng, -FLOOR, FLOOR))
            seen = spot(moved, camera)
            if _inside(seen) and all(
                _readable(seen, where) and gap(moved, other) >= GAP for other, where in placed
            ):
                placed.append((moved, seen))
                break
        else:
            return None
    return [thing for thing, _ in placed]


def _inside(seen: Spot) -> bool:
    edge = seen.radius * 1.1 + MARGIN  # a cube's corner extends past its disc
    return edge <= seen.u <= 1 - edge and edge <= seen.v <= 1 - edge


def _readable(one: Spot, two: Spot) -> bool:
    return abs(one.u - two.u) >= ORDERED and _uncovered(one, two)


def _uncovered(one: Spot, two: Spot, shown: float = 0.0) -> bool:
    """Whether the nearer object leaves the farther center visible, and `shown` radii beside it."""
    nearer, farther = (one, two) if one.depth < two.depth else (two, one)
    apart = math.hypot(one.u - two.u, one.v - two.v)
    return apart >= max(APART, nearer.radius * FREE, nearer.radius + shown * farther.radius)
