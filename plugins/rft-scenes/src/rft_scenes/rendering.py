"""Draw a scene with Mitsuba 3 (variant scalar_rgb): no display, no GPU.

    image = path tracing with at most `BOUNCES` segments: light, floor, one reflection

Every model is built once per process and placed as an instance, so most of the time of
an image is tracing rays. Mitsuba, numpy and Pillow load on first use.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

from rft_scenes.geometry import CUBE, CYLINDER, origin, scale
from rft_scenes.scene import Camera, Light, Object, Scene
from rft_scenes.vehicles import Ball, Box, Part, Point, Rod, parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]  # linear RGB, (height, width, 3)

BOUNCES = 3
GLASS = 0.48  # share of a glass object in a pixel; the rest is the background
FLOOR = (0.50, 0.34)  # reflectance in the middle and at the edge
FLOOR_SIZE, FLOOR_FADE = 30.0, 7.0  # half its side; radius of the bright middle; world units
SKY = (0.55, 0.30)  # radiance at the horizon and overhead
PANEL = 1.2  # radiance of a soft panel behind the scene, which metal reflects
PANEL_RISE, PANEL_SPREAD = 45.0, 20.0  # its height and width in degrees
PANEL_STEP = 40.0  # degrees: the panel follows the camera in steps of this
SKY_ROWS = 64
BULGE = 0.35  # outward tilt of the normals of a metal face, for a highlight

Color = tuple[float, float, float]

# sRGB in [0, 1]. Rubber is darker than metal: a tube two pixels wide has no highlight,
# so only its tone distinguishes the material. Glass lets the floor through.
_RUBBER = {
    "gray": (0.36, 0.36, 0.36),
    "red": (0.80, 0.12, 0.12),
    "blue": (0.14, 0.26, 0.86),
    "green": (0.10, 0.52, 0.12),
    "brown": (0.47, 0.27, 0.11),
    "purple": (0.52, 0.14, 0.72),
    "cyan": (0.14, 0.78, 0.80),
    "yellow": (0.96, 0.84, 0.10),
}
_METAL = {
    "gray": (0.74, 0.74, 0.74),
    "red": (1.00, 0.30, 0.26),
    "blue": (0.34, 0.50, 1.00),
    "green": (0.30, 0.80, 0.32),
    "brown": (0.72, 0.45, 0.24),
    "purple": (0.78, 0.38, 1.00),
    "cyan": (0.40, 0.98, 1.00),
    "yellow": (1.00, 0.95, 0.38),
}
_GLASS = {
    "gray": (0.26, 0.26, 0.26),
    "red": (0.98, 0.16, 0.16),
    "blue": (0.20, 0.38, 1.00),
    "green": (0.14, 0.76, 0.18),
    "brown": (0.62, 0.34, 0.12),
    "purple": (0.76, 0.22, 1.00),
    "cyan": (0.20, 1.00, 1.00),
    "yellow": (1.00, 0.96, 0.14),
}
_PAINT = {"tire": (0.13, 0.13, 0.14), "window": (0.17, 0.20, 0.25), "trim": (0.75, 0.75, 0.77)}


@dataclass(frozen=True)
class RenderSettings:
    """Size in pixels, and samples per pixel."""

    width: int = 128
    height: int = 128
    samples: int = 4


DEFAULT = RenderSettings()


def render(scene: Scene, settings: RenderSettings = DEFAULT) -> bytes:
    """Draw a scene as PNG bytes, RGB, 8 bits; the same scene gives the same pixels.

    Glass is drawn as a double exposure: a share `GLASS` of the scene, the rest of it without
    its glass objects. At four samples per pixel, traced refraction would be too noisy.
    """
    opaque = tuple(thing for thing in scene.objects if thing.material != "glass")
    if opaque == scene.objects:
        return _png(_film(scene, settings, seed=0))
    half = replace(settings, samples=max(1, settings.samples // 2))
    behind = _film(replace(scene, objects=opaque), half, seed=1)  # another seed: independent noise
    return _png(GLASS * _film(scene, half, seed=0) + (1 - GLASS) * behind)


def _film(scene: Scene, settings: RenderSettings, seed: int) -> Pixels:
    """Linear RGB. Shape: (height, width, 3)."""
    import numpy as np

    mi = _mitsuba()
    world = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": BOUNCES, "rr_depth": 99},
        "sensor": _sensor(scene.camera, settings),
        "floor": _floor(),
        "sky": _sky(_turn(scene.camera)),
    }
    world |= {f"lamp{i}": _lamp(light) for i, light in enumerate(scene.lights)}
    world |= {_model(thing): _group(*_appearance(thing)) for thing in scene.objects}
    world |= {f"thing{i}": _placed(thing) for i, thing in enumerate(scene.objects)}
    film = mi.render(mi.load_dict(world, parallel=False, optimize=False), seed=seed)
    return np.asarray(film)[..., :3]


def limit_threads(count: int) -> None:
    """Set the number of threads that this process renders with."""
    _mitsuba()
    import drjit

    drjit.set_thread_count(count)


@cache
def _mitsuba() -> Any:
    import mitsuba

    mitsuba.set_variant("scalar_rgb")
    return mitsuba


def _png(film: Pixels) -> bytes:
    import numpy as np
    from PIL import Image

    linear = np.clip(_despeckled(film), 0, 1)  # (height, width, 3)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    buffer = io.BytesIO()
    Image.fromarray((srgb * 255 + 0.5).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _despeckled(image: Pixels) -> Pixels:
    """Clip each pixel to the second lowest and second highest of its eight neighbors.

    This removes single bright pixels. A line one pixel wide has two neighbors of its own color
    and is kept. Shape: (height, width, 3), as the result.
    """
    import numpy as np

    height, width, _ = image.shape
    framed = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    low = second_low = np.full_like(image, np.inf)
    high = second_high = np.full_like(image, -np.inf)
    for row, column in product(range(3), repeat=2):
        if row == column == 1:
            continue
        near = framed[row : row + height, column : column + width]
        second_low = np.minimum(second_low, np.maximum(low, near))
        low = np.minimum(low, near)
        second_high = np.maximum(second_high, np.minimum(high, near))
        high = np.maximum(high, near)
    return np.clip(image, second_low, second_high)


def _sensor(camera: Camera, settings: RenderSettings) -> dict[str, Any]:
    mi = _mitsuba()
    return {
        "type": "perspective",
        "fov": camera.fov,
        "fov_axis": "x",
        "to_world": mi.ScalarTransform4f().look_at(
            origin=list(origin(camera)), target=list(camera.target), up=[0, 0, 1]
        ),
        "film": {
            "type": "hdrfilm",
            "width": settings.width,
            "height": settings.height,
            "pixel_format": "rgb",
            "component_format": "float32",
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "multijitter", "sample_count": settings.samples},
    }


@cache
def _floor() -> Any:
    """A gray square, lighter in the middle, whose edge is far outside every image."""
    import numpy as np

    mi = _mitsuba()
    line = np.linspace(-FLOOR_SIZE, FLOOR_SIZE, 128)
    fade = np.exp(-np.add.outer(line**2, line**2) / FLOOR_FADE**2)  # (128, 128)
    gray = FLOOR[1] + (FLOOR[0] - FLOOR[1]) * fade
    bitmap = mi.Bitmap(gray[..., None].astype(np.float32))
    texture = {"type": "bitmap", "bitmap": bitmap, "raw": True, "wrap_mode": "clamp"}
    return mi.load_dict(
        {
            "type": "rectangle",
            "to_world": mi.ScalarTransform4f().scale(FLOOR_SIZE),
            "bsdf": {"type": "diffuse", "reflectance": texture},
        }
    )


def _turn(camera: Camera) -> float:
    """Rotation of the panel with the camera, in degrees; 0 for a camera near the center."""
    return PANEL_STEP * round(camera.azimuth / PANEL_STEP)


@cache
def _sky(turned: float) -> Any:
    """Soft light from all around and a bright panel, rotated `turned` degrees about the vertical.

    It is not sampled as a light: its value is almost the same in all directions of a
    diffuse bounce, so four samples per pixel have little noise.
    """
    import numpy as np

    mi = _mitsuba()
    tilt = (np.arange(SKY_ROWS) + 0.5) / SKY_ROWS * np.pi  # from overhead
    turn = (np.arange(2 * SKY_ROWS) + 0.5) / SKY_ROWS * np.pi  # from +y towards +x
    rise = np.cos(tilt)[:, None] * np.ones_like(turn)  # (SKY_ROWS, 2 SKY_ROWS)
    back = np.sin(tilt)[:, None] * np.cos(turn)
    height = math.radians(PANEL_RISE)
    toward = np.clip(rise * math.sin(height) + back * math.cos(height), -1, 1)
    panel = np.exp(-((np.degrees(np.arccos(toward)) / PANEL_SPREAD) ** 2))
    glow = SKY[0] + (SKY[1] - SKY[0]) * np.clip(rise, 0, 1) + PANEL * panel
    return mi.load_dict(
        {
            "type": "envmap",
            "bitmap": mi.Bitmap(np.repeat(glow[..., None], 3, axis=-1).astype(np.float32)),
            "to_world": mi.ScalarTransform4f().rotate([0, 0, 1], turned)
            @ mi.ScalarTransform4f().rotate([1, 0, 0], 90),  # its y axis is up
            "sampling_weight": 0.0,
        }
    )


def _lamp(light: Light) -> dict[str, Any]:
    """A point light. Two share a pixel's stratified samples evenly, so they add no noise."""
    return {
        "type": "point",
        "position": list(light.position),
        "intensity": {"type": "rgb", "value": light.intensity},
    }


