"""The suites `perception` and `words`: fixed questions and images, read from data files.

    data/perception.jsonl  one question per line: measure, question, gold, images
    data/perception.zip    its images: scenes of 128 pixels (JPEG), diagrams of 224 (WebP)
    data/words.jsonl       the same without images

A measure keeps its questions: changed data would be another benchmark under the same name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from zipfile import ZipFile

from rftcore.images import Image
from rftcore.types import Measure, Sample, Suite

DATA = Path(__file__).parent / "data"
LONGEST = 96  # tokens of an answer: ten objects with their attributes
Score = Callable[[str, str], tuple[int, int]]


def perception() -> Suite:
    """Scenes, image pairs and diagrams: objects, attributes, counts, positions, changes."""
    return Suite(
        name="perception",
        measures=partial(_measures, "perception"),
        summary="what a model sees in scenes, diagrams and image pairs, by exact match",
        max_new_tokens=LONGEST,
    )


def words() -> Suite:
    """Text without images: lists, sums, lookups."""
    return Suite(
        name="words",
        measures=partial(_measures, "words"),
        summary="what a model does with text alone: lists, sums, lookups, by exact match",
        max_new_tokens=LONGEST,
    )


def in_order(completion: str, gold: str) -> tuple[int, int]:
    """The entries of a comma-separated list that are right and in order, and how many there are.

    The number of entries is that of the longer list: an extra entry costs as much as a missing one.
    """
    return _common(completion.strip().split(", "), gold.split(", "))


def letter_by_letter(completion: str, gold: str) -> tuple[int, int]:
    """`in_order` for words without commas."""
    return _common(completion.split(), gold.split())


SCORES: Mapping[str, Score] = {  # the other measures count a wholly right answer
    "objects_right_shapes": in_order,
    "objects_right_vehicles": in_order,
    "objects_right_moved_camera": in_order,
    "objects_right_crowded": in_order,
    "verdicts": in_order,
    "diagram_numbers_listed": in_order,
    "diagram_letters": letter_by_letter,
}


def _measures(name: str) -> dict[str, Measure]:
    samples: dict[str, list[Sample]] = {}
    for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows = samples.setdefault(row["measure"], [])
        images = tuple(_image(name, file) for file in row.get("images", ()))
        rows.append(Sample(str(len(rows)), row["question"], row["gold"], images))
    return {
        key: Measure(rows, SCORES[key]) if key in SCORES else Measure(rows)
        for key, rows in samples.items()
    }


def _image(name: str, file: str) -> Image:
    return Image(key=f"{name}/{file}", read=partial(_read, name, file))


def _read(name: str, file: str) -> bytes:
    return _archive(name)[file]


@cache
def _archive(name: str) -> dict[str, bytes]:
    with ZipFile(DATA / f"{name}.zip") as archive:
        return {file: archive.read(file) for file in archive.namelist()}


def _common(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """The length of the longest common subsequence, and of the longer of both."""
    best = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for j, match in enumerate(other):
            row.append(best[j] + 1 if word == match else max(best[j + 1], row[j]))
        best = row
    return best[-1], max(len(one), len(other))
