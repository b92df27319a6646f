"""Files of good rows, in each form that a reader takes, for the data part to damage."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as pil

Row = dict[str, Any]
SPLITS = ("sft",) * 4 + ("rl",) * 4 + ("val",) * 2 + ("test",) * 2
COLUMNS = ("id", "question", "answer", "image", "cot", "split")
SIDE = 40  # pixels


@dataclass(frozen=True)
class Form:
    """How rows are written. name: of the file. first: the number of its first row.

    text: of the rows, None if the file is not text.
    """

    name: str
    first: int
    write: Callable[[Path, Sequence[Row]], None]
    text: Callable[[Sequence[str]], str] | None = None

    def number(self, at: int) -> int:
        """The number of a row in messages."""
        return self.first + at


def good(folder: Path) -> list[Row]:
    """Rows that every check accepts, whose images are written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for at, split in enumerate(SPLITS):
        (folder / f"{at}.png").write_bytes(png(at))
        row = {"id": f"r{at}", "question": f"How many dots are in image number {at}?"}
        row |= {"answer": str(at % 7), "image": f"{at}.png", "split": split}
        rows.append(row | ({"cot": f"I see {at % 7} dots."} if split == "sft" else {}))
    return rows


def png(seed: int, side: int = SIDE) -> bytes:
    """A small image that no other seed gives."""
    image = pil.new("RGB", (side, side), "white")
    for dot in range(seed % 7):
        image.paste((200, 30 * dot, 20), (5 * dot, 4, 5 * dot + 3, 9))
    image.paste((seed * 9 % 256, 40, 120), (2, 20, 30, 34))
    return encoded(image, "PNG")


def noise(kind: str, side: int = 96) -> bytes:
    """An image of several kilobytes, in a format of Pillow."""
    data = random.Random(side).randbytes(side * side * 3)
    return encoded(pil.frombytes("RGB", (side, side), data), kind)


def encoded(image: pil.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def line(row: Mapping[str, Any]) -> str:
    """A row as JSON, which may be what no JSON may be: NaN, a lone surrogate."""
    return json.dumps(row)


def _text(path: Path, rows: Sequence[Row]) -> None:
    form = FORMS[path.suffix.removeprefix(".")]
    path.write_text(form.text(list(map(line, rows))), encoding="utf-8")  # type: ignore[misc]


def _csv(path: Path, rows: Sequence[Row]) -> None:
    names = list(dict.fromkeys((*COLUMNS, *(name for row in rows for name in row))))
    with path.open("w", encoding="utf-8", newline="", errors="surrogatepass") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow
    from pyarrow import parquet

    names = list(dict.fromkeys((*COLUMNS, *(name for row in rows for name in row))))
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
    parquet.write_table(table, path)


FORMS = {
    "jsonl": Form("rows.jsonl", 1, _text, lambda lines: "\n".join(lines) + "\n"),
    "json": Form("rows.json", 1, _text, lambda lines: "[" + ",\n".join(lines) + "]\n"),
    "csv": Form("rows.csv", 2, _csv),
    "parquet": Form("rows.parquet", 1, _parquet),
}
