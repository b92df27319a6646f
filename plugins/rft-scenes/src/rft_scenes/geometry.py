"""Sizes of objects, and their positions on the floor and in the image.

The sampler and the renderer both use these, so the sampler checks the scene
that is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rft_scenes.scene import SHAPES, Camera, Object, Scene

Vector = tuple[float, float, float]

RADII = {"small": 0.38, "medium": 0.55, "large": 0.76}  # of a sphere, world units
LENGTHS = {
    "small": 0.56,
    "medium": 0.76,
    "large": 0.95,
}  # of half a vehicle, longer: thin parts need pixels
CUBE, CYLINDER = 0.75, 0.85  # half an edge; radius and half the height; unit: the sphere's radius
_HEIGHT = {  # of the visual center, in units of `scale`
    "cube": CUBE,
    "sphere": 1.0,
    "cylinder": CYLINDER,
    "car": 0.35,
    "bus": 0.5,
    "bicycle": 0.45,
    "motorbike": 0.4,
    "aeroplane": 0.35,
}
# Discs on the floor that contain the object: (offsets along its length, radius).
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
    """The position of an object's visual center in the image.

    `u`, `v` are in [0, 1] from the top left if inside the frame; `radius` is a
    share of the image width; `depth` is the distance along the view axis in world units.
    """

    u: float
    v: float
    radius: float
    depth: float


def scale(thing: Object) -> float:
    """World units per unit of the object's model."""
    return RADII[thing.size] if thing.shape in SHAPES else LENGTHS[thing.size]


def footprint(thing: Object) -> tuple[tuple[float, float, float], ...]:
    """Discs on the floor (x, y, radius in world units) that contain the rotated object."""
    offsets, radius = _FOOTPRINT[thing.shape]
    size, turn = scale(thing), math.radians(thing.rotation)
    along, across = size * math.cos(turn), size * math.sin(turn)
    return tuple((thing.x + o * along, thing.y + o * across, radius * size) for o in offsets)


def gap(one: Object, two: Object) -> float:
    """Distance between two footprints in world units; negative if they overlap."""
    return min(
        math.hypot(ax - bx, ay - by) - ar - br
        for ax, ay, ar in footprint(one)
        for bx, by, br in footprint(two)
    )


def center(thing: Object) -> Vector:
    """The visual center of an object in world units."""
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
    """The position of the camera in world units."""
    forward = axes(camera)[2]
    x, y, z = (t - camera.distance * f for t, f in zip(camera.target, forward, strict=True))
    return (x, y, z)


def spot(thing: Object, camera: Camera) -> Spot:
    """Project one object: u = 1/2 + (p . right) / (2 z tan(fov/2)), v likewise, downwards."""
    offset = [c - o for c, o in zip(center(thing), origin(camera), strict=True)]
    across, above, depth = (
        sum(a * b for a, b in zip(axis, offset, strict=True)) for axis in axes(camera)
    )
    span = 2 * depth * math.tan(math.radians(camera.fov) / 2)  # width of the image in world units
    return Spot(0.5 + across / span, 0.5 - above / span, scale(thing) / span, depth)


def project(scene: Scene) -> tuple[Spot, ...]:
    """One `Spot` per object, in the scene's order, for a square image."""
    return tuple(spot(thing, scene.camera) for thing in scene.objects)
