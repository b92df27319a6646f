"""A 3D scene as a value: objects on a floor, a camera, lights.

Questions, answers and images are all computed from this value, so they are
consistent. This module imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

SHAPES = ("cube", "sphere", "cylinder")
SIZES = ("small", "large")
ALL_SIZES = ("small", "medium", "large")
COLORS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal")
ALL_MATERIALS = ("rubber", "metal", "glass")
VEHICLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "car": ("sedan", "suv", "wagon", "minivan", "truck"),
        "bus": ("articulated", "double", "regular", "school"),
        "bicycle": ("utility", "tandem", "road", "mountain"),
        "motorbike": ("chopper", "scooter", "cruiser", "dirtbike"),
        "aeroplane": ("airliner", "biplane", "jet", "fighter"),
    }
)

# Part of every cache key. Increase it when a pixel or a sampled value changes.
GENERATOR_VERSION = "2"


class SceneError(ValueError):
    """A scene that cannot be described or arranged."""


@dataclass(frozen=True)
class Object:
    """One object on the floor.

    For a vehicle, `shape` is its class ("car") and `variant` its model
    ("sedan"); a shape has no variant.
    Units: `x`, `y` in world units on the floor z = 0 (a large sphere has
    radius 0.76); `rotation` in degrees about the vertical, counterclockwise
    seen from above. A vehicle with rotation 0 points along +x.
    Raises: SceneError for an unknown shape, variant, size, color or material.
    """

    shape: str
    size: str
    color: str
    material: str
    x: float
    y: float
    rotation: float
    variant: str | None = None

    def __post_init__(self) -> None:
        models = {None} if self.shape in SHAPES else set(VEHICLES.get(self.shape, ()))
        if self.variant not in models:
            raise SceneError(
                f"no shape {self.shape!r} with variant {self.variant!r}: see SHAPES, VEHICLES"
            )
        for value, known in (
            (self.size, ALL_SIZES),
            (self.color, COLORS),
            (self.material, ALL_MATERIALS),
        ):
            if value not in known:
                raise SceneError(f"{value!r} is not one of {', '.join(known)}")


@dataclass(frozen=True)
class Camera:
    """A pinhole camera aimed at a point above the middle of the floor.

    Units: degrees, world units. At azimuth 0 the camera is at -y, with +x to its
    right; azimuth increases counterclockwise seen from above. `fov` is horizontal.
    """

    azimuth: float
    elevation: float
    distance: float
    fov: float
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Light:
    """A point light: its position in world units and its radiant intensity."""

    position: tuple[float, float, float]
    intensity: float


@dataclass(frozen=True)
class Scene:
    """Objects from left to right in the image, the camera, the lights."""

    objects: tuple[Object, ...]
    camera: Camera
    lights: tuple[Light, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))  # tuples become lists
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scene:
        """The inverse of `to_dict`."""
        camera = {**data["camera"], "target": tuple(data["camera"]["target"])}
        lights = ({**light, "position": tuple(light["position"])} for light in data["lights"])
        return cls(
            objects=tuple(Object(**item) for item in data["objects"]),
            camera=Camera(**camera),
            lights=tuple(Light(**light) for light in lights),
        )

    def digest(self) -> str:
        """Hex SHA-256 of the canonical JSON; equal scenes have equal digests."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
