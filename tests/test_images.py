"""Images that plugins draw: each is drawn once and written atomically."""

import operator
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from rftcore.errors import DataError
from rftcore.images import ImageCache, cache
from rftcore.images.files import PNG
from rftcore.plugins.files import from_file

THINGS = [b"one", b"two", b"three", b"four"]
draw = partial(operator.concat, PNG)  # not an image, but it begins like one


@pytest.fixture
def store(tmp_path: Path) -> ImageCache[bytes]:
    return ImageCache("things", bytes.hex, draw, directory=tmp_path)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _counting(store: ImageCache[bytes]) -> tuple[ImageCache[bytes], list[bytes]]:
    """The same folder, and a list of what is drawn in this process, in order."""
    seen: list[bytes] = []
    return replace(store, draw=lambda thing: seen.append(thing) or draw(thing)), seen


def test_a_second_call_draws_nothing(store):
    store, drawn = _counting(store)
    first, second = store.draw_all(THINGS), store.draw_all(THINGS)

    assert first == second == [store.get(thing) for thing in THINGS]
    assert drawn == THINGS
    assert [path.read_bytes() for path in first] == [draw(thing) for thing in THINGS]


def test_a_thing_named_twice_is_drawn_once(store):
    store, drawn = _counting(store)

    assert len(store.draw_all([THINGS[0]] * 3)) == 3
    assert drawn == THINGS[:1]


def test_a_few_are_drawn_here_and_many_by_workers(store, monkeypatch):
    store = replace(store, in_worker=partial(signal.raise_signal, signal.SIGKILL))
    store.draw_all(THINGS, workers=2)
    monkeypatch.setattr(cache, "FEW", 0)

    with pytest.raises(DataError, match="died"):
        store.draw_all([b"five"], workers=2)


def test_workers_draw_what_this_process_draws(store, monkeypatch):
    monkeypatch.setattr(cache, "FEW", 0)
    paths = store.draw_all(THINGS * 3, workers=2)

    assert [path.read_bytes() for path in paths] == [draw(thing) for thing in THINGS * 3]


def test_an_image_that_only_this_process_can_draw_is_drawn_here(store, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "FEW", 0)
    script = tmp_path / "bare.py"
    script.write_text("import os\ndef draw(thing): return thing + b'%d' % os.getpid()")
    bare = replace(store, draw=from_file(f"{script}:draw").factory)
    store, drawn = _counting(store)
    (path,) = bare.draw_all([PNG], workers=2)

    assert path.read_bytes() == PNG + b"%d" % os.getpid()
    assert len(store.draw_all(THINGS, workers=2)) == len(drawn)


class Deadly(bytes):
    """Kills the process it is sent to."""

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGKILL,)  # `make coverage` patches os._exit


