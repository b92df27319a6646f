"""Images of scenes on disk, each rendered once."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from rft_scenes import scene as scenes
from rft_scenes.rendering import DEFAULT, RenderSettings, limit_threads, render
from rft_scenes.scene import Scene
from rftcore.images import ImageCache


def scene_images(
    settings: RenderSettings = DEFAULT, directory: Path | None = None
) -> ImageCache[Scene]:
    """A cache of rendered images, in `directory` or else in `scenes` of the cache folder.

    Worker processes render with one thread each.
    """
    return ImageCache(
        "scenes",
        partial(_content, settings),
        partial(_render, settings),
        partial(limit_threads, 1),
        directory,
    )


def _content(settings: RenderSettings, scene: Scene) -> str:
    size = settings.width, settings.height, settings.samples
    return json.dumps([scenes.GENERATOR_VERSION, scene.digest(), *size])


def _render(settings: RenderSettings, scene: Scene) -> bytes:
    return render(scene, settings)
