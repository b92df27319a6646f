"""Hostile files of data, and clean ones that only look so: paths, images, JSON, CSV, Parquet.

Each kind writes a file of good rows with one thing changed, into a folder of its own whose parent
has an image, `outside.png`, that no path may reach.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import random
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image as pil

from tests.campaigns.rows import FORMS, Row, encoded, good, line, noise, png

Expected = Literal["fault", "remark", "clean", "any"]
MB = 1_000_000


@dataclass(frozen=True)
class Hostile:
    """A file with one thing changed, and what has to come of it.

    row: the row that a message has to name, if the fault is of one. expected: "fault": the check
    and the training reject it; "remark": the check reports it, training may warn; "clean": it has
    the samples of the unchanged file; "any": whatever it is, it is told in the same form.
    """

    what: str
    path: Path
    row: int | None
    expected: Expected


def hostile(rng: random.Random, folder: Path) -> Hostile:
    """A hostile file in an empty folder."""
    kind = rng.choice(KINDS)
    place = folder / "data"
    rows = good(place)
    (folder / "outside.png").write_bytes(png(99))
    return kind(rng, place, rows)


# --- one row of any form ---


def _changed(
    rng: random.Random, place: Path, rows: list[Row], what: str, fields: Row, expected: Expected
) -> Hostile:
    """The rows, with fields of one replaced; a field that is `...` is left out."""
    form = FORMS[rng.choice(list(FORMS))]
    at = rng.randrange(len(rows))
    changed = {name: v for name, v in {**rows[at], **fields}.items() if v is not ...}
    path = place / form.name
    try:
        form.write(path, [*rows[:at], changed, *rows[at + 1 :]])
    except Exception:  # no such value in this form, such as a list in a column of text
        form = FORMS["jsonl"]
        path = place / form.name
        form.write(path, [*rows[:at], changed, *rows[at + 1 :]])
    return Hostile(f"{form.name}: {what}", path, form.number(at), expected)


def _path(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    name = rng.choice(
        (*OUTSIDE, str(place.parent / "outside.png"), f"/proc/self/cwd/{place}/0.png")
    )
    return _changed(rng, place, rows, f"an image at {name!a:.80}", {"image": name}, "fault")


def _special(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    """What a name leads to: a link, a pipe, a folder, a device; and names that differ in form."""
    what = rng.choice(list(SPECIAL))
    name, expected = SPECIAL[what](place, rng)
    return _changed(rng, place, rows, what, {"image": name}, expected)


def _link_out(place: Path, rng: random.Random) -> tuple[str, Expected]:
    (place / "link.png").symlink_to(rng.choice(("../outside.png", place.parent / "outside.png")))
    return "link.png", "fault"


def _folder_out(place: Path, rng: random.Random) -> tuple[str, Expected]:
    (place / "up").symlink_to("..")
    return "up/outside.png", "fault"


def _loop(place: Path, rng: random.Random) -> tuple[str, Expected]:
    (place / "loop.png").symlink_to("loop.png")
    return "loop.png", "fault"


def _device(place: Path, rng: random.Random) -> tuple[str, Expected]:
    (place / "zero.png").symlink_to("/dev/zero")
    return "zero.png", "fault"


def _pipe(place: Path, rng: random.Random) -> tuple[str, Expected]:
    os.mkfifo(place / "pipe.png")
    return "pipe.png", "fault"


def _directory(place: Path, rng: random.Random) -> tuple[str, Expected]:
    (place / "folder.png").mkdir()
    return "folder.png", "fault"


def _other_case(place: Path, rng: random.Random) -> tuple[str, Expected]:
    return "0.PNG", "fault"


def _other_form(place: Path, rng: random.Random) -> tuple[str, Expected]:
    name = "caf\u00e9.png"
    (place / name).write_bytes(png(50))
    return unicodedata.normalize("NFD", name), "fault"


def _within(place: Path, rng: random.Random) -> tuple[str, Expected]:
    (place / "same.png").symlink_to("0.png")
    return "same.png", "any"  # a link inside the folder shows another row's image


SPECIAL: dict[str, Callable[[Path, random.Random], tuple[str, Expected]]] = {
    "an image that is a link out of the folder": _link_out,
    "an image in a folder that is a link out": _folder_out,
    "an image that is a link to itself": _loop,
    "an image that is a link to a device": _device,
    "an image that is a pipe": _pipe,
    "an image that is a folder": _directory,
    "an image in another case": _other_case,
    "an image in another Unicode form": _other_form,
    "an image that is a link within the folder": _within,
}
OUTSIDE = (
    *("../outside.png", "./../outside.png", "x/../../outside.png", "0.png/../../outside.png"),
    *("..\\outside.png", "C:\\data\\0.png", "C:0.png", "\\\\host\\share\\0.png", "\\0.png"),
    *(
        "//host/0.png",
        "file:///etc/passwd",
        "https://example.com/0.png",
        "/etc/passwd",
        "/dev/zero",
    ),
    *(
        "%2e%2e/outside.png",
        "\uff0e\uff0e/outside.png",
        "..\u2215outside.png",
        "\u2025/outside.png",
    ),
    *("..\u200b/outside.png", "~/0.png", "$HOME/0.png", "0.png\0.jpg", "0.png\n", "0.png/"),
    *("a" * 300 + ".png", "a/" * 3000 + "0.png", ".", "./", "no-such.png", "0", "\uff10.png"),
    *("data:image/png;base64,AAAA", "A" * 400, "0.png\u202egpj", "0.png?x=1", "0.png#x"),
)


def _field(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    fields = rng.choice((*FIELDS, *LONG))
    expected: Expected = "any" if fields in LONG else "fault"  # the check has no model
    return _changed(rng, place, rows, f"a row with {str(fields)!a:.80}", fields, expected)


FIELDS: tuple[Row, ...] = (
    *(
        {"question": value}
        for value in (..., None, "", " ", "<image><image> what?", "<video> how?")
    ),
    *(
        {"answer": value}
        for value in (..., None, "", "seven", "1e99", "-1", "NaN", "<answer>1", "9" * 50_000)
    ),
    *({"split": value} for value in ("tset", "TRAIN", "0", "ood")),
    *({"question": f"How many {mark}?"} for mark in ("<|image_pad|>", "<image_1>", "<|im_end|>")),
    {"split": "sft", "cot": "<thinking>I see 1.</thinking>"},
)
LONG: tuple[Row, ...] = ({"question": "How many? " * 20_000}, {"question": "x" * 200_000})


# --- the bytes of an image ---


def _image(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    what = rng.choice(list(IMAGES))
    data, expected = IMAGES[what](rng)
    (place / "hostile.png").write_bytes(data)
    return _changed(rng, place, rows, what, {"image": "hostile.png"}, expected)


def _cut(rng: random.Random) -> tuple[bytes, Expected]:
    data = noise(rng.choice(("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")))
    return data[: 1024 * rng.randrange(len(data) // 1024)], "fault"


def _flipped(rng: random.Random) -> tuple[bytes, Expected]:
    data = bytearray(noise(rng.choice(("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"))))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data), "any"


def _flipped_pixels(rng: random.Random) -> tuple[bytes, Expected]:
    """A bit within the compressed pixels of a PNG, whose checksum is of the others."""
    data = bytearray(noise("PNG"))
    data[rng.randrange(200, len(data) - 200)] ^= 1 << rng.randrange(8)
    return bytes(data), "fault"


def _claimed(rng: random.Random) -> tuple[bytes, Expected]:
    """A PNG whose header claims more pixels than its data has."""
    side = rng.choice(((100_000, 100_000), (2**31 - 1, 2**31 - 1), (100_000, 1_000), (0, 5)))
    header = b"".join(n.to_bytes(4) for n in side) + bytes((8, 2, 0, 0, 0))
    return _with_chunk(b"IHDR" + header, png(1)[:8], png(1)[33:]), "fault"


def _bomb(rng: random.Random) -> tuple[bytes, Expected]:
    side = rng.choice((10_000, 20_000))
    return encoded(pil.new("1", (side, side)), rng.choice(("PNG", "TIFF", "GIF"))), "fault"


def _text_bomb(rng: random.Random) -> tuple[bytes, Expected]:
    """Metadata of 200 MB, compressed."""
    text = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(200 * MB), 9)
    return _with_chunk(text, png(1)[:33], png(1)[33:]), "any"


def _with_chunk(chunk: bytes, before: bytes, after: bytes) -> bytes:
    size, check = (len(chunk) - 4).to_bytes(4), zlib.crc32(chunk).to_bytes(4)
    return before + size + chunk + check + after


def _frames(rng: random.Random) -> tuple[bytes, Expected]:
    frames = [pil.new("RGB", (9, 9), color) for color in ("red", "blue")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "remark"


IMAGES: dict[str, Callable[[random.Random], tuple[bytes, Expected]]] = {
    "an image of no bytes": lambda rng: (b"", "fault"),
    "a text for an image": lambda rng: (b"not an image\n" * rng.randrange(1, 99), "fault"),
    "random bytes for an image": lambda rng: (rng.randbytes(3000), "fault"),
    "a web page for an image": lambda rng: (b"<!DOCTYPE html><html>404</html>", "fault"),
    "a pointer of Git LFS": lambda rng: (b"version https://git-lfs.github.com/spec/v1\n", "fault"),
    "an SVG for an image": lambda rng: (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "fault"),
    "PostScript for an image": lambda rng: (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "fault",
    ),
    "an image cut off at a kilobyte": _cut,
    "an image with a flipped bit": _flipped,
    "a PNG with a flipped bit in its pixels": _flipped_pixels,
    "a PNG that claims huge sides": _claimed,
    "a bomb of white pixels": _bomb,
    "a bomb of metadata": _text_bomb,
    "an image 100,000 pixels wide": lambda rng: (encoded(pil.new("L", (100_000, 1)), "PNG"), "any"),
    "an image 100,000 pixels high": lambda rng: (encoded(pil.new("L", (1, 100_000)), "PNG"), "any"),
    "an image of one pixel": lambda rng: (encoded(pil.new("RGB", (1, 1)), "PNG"), "any"),
    "an animation": _frames,
    "nothing but transparency": lambda rng: (encoded(pil.new("RGBA", (9, 9)), "PNG"), "remark"),
}


# --- the text of a JSON row ---


def _json_row(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    what = rng.choice(list(JSON_ROWS))
    form = FORMS[rng.choice(("jsonl", "json"))]
    at = rng.randrange(len(rows))
    lines = list(map(line, rows))
    lines[at] = JSON_ROWS[what](lines[at])
    path = place / form.name
    path.write_text(form.text(lines), encoding="utf-8", errors="surrogatepass")  # type: ignore[misc]
    return Hostile(f"{form.name}: {what}", path, form.number(at), "fault")


def _with(text: str) -> Callable[[str], str]:
    """Another field of the row, as JSON text."""
    return lambda row: row[:-1] + f', "more": {text}}}'


JSON_ROWS: dict[str, Callable[[str], str]] = {
    "lists 200 deep": _with("[" * 200 + "]" * 200),
    "objects 200 deep": _with('{"a":' * 200 + "1" + "}" * 200),
    "lists 100,000 deep": _with("[" * 100_000 + "]" * 100_000),
    "a row of 100 MB": lambda row: row[:-1] + f', "more": "{"x" * 100 * MB}"}}',
    "a list of 20 MB": _with("[" + "0," * 10 * MB + "0]"),
    **{f"the number {n}": _with(n) for n in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999")},
    "a number of 100,000 digits": _with("9" * 100_000),
    "a key twice": lambda row: row[:-1] + ', "question": "Another?"}',
    "a key twice, deep": _with('[{"a": {"b": 1, "b": 2}}]'),
    "half a surrogate pair": _with('"\\ud83d"'),
    "half a surrogate pair in a key": lambda row: row[:-1] + ', "\\ud83d": 1}',
    "a raw control character": _with('"a\x01b"'),
    "a trailing comma": lambda row: row[:-1] + ",}",
    "single quotes": lambda row: row.replace('"', "'"),
    "a comment": lambda row: row[:-1] + "/* x */}",
    "a key without quotes": lambda row: row[:-1] + ", more: 1}",
    "a missing brace": lambda row: row[:-1],
    "a missing quote": lambda row: row[:-2] + "}",
    "half of it": lambda row: row[: len(row) // 2],
    "something after it": lambda row: row + " x",
    **{f"{value} for it": lambda row, value=value: value for value in ("5", "null", '"x"', "[]")},  # type: ignore[misc]
}


# --- a whole file ---


def _whole(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    what = rng.choice(list(WHOLE))
    return replace(WHOLE[what](place, rows), what=what)


def _bytes(
    name: str, change: Callable[[bytes], bytes], expected: Expected, row: int | None = None
) -> Callable[[Path, list[Row]], Hostile]:
    def make(place: Path, rows: list[Row]) -> Hostile:
        path = place / name
        FORMS[path.suffix[1:]].write(path, rows)
        path.write_bytes(change(path.read_bytes()))
        return Hostile("", path, row, expected)

    return make


def _recoded(encoding: str) -> Callable[[bytes], bytes]:
    return lambda data: data.decode().replace("dots", "d\u00f6ts").encode(encoding)


def _unnamed(place: Path, rows: list[Row]) -> Hostile:
    return Hostile("", place / "no-such.jsonl", None, "fault")


def _file_pipe(place: Path, rows: list[Row]) -> Hostile:
    os.mkfifo(place / "rows.jsonl")
    return Hostile("", place / "rows.jsonl", None, "fault")


def _file_folder(place: Path, rows: list[Row]) -> Hostile:
    (place / "rows.jsonl").mkdir()
    return Hostile("", place / "rows.jsonl", None, "fault")


def _linked(place: Path, rows: list[Row]) -> Hostile:
    FORMS["jsonl"].write(place / "there.jsonl", rows)
    (place / "rows.jsonl").symlink_to("there.jsonl")
    return Hostile("", place / "rows.jsonl", None, "clean")


def _raw(rows: list[Row]) -> bytes:
    """JSON lines that differ in everything that does not matter."""
    lines = (json.dumps(dict(reversed(row.items())), ensure_ascii=False) for row in rows)
    return "\r\n\r\n".join(f" {line.replace(': ', ' :  ')}\t" for line in lines).encode()


def _other_spaces(place: Path, rows: list[Row]) -> Hostile:
    (place / "rows.jsonl").write_bytes(_raw(rows))
    return Hostile("", place / "rows.jsonl", None, "clean")


BOM = codecs.BOM_UTF8
WHOLE: dict[str, Callable[[Path, list[Row]], Hostile]] = {
    "no such file": _unnamed,
    "a pipe for a file": _file_pipe,
    "a folder for a file": _file_folder,
    "a link to the file": _linked,
    "other white space, order and line ends": _other_spaces,
    **{
        f"{name}: {what}": _bytes(name, change, expected)  # type: ignore[arg-type]
        for name in ("rows.jsonl", "rows.json", "rows.csv")
        for what, change, expected in (
            ("a byte order mark", lambda data: BOM + data, "clean"),
            ("CRLF", lambda data: data.replace(b"\n", b"\r\n"), "clean"),
            ("both", lambda data: BOM + data.replace(b"\n", b"\r\n"), "clean"),
            ("no last line end", lambda data: data.rstrip(), "clean"),
            ("two byte order marks", lambda data: BOM + BOM + data, "clean"),
            ("no bytes", lambda data: b"", "fault"),
            ("white space alone", lambda data: b" \n\t\n", "fault"),
            ("a byte order mark alone", lambda data: BOM, "fault"),
            ("gzip", gzip.compress, "fault"),
            ("an image", lambda data: png(1), "fault"),
            ("zeros", lambda data: bytes(5000), "fault"),
            ("half of it", lambda data: data[: len(data) // 2], "fault"),
            ("Latin-1", _recoded("latin-1"), "fault"),
            ("UTF-16 without a mark", _recoded("utf-16-le"), "fault"),
            ("UTF-32", _recoded("utf-32"), "fault"),
        )
    },
    **{
        f"{name}: UTF-16": _bytes(name, _recoded("utf-16"), expected)  # type: ignore[arg-type]
        for name, expected in (("rows.jsonl", "fault"), ("rows.json", "fault"), ("rows.csv", "any"))
    },
    "rows.jsonl: CR alone": _bytes("rows.jsonl", lambda data: data.replace(b"\n", b"\r"), "fault"),
    "rows.csv: CR alone": _bytes("rows.csv", lambda data: data.replace(b"\n", b"\r"), "clean"),
    "rows.jsonl: a CSV": _bytes("rows.jsonl", lambda data: b"id,question\na,b\n", "fault"),
    "rows.csv: JSON lines": _bytes("rows.csv", lambda data: b'{"id": 1}\n{"id": 2}\n', "fault"),
    "rows.jsonl: an array": _bytes(
        "rows.jsonl", lambda data: b"[" + data.strip().replace(b"\n", b",") + b"]", "clean"
    ),
    "rows.parquet: no bytes": _bytes("rows.parquet", lambda data: b"", "fault"),
    "rows.parquet: a text": _bytes("rows.parquet", lambda data: b"PAR1 no PAR1", "fault"),
}


# --- CSV and Parquet ---


def _csv_row(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    what = rng.choice(list(CSV_ROWS))
    FORMS["csv"].write(place / "rows.csv", rows)
    lines = (place / "rows.csv").read_text().splitlines()
    at = rng.randrange(1, len(lines))
    lines[at] = CSV_ROWS[what](lines[at])
    (place / "rows.csv").write_text("\n".join(lines) + "\n")
    return Hostile(f"rows.csv: {what}", place / "rows.csv", at + 1, "fault")


CSV_ROWS: dict[str, Callable[[str], str]] = {
    "a cell too many": lambda row: row + ",x",
    "a cell too few": lambda row: row.rpartition(",")[0],
    "a quote that is not closed": lambda row: '"' + row,
    "a cell of 100 MB": lambda row: row.replace("How", "x" * 100 * MB),
    "a NUL": lambda row: row.replace("How", "H\0w").replace(".png", "\0.png"),
}


def _csv_header(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    what = rng.choice(list(CSV_HEADERS))
    FORMS["csv"].write(place / "rows.csv", rows)
    header, _, rest = (place / "rows.csv").read_text().partition("\n")
    (place / "rows.csv").write_text(CSV_HEADERS[what](header) + rest)
    return Hostile(f"rows.csv: {what}", place / "rows.csv", None, "fault")


CSV_HEADERS: dict[str, Callable[[str], str]] = {
    "no header": lambda header: "",
    "a header with two equal names": lambda header: header.replace("cot", "answer") + "\n",
    "a header without the answer": lambda header: header.replace("answer", "other") + "\n",
    "a header with other delimiters": lambda header: header.replace(",", ";") + "\n",
}


def _parquet_cut(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    FORMS["parquet"].write(place / "rows.parquet", rows)
    data = (place / "rows.parquet").read_bytes()
    at = rng.randrange(len(data))
    (place / "rows.parquet").write_bytes(data[:at])
    return Hostile(f"rows.parquet: cut off at byte {at}", place / "rows.parquet", None, "fault")


def _parquet_flipped(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    FORMS["parquet"].write(place / "rows.parquet", rows)
    data = bytearray((place / "rows.parquet").read_bytes())
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    (place / "rows.parquet").write_bytes(data)
    return Hostile(f"rows.parquet: byte {at} flipped", place / "rows.parquet", None, "any")


def _parquet_column(rng: random.Random, place: Path, rows: list[Row]) -> Hostile:
    """A column of another type, which holds in every row."""
    import datetime

    name, values = rng.choice(
        (
            ("image", [png(at)[: 20 + at] for at in range(len(rows))]),
            ("image", [{"bytes": None, "path": "../outside.png"} for _ in rows]),
            ("image", [{"bytes": b"", "path": None} for _ in rows]),
            ("image", list(range(len(rows)))),
            ("answer", [float("nan") for _ in rows]),
            ("answer", [[at] for at in range(len(rows))]),
            ("answer", [datetime.datetime(2026, 1, 1) for _ in rows]),
            ("answer", [at % 2 == 0 for at in range(len(rows))]),
            ("question", [{"a": "b"} for _ in rows]),
        )
    )
    changed: list[dict[str, Any]] = [{**r, name: v} for r, v in zip(rows, values, strict=True)]
    FORMS["parquet"].write(place / "rows.parquet", changed)
    what = f"rows.parquet: column {name} has {str(values[1])!a:.50}"
    return Hostile(what, place / "rows.parquet", 1, "fault")


Kind = Callable[[random.Random, Path, list[Row]], Hostile]
KINDS: Sequence[Kind] = (
    *(_path, _path, _special, _special, _field, _field, _image, _image, _image, _json_row),
    *(_json_row, _whole, _whole, _csv_row, _csv_header, _parquet_cut, _parquet_flipped),
    _parquet_column,
)