def _matte(color: Color) -> dict[str, Any]:
    reflectance = {"type": "rgb", "value": _linear(color)}
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": reflectance}}


def _linear(color: Color) -> list[float]:
    """SRGB to linear light."""
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]


@cache
def _skin(color: str, material: str) -> Any:
    """The Mitsuba material of an object's body."""
    if material == "rubber":
        skin = _matte(_RUBBER[color])
    else:  # glass reflects like metal; the double exposure adds what is behind it
        tint = _linear(_METAL[color] if material == "metal" else _GLASS[color])
        skin = {
            "type": "twosided",
            "bsdf": {
                "type": "roughconductor",
                "alpha": 0.10,
                "material": "none",
                "specular_reflectance": {"type": "rgb", "value": tint},
            },
        }
    return _mitsuba().load_dict(skin)


@cache
def _paint(name: str) -> Any:
    return _mitsuba().load_dict(_matte(_PAINT[name]))


def _appearance(thing: Object) -> tuple[str, str | None, str, str]:
    return thing.shape, thing.variant, thing.color, thing.material


def _model(thing: Object) -> str:
    return "-".join(map(str, _appearance(thing)))


@cache
def _group(shape: str, variant: str | None, color: str, material: str) -> Any:
    """A model, built once per process; instances only add a transform."""
    skin, flat = _skin(color, material), material != "metal"
    model = _SOLIDS[shape] if variant is None else parts(shape, variant)
    pieces = [
        piece
        for part in model
        for piece in (
            _piece(part, skin, flat)
            if part.paint == "body"
            else _piece(part, _paint(part.paint), flat=True)
        )
    ]
    group = {"type": "shapegroup", **{f"piece{i}": piece for i, piece in enumerate(pieces)}}
    return _mitsuba().load_dict(group, parallel=False)


