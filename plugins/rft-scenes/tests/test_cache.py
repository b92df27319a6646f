"""Laws of the renderer and of the image cache."""

import io
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rft_scenes import (
    ALL_MATERIALS,
    SHAPES,
    VEHICLES,
    Object,
    RenderSettings,
    Scene,
    project,
    render,
    sample_scene,
    sample_setting,
    scene,
    scene_images,
    seen_from,
)

from rftcore.images import cache

TINY = RenderSettings(width=16, height=16, samples=1)
SCENES = [sample_scene(seed, objects=1 + seed) for seed in range(4)]


def test_an_image_has_the_requested_size():
    image = Image.open(io.BytesIO(render(SCENES[1], RenderSettings(24, 16, 1))))

    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (24, 16))


def test_an_object_is_drawn_where_project_returns():
    first = sample_scene(5, objects=1)
    red = replace(first.objects[0], shape="sphere", size="large", color="red", material="rubber")
    shown = replace(first, objects=(red,))
    (spot,) = project(shown)
    r, g, b = Image.open(io.BytesIO(render(shown))).getpixel((int(spot.u * 128), int(spot.v * 128)))

    assert r > 2 * max(g, b)


def test_a_spawned_process_draws_the_same_pixels():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = pool.submit(render, SCENES[3], TINY).result()

    assert elsewhere == render(SCENES[3], TINY)


@pytest.mark.parametrize("material", ALL_MATERIALS)
def test_every_model_can_be_drawn(material):
    camera, lights = SCENES[0].camera, SCENES[0].lights
    models = [(shape, None) for shape in scene.SHAPES]
    models += [(shape, variant) for shape, variants in VEHICLES.items() for variant in variants]
    everything = tuple(
        Object(shape, "small", "cyan", material, i % 5 - 2.0, i // 5 - 2.0, 0.0, variant)
        for i, (shape, variant) in enumerate(models)
    )
    empty = render(Scene((), camera, lights), TINY)

    assert render(Scene(everything, camera, lights), TINY) != empty


def test_each_image_is_rendered_once_also_by_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FEW", 0)
    store = scene_images(TINY, tmp_path)
    files = store.draw_all(SCENES, workers=2)
    written = [path.stat().st_mtime_ns for path in files]

    assert store.draw_all(SCENES) == [store.get(s) for s in SCENES] == files
    assert [path.stat().st_mtime_ns for path in files] == written
    assert [path.read_bytes() for path in files] == [render(s, TINY) for s in SCENES]


def test_the_name_depends_on_everything_that_determines_pixels(monkeypatch):
    settings = [replace(TINY, **{name: 9}) for name in ("width", "height", "samples")]
    names = {scene_images(TINY).path(s).name for s in SCENES}
    names |= {scene_images(other).path(SCENES[0]).name for other in settings}
    monkeypatch.setattr(scene, "GENERATOR_VERSION", "next")
    names.add(scene_images(TINY).path(SCENES[0]).name)

    assert len(names) == len(SCENES) + len(settings) + 1


def test_the_folder_is_in_the_cache_folder_or_as_given(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))

    assert scene_images().path(SCENES[0]).parents[1] == tmp_path / "scenes"
    assert scene_images(directory=tmp_path).path(SCENES[0]).parents[1] == tmp_path


def test_glass_shows_what_is_behind_it():
    clear = Object("sphere", "large", "red", "glass", 0.0, 0.0, 0.0)
    behind = Object("sphere", "small", "blue", "rubber", 0.0, 1.0, 0.0)
    empty = Scene((), SCENES[0].camera, SCENES[0].lights)
    spot = project(replace(empty, objects=(behind,)))[0]

    def red(*things):
        image = Image.open(io.BytesIO(render(replace(empty, objects=things))))
        return image.getpixel((int(spot.u * 128), int(spot.v * 128)))[0]

    opaque = replace(clear, material="rubber")
    assert red(clear, behind) < red(clear) - 15
    assert red(opaque, behind) == pytest.approx(red(opaque), abs=3)


def test_metal_has_the_same_brightness_from_every_view():
    metal = Object("cylinder", "large", "yellow", "metal", 0.0, 0.0, 0.0)
    camera, lights = sample_setting(1)
    tops = []
    for view in ("centre", "left", "right"):
        shown = Scene((metal,), seen_from(camera, view), lights)
        u, v = project(shown)[0].u, project(shown)[0].v - 0.09  # its upper face
        image = Image.open(io.BytesIO(render(shown)))
        tops.append(image.getpixel((int(u * 128), int(v * 128)))[0])

    assert min(tops) > 0.85 * max(tops)


SOLIDS = [(shape, None) for shape in SHAPES]
MODELS = [(shape, variant) for shape, variants in VEHICLES.items() for variant in variants]


@pytest.mark.parametrize(("shape", "variant"), SOLIDS + MODELS)
def test_the_material_of_the_smallest_objects_is_visible(shape, variant):
    camera, lights = sample_setting(1)

    def pixels(material):
        thing = Object(shape, "small", "gray", material, 0.0, 0.0, 30.0, variant)
        shown = Image.open(io.BytesIO(render(Scene((thing,), camera, lights))))
        return np.asarray(shown, float)

    apart = np.abs(pixels("metal") - pixels("rubber")).max(axis=2)  # (128, 128)

    assert np.sort(apart.ravel())[-12:].min() > 50  # a dozen pixels, of 255


# Tasks have these images in their caches: no pixel and no name may change without a new
# GENERATOR_VERSION.
KEPT = {"shapes": "3bca7a62dfb5", "vehicles": "6125b4d7b4e4"}


@pytest.mark.parametrize("world", KEPT)
def test_a_cached_image_keeps_its_name(world):
    shown = sample_scene(11, world=world, objects=6)

    assert scene_images().path(shown).stem[:12] == KEPT[world]
