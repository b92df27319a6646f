"""The data check reads images in threads and finds what it would find without them."""

import io
import json
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pil

from rftcore import parsers, prompts, rewards
from rftcore.datasets import JsonlDataset, checks, slices
from rftcore.datasets.audit import audit
from rftcore.errors import RftError
from rftcore.images import Image, decoding, pixels
from rftcore.images.threads import AHEAD, Threads
from rftcore.testing.rows import Rows
from rftcore.types import Sample, Task, Term


def task(**splits):
    terms = {"accuracy": Term(rewards.exact)}
    return Task("t", Rows(**splits), prompts.direct(), parsers.Integer(), terms)


def sample(name, **changes):
    return replace(Sample(name, "?", "3", cot="So.", origin=f"row {name}"), **changes)


def png(color: int) -> bytes:
    buffer = io.BytesIO()
    Pil.new("RGB", (4, 4), (color, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images 0.png to 5.png; 6 is cut off and 7 is absent."""
    path = tmp_path_factory.mktemp("images")
    for number in range(7):
        (path / f"{number}.png").write_bytes(png(number))
    os.truncate(path / "6.png", 60)
    return path


# --- the same with threads as without ------------------------------------------

images = st.lists(st.integers(0, 5) | st.integers(0, 7), max_size=3)
faults = st.sampled_from([""] * 12 + ["gold", "cot", "id", "sample"])
rows = st.lists(st.tuples(st.integers(0, 99), images, faults), min_size=1, max_size=9)
CHANGES = {"gold": {"gold": "x"}, "cot": {"cot": None}, "id": {"id": "0"}, "sample": {"meta": None}}


def read(folder: Path, drawn: list, threads: int) -> object:
    """What a check returns or raises, and which samples it passed on."""
    made = [
        sample(
            str(at),
            question=f"{about}?",
            images=tuple(Image.from_path(folder / f"{image}.png") for image in shown),
            **CHANGES.get(fault, {}),
        )
        for at, (about, shown, fault) in enumerate(drawn)
    ]
    checked, seen = task(sft=made[::2], test=made[1::2]), []
    parts = [slices.take(checked, split) for split in ("sft", "test")[: len(made)]]
    options = {"progress": False, "also": lambda one, split: seen.append((one.id, split))}
    try:
        return checks.check(checked, parts, threads=threads, **options), seen
    except RftError as error:
        return type(error), str(error), seen


@given(drawn=rows)
def test_a_check_in_threads_finds_what_it_finds_without(folder, drawn):
    assert read(folder, drawn, 3) == read(folder, drawn, 0)


@given(drawn=rows)
def test_a_report_in_threads_is_the_report_without(folder, drawn):
    lines = [
        {"question": f"{about}?", "answer": fault or 3, "images": [f"{i}.png" for i in shown]}
        for about, shown, fault in drawn
    ]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(line | {"split": "rl"}) for line in lines))
    one, other = (
        audit(JsonlDataset(path), made.parser, made.prompt, progress=False, threads=threads)
        for threads in (0, 3)
        for made in [task()]
    )

    assert one == other


# --- what runs where, and when ----------------------------------------------------


def test_samples_and_generated_images_are_made_in_the_callers_thread_in_order(folder):
    made, files = [], []

    class Watched(Rows):
        def sample(self, split, index):
            made.append((index, threading.current_thread()))
            return super().sample(split, index)

    def draw(number):
        files.append((number, threading.current_thread()))
        return png(number)

    some = [
        sample(str(n), images=(Image(str(n), lambda n=n: draw(n)),), question=f"{n}?")
        for n in range(40)
    ]
    checked = replace(task(), dataset=Watched(rl=some))
    checks.check(checked, [slices.take(checked, "rl")], progress=False, threads=3)

    assert made == files == [(n, threading.main_thread()) for n in range(40)]


def test_image_files_are_read_in_other_threads(folder, monkeypatch):
    readers, known = set(), pixels.PixelCache.pixels

    def watched(self, data):
        readers.add(threading.current_thread())
        return known(self, data)

    monkeypatch.setattr(pixels.PixelCache, "pixels", watched)
    read(folder, [(n, [n], "") for n in range(6)], 2)

    assert readers
    assert threading.main_thread() not in readers


@pytest.mark.parametrize(("threads", "most"), [(0, 1), (2, AHEAD * 2 + 1)])
def test_only_a_few_jobs_begin_before_their_turn(threads, most):
    begun = []
    with Threads[int, int](threads) as pool:
        for turn, (item, [job]) in enumerate(
            pool.ahead(range(50), lambda item: [lambda: begun.append(item) or item])
        ):
            assert job() == item == turn
            assert len(begun) <= turn + most


def test_an_exception_of_the_items_comes_at_its_turn():
    def items():
        yield 0
        yield 1
        raise KeyError("third")

    with Threads[int, int](2) as pool:
        found = pool.ahead(items(), lambda item: [lambda: 10 // (1 - item)])
        assert next(found)[1][0]() == 10
        with pytest.raises(ZeroDivisionError):
            next(found)[1][0]()
        with pytest.raises(KeyError, match="third"):
            next(found)


def test_an_interrupt_drops_the_jobs_that_have_not_begun():
    begun, gate = [], threading.Event()

    def interrupted():
        with Threads[int, object](1) as pool:
            jobs = pool.ahead(range(50), lambda item: [lambda: begun.append(item) or gate.wait(9)])
            next(jobs)
            threading.Timer(0.5, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert begun == [0]


# --- pixel hashes by bytes ---------------------------------------------------------


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where hashes are kept, however few; and what has been decoded."""
    decoded, decode = [], pixels.decoding.decode
    monkeypatch.setattr(pixels, "FEW", 1)
    monkeypatch.setattr(
        pixels.decoding, "decode", lambda data: decoded.append(data) or decode(data)
    )
    return tmp_path / "cache" / "known.hashes", decoded


def hashes(path: Path, *data: bytes) -> list[str]:
    with pixels.PixelCache(path) as known:
        return [known.pixels(one).hash for one in data]


def test_bytes_that_were_decoded_once_are_not_decoded_again(kept):
    path, decoded = kept
    first = hashes(path, png(1), png(2), png(1))

    assert hashes(path, png(2), png(1)) == [first[1], first[0]]
    assert decoded == [png(1), png(2)]


def test_a_changed_file_is_seen_though_its_size_and_time_are_the_same(kept, tmp_path):
    path, _ = kept
    file = tmp_path / "a.png"
    file.write_bytes(png(1))
    stat, before = file.stat(), hashes(path, file.read_bytes())
    file.write_bytes(png(2))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert (file.stat().st_size, file.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert hashes(path, file.read_bytes()) == hashes(tmp_path / "none", png(2)) != before


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:31] + b"x" + data[32:], lambda _: b""]
)
def test_damaged_hashes_are_not_used(kept, damage):
    path, decoded = kept
    known = hashes(path, png(1))
    path.write_bytes(damage(path.read_bytes()))

    assert hashes(path, png(1)) == known
    assert len(decoded) == 2


