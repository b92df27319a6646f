"""Laws of the renderer and of the pictures it keeps."""

import io
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rft_scenes import (
    ALL_MATERIALS,
    VEHICLES,
    ImageCache,
    Object,
    RenderError,
    RenderSettings,
    Scene,
    cache,
    pictures,
    project,
    render,
    rendering,
    sample_scene,
    sample_setting,
    scene,
    seen_from,
)

TINY = RenderSettings(width=16, height=16, samples=1)
SCENES = [sample_scene(seed, objects=1 + seed) for seed in range(4)]


@pytest.fixture
def drawn(monkeypatch):
    """The scenes rendered in this process, in order."""
    seen = []

    def counted(scene, settings):
        seen.append(scene)
        return render(scene, settings)

    monkeypatch.setattr(pictures, "render", counted)
    return seen


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_has_the_size_asked_for():
    picture = Image.open(io.BytesIO(render(SCENES[1], RenderSettings(24, 16, 1))))

    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (24, 16))


def test_a_picture_shows_the_colour_where_project_says():
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


def test_a_second_run_renders_nothing(tmp_path, drawn):
    first = ImageCache(tmp_path).render_all(SCENES, TINY, workers=1, progress=False)
    second = ImageCache(tmp_path).render_all(SCENES, TINY, workers=1, progress=False)

    assert first == second == [ImageCache(tmp_path).get(s, TINY) for s in SCENES]
    assert drawn == SCENES


def test_a_scene_named_twice_is_rendered_once(tmp_path, drawn):
    paths = ImageCache(tmp_path).render_all([SCENES[0]] * 3, TINY, workers=1, progress=False)

    assert len(paths) == 3
    assert drawn == SCENES[:1]


def test_workers_draw_what_this_process_draws(tmp_path, monkeypatch, drawn):
    monkeypatch.setattr(cache, "FEW", 0)
    paths = ImageCache(tmp_path).render_all(SCENES, TINY, workers=2, progress=False)

    assert [path.read_bytes() for path in paths] == [render(s, TINY) for s in SCENES]
    assert drawn == []


class Deadly(Scene):
    """A scene that kills the process it is sent to."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_worker_that_dies_is_an_error_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FEW", 0)
    deadly = [Deadly(s.objects, s.camera, s.lights) for s in SCENES]

    with pytest.raises(RenderError, match="run again, with workers=1"):
        ImageCache(tmp_path).render_all(deadly, TINY, workers=2, progress=False)


def test_a_killed_writer_leaves_no_half_picture(tmp_path, monkeypatch):
    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        ImageCache(tmp_path).get(SCENES[0], TINY)

    assert _files(tmp_path) == []


def test_what_a_killed_process_left_is_swept(tmp_path):
    store = ImageCache(tmp_path)
    folder = store.path(SCENES[0], TINY).parent
    folder.mkdir(parents=True)
    old, young = folder / ".old.tmp", folder / ".young.tmp"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, times=(time.time() - 3600,) * 2)
    path = store.render_all(SCENES[:1], TINY, progress=False)[0]

    assert sorted(_files(tmp_path)) == sorted([young, path])


@pytest.mark.parametrize("broken", [b"", b"half a picture"])
def test_a_corrupt_file_is_rendered_again(tmp_path, broken):
    store = ImageCache(tmp_path)
    path = store.get(SCENES[0], TINY)
    path.write_bytes(broken)
    store.render_all(SCENES[:1], TINY, progress=False)

    assert path.read_bytes() == render(SCENES[0], TINY)


def test_the_key_moves_with_everything_that_decides_pixels(tmp_path, monkeypatch):
    store = ImageCache(tmp_path)
    paths = {store.path(s, TINY) for s in SCENES}
    paths |= {
        store.path(SCENES[0], replace(TINY, **{name: 9})) for name in ("width", "height", "samples")
    }
    monkeypatch.setattr(scene, "GENERATOR_VERSION", "next")
    paths.add(store.path(SCENES[0], TINY))

    assert len(paths) == len(SCENES) + 3 + 1
    assert _files(tmp_path) == []


def test_the_folder_is_the_one_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))

    assert ImageCache().directory == tmp_path / "scenes"
    assert ImageCache(tmp_path / "mine").directory == tmp_path / "mine"


def test_progress_is_plain_text_outside_a_terminal(tmp_path, capsys):
    ImageCache(tmp_path).render_all(SCENES[:2], TINY, workers=1, label="drawing")

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["drawing: 1/2", "drawing: 2/2"]


def test_glass_shows_what_stands_behind_it():
    clear = Object("sphere", "large", "red", "glass", 0.0, 0.0, 0.0)
    behind = Object("sphere", "small", "blue", "rubber", 0.0, 1.0, 0.0)
    empty = Scene((), SCENES[0].camera, SCENES[0].lights)
    spot = project(replace(empty, objects=(behind,)))[0]

    def red(*things):
        picture = Image.open(io.BytesIO(render(replace(empty, objects=things))))
        return picture.getpixel((int(spot.u * 128), int(spot.v * 128)))[0]

    opaque = replace(clear, material="rubber")
    assert red(clear, behind) < red(clear) - 15
    assert red(opaque, behind) == pytest.approx(red(opaque), abs=3)


def test_metal_looks_alike_from_every_side():
    metal = Object("cylinder", "large", "yellow", "metal", 0.0, 0.0, 0.0)
    camera, lights = sample_setting(1)
    tops = []
    for view in ("centre", "left", "right"):
        shown = Scene((metal,), seen_from(camera, view), lights)
        u, v = project(shown)[0].u, project(shown)[0].v - 0.09  # its upper face
        picture = Image.open(io.BytesIO(render(shown)))
        tops.append(picture.getpixel((int(u * 128), int(v * 128)))[0])

    assert min(tops) > 0.85 * max(tops)


# Pictures that other tasks have in their caches: no pixel and no name of theirs may change
# without a new GENERATOR_VERSION.
KEPT = {"shapes": "8356d10e8eff", "vehicles": "a7c600de5841"}


@pytest.mark.parametrize("world", KEPT)
def test_a_plain_picture_keeps_its_name(tmp_path, world):
    shown = sample_scene(11, world=world, objects=6)

    assert ImageCache(tmp_path).path(shown).stem[:12] == KEPT[world]
    assert rendering.revision(shown) == ()


def test_only_glass_and_moved_cameras_have_names_of_their_own():
    glassy = sample_scene(2, objects=4, materials=("glass",))

    assert rendering.revision(glassy) == ("glass 2",)
    assert rendering.revision(sample_scene(2, objects=4, view="left")) == ("panel 2",)
