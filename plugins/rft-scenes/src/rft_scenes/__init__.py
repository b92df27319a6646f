"""3D scenes as values: sampled from a seed, projected, rendered, cached.

Importing this package is fast: Mitsuba, numpy and Pillow load when the first
image is drawn.
"""

from rft_scenes.cache import scene_images
from rft_scenes.geometry import Spot, gap, project
from rft_scenes.rendering import RenderSettings, render
from rft_scenes.sampling import legible, sample_scene, sample_setting, seen_from
from rft_scenes.scene import (
    ALL_MATERIALS,
    ALL_SIZES,
    COLORS,
    GENERATOR_VERSION,
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

__all__ = [
    "ALL_MATERIALS",
    "ALL_SIZES",
    "COLORS",
    "GENERATOR_VERSION",
    "MATERIALS",
    "SHAPES",
    "SIZES",
    "VEHICLES",
    "Camera",
    "Light",
    "Object",
    "RenderSettings",
    "Scene",
    "SceneError",
    "Spot",
    "gap",
    "legible",
    "project",
    "render",
    "sample_scene",
    "sample_setting",
    "scene_images",
    "seen_from",
]