def test_a_folder_that_cannot_be_written_is_no_fault(kept, tmp_path):
    (tmp_path / "cache").write_text("a file in its place")

    assert len(hashes(kept[0], png(1))) == 1


def test_an_image_that_leaves_something_open_is_decoded_each_time(kept):
    buffer = io.BytesIO()
    frames = [Pil.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])

    for _ in range(2):
        with pixels.PixelCache(kept[0]) as known:
            assert [kind for kind, _ in known.pixels(buffer.getvalue()).remarks] == [
                "several frames"
            ]


def test_the_limit_on_pixels_holds_for_known_bytes(kept, monkeypatch):
    hashes(kept[0], png(1))
    monkeypatch.setattr(Pil, "MAX_IMAGE_PIXELS", 10)

    with pytest.raises(decoding.TooLargeError):
        hashes(kept[0], png(1))


def test_threads_that_decode_add_one_narrow_filter_of_warnings():
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff"  # damaged
    buffer = io.BytesIO()
    Pil.new("RGB", (8, 4)).save(buffer, "JPEG", exif=exif)
    before = [each for each in warnings.filters if each != decoding.DAMAGED_METADATA]
    with ThreadPoolExecutor(8) as threads:
        decoded = list(threads.map(decoding.decode, [buffer.getvalue()] * 200))

    assert {each.image.size for each in decoded} == {(8, 4)}
    assert list(warnings.filters) == [decoding.DAMAGED_METADATA, *before]


def test_a_program_is_still_warned_of_its_own_images(monkeypatch):
    decoding.decode(png(1))
    monkeypatch.setattr(Pil, "MAX_IMAGE_PIXELS", 10)

    with pytest.raises(Pil.DecompressionBombWarning):
        Pil.open(io.BytesIO(png(1)))


def test_another_decoder_has_hashes_of_its_own(monkeypatch):
    import PIL

    before = pixels.decoder()
    monkeypatch.setattr(PIL, "__version__", "0")
    pixels.decoder.cache_clear()

    assert pixels.decoder() != before
    pixels.decoder.cache_clear()
