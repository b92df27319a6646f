"""Laws of the pictures: drawn the same everywhere, readable, kept whole or not at all."""

import cmath
import io
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image
from rft_structure import cache, drawing, structure
from rft_structure.cache import FigureCache
from rft_structure.drawing import draw
from rft_structure.labels import FONT, Box, Label, box_of, place, strokes
from rft_structure.layout import Drawing

from rftcore.errors import DataError

DATA = structure(picture=96).dataset
FULL = structure().dataset
DRAWINGS = [DATA.drawing("ood-diagram", at) for at in range(4)]


@pytest.fixture
def drawn(monkeypatch) -> list[Drawing]:
    """What is drawn in this process, in order."""
    seen = []

    def counted(drawing):
        seen.append(drawing)
        return draw(drawing)

    monkeypatch.setattr(cache, "draw", counted)
    return seen


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_has_the_size_asked_for():
    picture = Image.open(io.BytesIO(draw(DRAWINGS[0])))

    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (96, 96))


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
    picture = Image.open(io.BytesIO(draw(shown))).convert("L")
    for a, b in shown.segments:
        middle = (shown.spots[a] + shown.spots[b]) / 2
        assert picture.getpixel((int(middle.real), int(middle.imag))) < 128


# -- labels ---------------------------------------------------------------------------------------

LABELLED = [FULL.drawing("ood-diagram", at) for at in range(190)]


@pytest.fixture(scope="module")
def placed() -> list[tuple[Drawing, list[tuple[Label, Box]]]]:
    return [(shown, place(shown)) for shown in LABELLED]


def test_labels_stay_inside_the_picture(placed):
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

    font = drawing._font(text.isalpha()).copy()
    written = TextPath((0, 0), text, size=224 * FONT, prop=font).get_extents()
    box = box_of(text, 0, 224)

    assert written.width <= 1.15 * box.width
    assert written.height <= 1.15 * box.height


def test_points_keep_their_distance():
    for shown in LABELLED:
        spots = [spot for name, spot in shown.spots.items() if name[0] != "."]
        assert min(abs(a - b) for a, b in combinations(spots, 2)) >= 0.1 * shown.size


# -- the cache ------------------------------------------------------------------------------------


def test_a_second_run_draws_nothing(tmp_path, drawn):
    first = FigureCache(tmp_path).draw_all(DRAWINGS, workers=1)
    second = FigureCache(tmp_path).draw_all(DRAWINGS, workers=1)

    assert first == second == [FigureCache(tmp_path).get(one) for one in DRAWINGS]
    assert drawn == DRAWINGS


def test_a_picture_asked_for_twice_is_drawn_once(tmp_path, drawn):
    assert len(FigureCache(tmp_path).draw_all([DRAWINGS[0]] * 3, workers=1)) == 3
    assert drawn == DRAWINGS[:1]


def test_workers_draw_what_this_process_draws(tmp_path, monkeypatch, drawn):
    monkeypatch.setattr(cache, "FEW", 0)
    paths = FigureCache(tmp_path).draw_all(DRAWINGS, workers=2)

    assert [path.read_bytes() for path in paths] == [draw(one) for one in DRAWINGS]
    assert drawn == []


class Deadly(Drawing):
    """A drawing that kills the process it is sent to."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_worker_that_dies_is_an_error_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FEW", 0)
    deadly = [Deadly(**vars(one)) for one in DRAWINGS]

    with pytest.raises(DataError, match="run again"):
        FigureCache(tmp_path).draw_all(deadly, workers=2)


def test_a_killed_writer_leaves_no_half_picture(tmp_path, monkeypatch):
    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        FigureCache(tmp_path).get(DRAWINGS[0])

    assert _files(tmp_path) == []


def test_what_a_killed_process_left_is_swept(tmp_path):
    store = FigureCache(tmp_path)
    folder = store.path(DRAWINGS[0]).parent
    folder.mkdir(parents=True)
    old, young = folder / ".old.tmp", folder / ".young.tmp"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, times=(time.time() - 3600,) * 2)
    path = store.draw_all(DRAWINGS[:1])[0]

    assert sorted(_files(tmp_path)) == sorted([young, path])


@pytest.mark.parametrize("broken", [b"", b"half a picture"])
def test_a_corrupt_file_is_drawn_again(tmp_path, broken):
    store = FigureCache(tmp_path)
    path = store.get(DRAWINGS[0])
    path.write_bytes(broken)
    store.draw_all(DRAWINGS[:1])

    assert path.read_bytes() == draw(DRAWINGS[0])


def test_the_key_moves_with_everything_that_decides_pixels(tmp_path, monkeypatch):
    store, one = FigureCache(tmp_path), DRAWINGS[0]
    others = [replace(one, size=97), replace(one, values=()), replace(one, segments=())]
    paths = {store.path(shown) for shown in (*DRAWINGS, *others)}
    monkeypatch.setattr(cache, "VERSION", "next")
    paths.add(store.path(one))

    assert len(paths) == len(DRAWINGS) + len(others) + 1
    assert _files(tmp_path) == []


def test_the_folder_is_the_one_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))

    assert FigureCache().directory == tmp_path / "figures"
    assert FigureCache(tmp_path / "mine").directory == tmp_path / "mine"


def test_a_task_prepares_its_pictures_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))
    DATA.prepare("val", [0, 1])
    files = {file: file.stat().st_mtime_ns for file in _files(tmp_path)}
    DATA.prepare("val", [0, 1])

    assert len(files) == 2
    assert files == {file: file.stat().st_mtime_ns for file in _files(tmp_path)}
    assert DATA.sample("val", 1).images[0].open().mode == "RGB"
    assert "drawing structure/val: 2/2 picture" in capsys.readouterr().err
