"""Laws of the images: drawn the same everywhere, readable, cached completely or not at all."""

import cmath
import io
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import combinations

import pytest
from PIL import Image
from rft_structure import structure
from rft_structure.diagrams import FIGURES, Box, Drawing, Label, draw, place, rendering
from rft_structure.diagrams.labels import FONT, box_of, strokes

from rftcore.images import cache

DATA = structure(image_size=96).dataset
FULL = structure().dataset
DRAWINGS = [DATA.drawing("ood-diagram", at) for at in range(4)]


def test_an_image_has_the_requested_size():
    image = Image.open(io.BytesIO(draw(DRAWINGS[0])))

    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (96, 96))


def test_a_spawned_process_draws_the_same_bytes():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = pool.submit(draw, DRAWINGS[3]).result()

    assert elsewhere == draw(DRAWINGS[3])


def test_settings_of_the_user_change_no_pixel():
    import matplotlib

    wanted = draw(DRAWINGS[1])
    theirs = {
        "font.size": 30,
        "lines.linewidth": 9,
        "path.sketch": (3, 9, 9),
        "text.hinting": "none",
    }
    with matplotlib.rc_context({**theirs, "axes.facecolor": "red", "figure.facecolor": "red"}):
        assert draw(DRAWINGS[1]) == wanted


def test_no_pyplot_is_needed():
    import sys

    draw(DRAWINGS[0])
    assert "matplotlib.pyplot" not in sys.modules


def test_a_line_is_where_its_points_are():
    shown = FULL.drawing("sft", 0)
    image = Image.open(io.BytesIO(draw(shown))).convert("L")
    for a, b in shown.segments:
        middle = (shown.spots[a] + shown.spots[b]) / 2
        assert image.getpixel((int(middle.real), int(middle.imag))) < 128


# -- labels ---------------------------------------------------------------------------------------

LABELLED = [FULL.drawing("ood-diagram", at) for at in range(190)]


@pytest.fixture(scope="module")
def placed() -> list[tuple[Drawing, list[tuple[Label, Box]]]]:
    return [(shown, place(shown)) for shown in LABELLED]


def test_labels_are_inside_the_image(placed):
    for shown, labels in placed:
        assert all(box.outside(shown.size) == 0 for _, box in labels)


def test_hardly_any_labels_overlap(placed):
    bad = [
        shown
        for shown, labels in placed
        if any(a.overlap(b) > 0.15 * b.area for (_, a), (_, b) in combinations(labels, 2))
    ]

    assert len(bad) <= 0.02 * len(LABELLED)


def test_the_value_of_an_angle_lies_in_the_angle(placed):
    for shown, labels in placed:
        angles = [points for kind, points, _ in shown.values if kind == "angle"]
        boxes = [box for label, box in labels if label.vertex is not None]
        for points, box in zip(angles, boxes, strict=True):
            a, vertex, b = (shown.spots[name] for name in points)
            whole, part = (cmath.phase((to - vertex) / (a - vertex)) for to in (b, box.middle))
            assert 0 < part / whole < 1


def test_a_letter_covers_next_to_no_line(placed):
    for shown, labels in placed:
        lines = list(strokes(shown))
        for label, box in labels:
            covered = sum(map(box.cut, lines))
            assert covered < 0.06 * shown.size or not label.is_letter


def test_every_value_and_every_letter_is_written(placed):
    for shown, labels in placed:
        texts = sorted(label.text for label, _ in labels)
        values = [f"{text}°" if kind == "angle" else text for kind, _, text in shown.values]

        assert texts == sorted([*values, *(n for n, _, _ in shown.points if n[0] != ".")])


@pytest.mark.parametrize("text", ["W", "M", "8", "24.5", "148°"])
def test_a_box_has_room_for_its_text(text: str):
    from matplotlib.textpath import TextPath

    font = rendering._font(text.isalpha()).copy()
    written = TextPath((0, 0), text, size=224 * FONT, prop=font).get_extents()
    box = box_of(text, 0, 224)

    assert written.width <= 1.15 * box.width
    assert written.height <= 1.15 * box.height


def test_points_keep_their_distance():
    for shown in LABELLED:
        spots = [spot for name, spot in shown.spots.items() if name[0] != "."]
        assert min(abs(a - b) for a, b in combinations(spots, 2)) >= 0.1 * shown.size


# -- the cache ------------------------------------------------------------------------------------


def test_each_image_is_drawn_once_also_by_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FEW", 0)
    store = replace(FIGURES, directory=tmp_path)
    files = store.draw_all(DRAWINGS, workers=2)
    written = [path.stat().st_mtime_ns for path in files]

    assert store.draw_all(DRAWINGS) == [store.get(one) for one in DRAWINGS] == files
    assert [path.stat().st_mtime_ns for path in files] == written
    assert [path.read_bytes() for path in files] == [draw(one) for one in DRAWINGS]


def test_the_name_depends_on_everything_that_determines_pixels(monkeypatch):
    one = DRAWINGS[0]
    others = [replace(one, size=97), replace(one, values=()), replace(one, segments=())]
    names = {FIGURES.path(shown).name for shown in (*DRAWINGS, *others)}
    monkeypatch.setattr(rendering, "VERSION", "next")
    names.add(FIGURES.path(one).name)

    assert len(names) == len(DRAWINGS) + len(others) + 1


def test_a_figure_keeps_its_name(monkeypatch, tmp_path):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    path = FIGURES.path(FULL.drawing("val", 0))

    assert path.parents[1] == tmp_path / "figures"
    assert path.stem[:12] == "ad25a68f3b1e"  # a new one needs a new VERSION


def test_a_task_prepares_its_images_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    DATA.prepare("val", [0, 1])
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    DATA.prepare("val", [0, 1])

    assert len(files) == 2
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    assert DATA.sample("val", 1).images[0].open().mode == "RGB"
    assert "drawing structure/val: 2/2 images" in capsys.readouterr().err