def _placed(thing: Object) -> dict[str, Any]:
    mi = _mitsuba()
    place = mi.ScalarTransform4f().translate([thing.x, thing.y, 0])
    turned = place @ mi.ScalarTransform4f().rotate([0, 0, 1], thing.rotation)
    return {
        "type": "instance",
        "to_world": turned @ mi.ScalarTransform4f().scale(scale(thing)),
        "shapegroup": _group(*_appearance(thing)),
    }


# Unit shapes on the floor.
_SOLIDS: dict[str, tuple[Part, ...]] = {
    "cube": (Box((0, 0, CUBE), (CUBE, CUBE, CUBE)),),
    "sphere": (Ball((0, 0, 1), 1),),
    "cylinder": (Rod((0, 0, 0), (0, 0, 2 * CYLINDER), CYLINDER),),
}


def _piece(part: Part, bsdf: Any, flat: bool) -> list[Any]:
    """A part as Mitsuba shapes; a rod is a cylinder and two discs."""
    at = _mitsuba().ScalarTransform4f
    if isinstance(part, Ball):
        return [
            {"type": "sphere", "center": list(part.center), "radius": part.radius, "bsdf": bsdf}
        ]
    if isinstance(part, Box):
        turned = at().rotate([0, 0, 1], part.yaw) @ at().rotate([0, 1, 0], part.pitch)
        place = at().translate(list(part.center)) @ turned @ at().scale(list(part.half))
        cube = {"type": "cube", "to_world": place, "bsdf": bsdf}
        return [cube if flat else _bulged(cube)]
    ends = {"p0": list(part.start), "p1": list(part.end)}
    side = {"type": "cylinder", **ends, "radius": part.radius, "bsdf": bsdf}
    return [
        side,
        _cap(part.end, part.start, part.radius, bsdf),
        _cap(part.start, part.end, part.radius, bsdf),
    ]


def _bulged(cube: dict[str, Any]) -> Any:
    """The cube with normals tilted outwards: a flat metal face would have no highlight."""
    import numpy as np

    mi = _mitsuba()
    mesh = mi.load_dict(cube)
    values = mi.traverse(mesh)
    place = np.array(values["vertex_positions"]).reshape(-1, 3)
    normal = np.array(values["vertex_normals"]).reshape(-1, 3)
    outward = place - place.mean(axis=0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    tilted = normal + BULGE * outward
    tilted /= np.linalg.norm(tilted, axis=1, keepdims=True)
    values["vertex_normals"] = tilted.astype(np.float32).ravel()
    values.update()
    return mesh


def _cap(at: Point, away: Point, radius: float, bsdf: Any) -> dict[str, Any]:
    """The disc at the end `at` of a rod, which faces away from the other end."""
    mi = _mitsuba()
    axis = [a - b for a, b in zip(at, away, strict=True)]
    aside = [1, 0, 0] if abs(axis[2]) > 0.9 * math.hypot(*axis) else [0, 0, 1]
    outward = [a + d for a, d in zip(at, axis, strict=True)]
    facing = mi.ScalarTransform4f().look_at(origin=list(at), target=outward, up=aside)
    return {"type": "disk", "to_world": facing @ mi.ScalarTransform4f().scale(radius), "bsdf": bsdf}