def test_a_worker_that_dies_is_one_error_with_a_way_out(store, monkeypatch):
    monkeypatch.setattr(cache, "FEW", 0)

    with pytest.raises(DataError, match="run again"):
        store.draw_all([Deadly(thing) for thing in THINGS], workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_drawing_raises_reaches_the_caller(store, monkeypatch, workers):
    monkeypatch.setattr(cache, "FEW", 0)
    with pytest.raises(ZeroDivisionError):
        replace(store, content=str, draw=partial(divmod, 1)).draw_all([0], workers=workers)


def test_bytes_that_are_not_a_png_are_an_error(store):
    with pytest.raises(DataError, match="must return a PNG"):
        replace(store, draw=bytes).get(b"GIF89a")

    assert _files(store.directory) == []


# A draw function of its own: every tenth image writes its process id and takes for ever.
SLOW = """
import os, time
from pathlib import Path
from rftcore.images import ImageCache
from rftcore.images.files import PNG

def draw(thing):
    if thing % 10 == 9 and "STUCK" in os.environ:
        Path(os.environ["STUCK"], str(os.getpid())).touch()
        time.sleep(60)
    return PNG + bytes([thing])

if __name__ == "__main__":
    ImageCache("things", str, draw).draw_all(range(40), workers=2)
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(done, patience_s: float = 30.0) -> bool:
    end = time.monotonic() + patience_s
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
    return done()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_killed_call_leaves_no_process_and_keeps_what_it_finished(tmp_path):
    script, stuck = tmp_path / "slow.py", tmp_path / "stuck"
    script.write_text(SLOW)
    stuck.mkdir()
    environment = {**os.environ, "RFT_CACHE": str(tmp_path), "STUCK": str(stuck)}
    running = subprocess.Popen([sys.executable, script], env=environment)
    assert _until(lambda: len(_files(stuck)) == 2)
    running.send_signal(signal.SIGKILL)
    running.wait()
    workers = [int(path.name) for path in _files(stuck)]
    gone = _until(lambda: not any(map(_alive, workers)))
    for pid in filter(_alive, workers):  # this test leaves none either
        os.kill(pid, signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("things/*/*.png")}
    del environment["STUCK"]
    subprocess.run([sys.executable, script], env=environment, check=True)

    assert gone
    assert 2 <= len(kept) < 40
    assert len(list(tmp_path.glob("things/*/*.png"))) == 40
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_a_killed_writer_leaves_no_partial_image(store, monkeypatch):
    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.get(THINGS[0])

    assert _files(store.directory) == []


def test_what_a_killed_process_left_is_swept(store):
    folder = store.path(THINGS[0]).parent
    folder.mkdir(parents=True)
    old, young = folder / ".old.tmp", folder / ".young.tmp"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, times=(time.time() - 3600,) * 2)
    (path,) = store.draw_all(THINGS[:1])

    assert sorted(_files(store.directory)) == sorted([young, path])


@pytest.mark.parametrize("broken", [b"", b"half an image"])
def test_a_corrupt_file_is_drawn_again(store, broken):
    path = store.get(THINGS[0])
    path.write_bytes(broken)
    store.draw_all(THINGS[:1])

    assert path.read_bytes() == draw(THINGS[0])


def test_the_name_is_the_hash_of_the_content_alone(store):
    elsewhere = replace(store, directory=None, draw=bytes)

    assert elsewhere.path(THINGS[0]).name == store.path(THINGS[0]).name
    assert replace(store, content=str).path(THINGS[0]) != store.path(THINGS[0])
    assert len({store.path(thing) for thing in THINGS}) == len(THINGS)
    assert _files(store.directory) == []


def test_the_folder_is_the_one_of_the_environment(store, monkeypatch):
    monkeypatch.setenv("RFT_CACHE", "/somewhere")

    assert replace(store, directory=None).path(b"x").parents[1] == Path("/somewhere/things")
    assert store.path(b"x").parents[1] == store.directory


def test_an_image_is_drawn_when_it_is_read_wherever_the_cache_is_then(store, monkeypatch, tmp_path):
    image = pickle.loads(pickle.dumps(replace(store, directory=None).image(THINGS[0])))
    monkeypatch.setenv("RFT_CACHE", str(tmp_path))

    assert image.key == store.path(THINGS[0]).stem
    assert image.read() == draw(THINGS[0])
    assert _files(tmp_path) == [replace(store, directory=None).path(THINGS[0])]


def test_progress_is_the_bar_of_the_core(store, capsys):
    store.draw_all(THINGS, "drawing things")

    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "drawing things: 4/4 images"


@pytest.mark.parametrize(
    ("after", "same"),
    [("x = 1  # why\n\n", True), ("x = 2\n", False)],
    ids=["a comment", "another value"],
)
def test_by_code_a_change_of_the_module_draws_anew_and_a_comment_does_not(tmp_path, after, same):
    body = "def draw(thing):\n    return thing\n"
    paths = []
    for name, head in (("one", "x = 1\n"), ("two", after)):
        (tmp_path / f"{name}.py").write_text(head + body)
        there = from_file(f"{tmp_path / name}.py:draw").factory
        paths.append(ImageCache("p", str, there, directory=tmp_path, by_code=True).path(1))

    assert (paths[0] == paths[1]) is same


def test_code_counts_only_as_an_option_and_where_there_is_a_file(store):
    assert replace(store, draw=_files).path(b"1") == store.path(b"1")
    assert replace(store, draw=len, by_code=True).path(b"1") == store.path(b"1")
    assert replace(store, draw=_files, by_code=True).path(b"1") != store.path(b"1")


def test_an_edit_while_a_run_draws_does_not_store_old_images_as_new(tmp_path):
    file = tmp_path / "edited.py"
    file.write_text("x = 1\ndef draw(thing):\n    return thing\n")
    there = from_file(f"{file}:draw").factory
    store = ImageCache("p", str, there, directory=tmp_path, by_code=True)
    file.write_text("x = 2\ndef draw(thing):\n    return thing\n")

    assert store.path(1) != replace(store).path(1)
