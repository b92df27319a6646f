"""How big things are and where the camera sees them.

The sampler and the renderer both measure here, so a scene that was accepted
as readable is the scene that is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rft_scenes.scene import SHAPES, Camera, Object, Scene

Vector = tuple[float, float, float]

RADII = {"small": 0.38, "medium": 0.55, "large": 0.76}  # of a sphere, world units
LENGTHS = {"small": 0.56, "medium": 0.76, "large": 0.95}  # half a vehicle's: thin parts need pixels
CUBE, CYLINDER = 0.75, 0.85  # half an edge; radius and half the height: shares of the radius
_HEIGHT = {  # of the visual centre, in the unit of `scale`
    "cube": CUBE,
    "sphere": 1.0,
    "cylinder": CYLINDER,
    "car": 0.35,
    "bus": 0.5,
    "bicycle": 0.45,
    "motorbike": 0.4,
    "aeroplane": 0.35,
}
# Discs on the floor that hold the thing: (offsets along its length, their radius).
_ROW = ((-0.55, 0.0, 0.55), 0.47)
_FOOTPRINT = {
    "cube": ((0.0,), CUBE * math.sqrt(2)),
    "sphere": ((0.0,), 1.0),
    "cylinder": ((0.0,), CYLINDER),
    "car": _ROW,
    "bus": _ROW,
    "bicycle": _ROW,
    "motorbike": _ROW,
    "aeroplane": ((0.0,), 1.0),
}


@dataclass(frozen=True)
class Spot:
    """Where an object's visual centre falls in the picture.

    `u`, `v` in [0, 1] from the top left when inside the frame; `radius` is a
    share of the picture's width; `depth` is the distance along the view axis.
    """

    u: float
    v: float
    radius: float
    depth: float


def scale(thing: Object) -> float:
    """World units per unit of the thing's own model."""
    return RADII[thing.size] if thing.shape in SHAPES else LENGTHS[thing.size]


def footprint(thing: Object) -> tuple[tuple[float, float, float], ...]:
    """Floor discs (x, y, radius in world units) that hold the thing, as it is turned."""
    offsets, radius = _FOOTPRINT[thing.shape]
    size, turn = scale(thing), math.radians(thing.rotation)
    along, across = size * math.cos(turn), size * math.sin(turn)
    return tuple((thing.x + o * along, thing.y + o * across, radius * size) for o in offsets)


def gap(one: Object, two: Object) -> float:
    """Free floor between two footprints (world units); below zero they overlap."""
    return min(
        math.hypot(ax - bx, ay - by) - ar - br
        for ax, ay, ar in footprint(one)
        for bx, by, br in footprint(two)
    )


def centre(thing: Object) -> Vector:
    """The middle of what is seen of a thing (world units)."""
    return (thing.x, thing.y, _HEIGHT[thing.shape] * scale(thing))


def axes(camera: Camera) -> tuple[Vector, Vector, Vector]:
    """Unit vectors to the camera's right, up and forward."""
    turn, lift = math.radians(camera.azimuth), math.radians(camera.elevation)
    right = (math.cos(turn), math.sin(turn), 0.0)
    level = (-math.sin(turn), math.cos(turn))  # forward, flattened onto the floor
    forward = (level[0] * math.cos(lift), level[1] * math.cos(lift), -math.sin(lift))
    up = (level[0] * math.sin(lift), level[1] * math.sin(lift), math.cos(lift))
    return right, up, forward


def origin(camera: Camera) -> Vector:
    """Where the camera stands (world units)."""
    forward = axes(camera)[2]
    x, y, z = (t - camera.distance * f for t, f in zip(camera.target, forward, strict=True))
    return (x, y, z)


def spot(thing: Object, camera: Camera) -> Spot:
    """Project one thing: u = 1/2 + (p . right) / (2 z tan(fov/2)), v likewise, downwards."""
    offset = [c - o for c, o in zip(centre(thing), origin(camera), strict=True)]
    across, above, depth = (
        sum(a * b for a, b in zip(axis, offset, strict=True)) for axis in axes(camera)
    )
    span = 2 * depth * math.tan(math.radians(camera.fov) / 2)  # world units across the picture
    return Spot(0.5 + across / span, 0.5 - above / span, scale(thing) / span, depth)


def project(scene: Scene) -> tuple[Spot, ...]:
    """One `Spot` per object, in the scene's order, for a square picture."""
    return tuple(spot(thing, scene.camera) for thing in scene.objects)
