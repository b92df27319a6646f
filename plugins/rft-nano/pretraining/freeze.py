"""Write the questions and images of the suites `perception` and `words` as data.

    python -m pretraining.freeze --out FOLDER     writes the three files of src/rft_nano/data
    python -m pretraining.freeze --check          counts the questions that differ from those

The shipped data was made by this module once and does not change with it: a suite whose
questions change is another benchmark and needs another name.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile, ZipInfo

from pretraining.practice import changes, numbers, scenes, texts
from pretraining.practice import diagrams as drawn
from pretraining.practice.wording import Request
from pretraining.things import ATTRIBUTES, Thing
from rftcore.images import Image
from rftcore.images.decoding import decode

if TYPE_CHECKING:
    from pretraining.corpus.diagrams import Diagram
    from pretraining.corpus.pairs import Pair

PART = "held out"  # of the corpus
SAMPLES = 200  # drawn for each measure
KEPT = {"perception": 100, "words": 200}  # of these; images take room
CROWDED = 6  # objects; scenes with more are in the measure `objects_right_crowded`
JPEG = {"quality": 75, "subsampling": 0, "optimize": True, "progressive": True}
WEBP = {"lossless": True, "quality": 60, "method": 4}
Asker = Callable[..., Request]
Shown = tuple[Image, Sequence[Thing]]
Row = tuple[str, str, tuple[Image, ...]]  # question, gold, images


def perception() -> dict[str, list[Row]]:
    """The rows of each measure. Draws nothing: the images are drawn when they are read."""
    shapes, vehicles = held_out_scenes(2 * SAMPLES, 0), held_out_scenes(2 * SAMPLES, 1)
    pairs, diagrams = held_out_pairs(SAMPLES), held_out_diagrams(2 * SAMPLES)
    both = [row for two in zip(shapes, vehicles, strict=True) for row in two]
    one_change = [p for p in pairs if len(p[1].changes) == 1]
    still = [p for p in one_change if p[1].same_view]
    moved = [p for p in one_change if not p[1].same_view]
    from_aside = [(images[1], _things(pair.after)) for images, pair in pairs if not pair.same_view]
    with_numbers = [row for row in diagrams if row[1].values]

    def few(rows: Sequence[Shown]) -> list[Shown]:
        return [row for row in rows if len(row[1]) <= CROWDED]

    crowded = [row for row in both if len(row[1]) > CROWDED]
    return {
        "objects_right_shapes": _asked("caption", few(shapes), scenes.caption),
        "objects_right_vehicles": _asked("caption", few(vehicles), scenes.caption),
        "objects_right_moved_camera": _asked("caption", few(from_aside), scenes.caption),
        "objects_right_crowded": _asked("caption", crowded, scenes.caption),
        "attributes": _asked("attribute", both, scenes.attribute, scenes.at_place),
        "attributes_shapes": _asked("attribute", shapes, scenes.attribute),
        "attributes_vehicles": _asked("attribute", vehicles, scenes.attribute),
        "counts": _asked("total", both, scenes.total),
        "counts_of_a_kind": _asked("counted", both, scenes.counted),
        "existence": _asked("exists", both, scenes.exists),
        "positions": _asked("ordered", both, scenes.ordered, scenes.neighbor),
        "filters": _asked("filtered", both, scenes.filtered),
        "verdicts": _asked("verdicts", both, scenes.verdicts),
        "diagram_numbers": _asked("value", with_numbers, drawn.value),
        "diagram_numbers_listed": _asked("numbers", with_numbers, drawn.numbers),
        "diagram_letters": _asked("letters", diagrams, drawn.letters),
        "changes": _asked("which_and_what", still, changes.which_and_what),
        "changes_moved_camera": _asked("which_and_what", moved, changes.which_and_what),
        "changes_by_name": _asked("one_then", pairs, changes.one_then, changes.one_attribute),
    }


def words() -> dict[str, list[Row]]:
    """The rows of each measure, without images."""
    sources: dict[str, Callable[[Random], Request]] = {
        "lists": scenes.from_list,
        "fits": scenes.belongs,
        "labels": partial(scenes.from_list, asker=scenes.labelled),
        **{
            f"verdicts_by_{a}": partial(
                scenes.from_list, asker=partial(scenes.verdicts, attributes=(a,))
            )
            for a in ATTRIBUTES
        },
        "small_numbers": numbers.small,
        "large_sums": numbers.large_sum,
        "chains": numbers.chain,
        "large_numbers": numbers.large,
        "copies": texts.copied,
        "looked_up": texts.looked_up,
        "choices": texts.chosen,
        "numbered_lists": texts.numbered_list,
    }
    out: dict[str, list[Row]] = {}
    for name, source in sources.items():
        rng = Random(f"0|{name}")
        out[name] = [(*source(rng), ()) for _ in range(SAMPLES)]
    return out


def _asked(seed: str, rows: Sequence[tuple[Any, Any]], *askers: Asker) -> list[Row]:
    rng = Random(f"0|{seed}|{len(rows)}")
    out: list[Row] = []
    for image, facts in rows[:SAMPLES]:
        question, gold = rng.choice(askers)(rng, facts)
        out.append((question, gold, image if isinstance(image, tuple) else (image,)))
    return out


def held_out_scenes(count: int, vehicles: int) -> list[Shown]:
    """Scenes of shapes, or of vehicles, with the objects in each from left to right."""
    from rft_scenes import scene_images

    from pretraining.corpus.scenes import describe, held_out

    pictures = scene_images()
    chosen = [held_out(2 * number + vehicles) for number in range(count)]
    return [(pictures.image(scene), _things(describe(scene))) for scene in chosen]


def _things(seen: Sequence[Any]) -> list[Thing]:
    return [s.thing for s in seen]


def held_out_pairs(count: int) -> list[tuple[tuple[Image, Image], Pair]]:
    """Pairs of images from `count` first images, with what changed."""
    from rft_scenes import scene_images

    from pretraining.corpus.pairs import draw, pairs_of, scenes_of

    pictures, drawn = scene_images(), [draw(number, PART) for number in range(count)]
    rows = [scenes_of(*each) for each in drawn]
    return [
        ((pictures.image(row[0]), pictures.image(row[pair.second])), pair)
        for row, each in zip(rows, drawn, strict=True)
        for pair in pairs_of(*each, 0)
    ]


def held_out_diagrams(count: int) -> list[tuple[Image, Diagram]]:
    """Diagrams with what each shows."""
    from rft_structure.diagrams import FIGURES

    from pretraining.corpus.diagrams import describe, draw

    drawn = [draw(number, PART) for number in range(count)]
    return [(FIGURES.image(each[1]), describe(*each)) for each in drawn]


def kept(name: str) -> dict[str, list[Row]]:
    """The rows of a suite that are in its data."""
    made = {"perception": perception, "words": words}[name]()
    return {measure: rows[: KEPT[name]] for measure, rows in made.items()}


def write(folder: Path, name: str) -> None:
    """Write `name`.jsonl, one question per line, and `name`.zip, each image once."""
    measures = kept(name)
    numbers = numbered(measures)
    lines = (json.dumps(row) + "\n" for row in records(measures, numbers))
    (folder / f"{name}.jsonl").write_text("".join(lines))
    if numbers:
        with ZipFile(folder / f"{name}.zip", "w") as archive:  # the images are compressed
            for image, number in numbers.items():
                archive.writestr(ZipInfo(number), encoded(image.read()))


def numbered(measures: Mapping[str, Sequence[Row]]) -> dict[Image, str]:
    """Each image with its name in the archive, in the order of first use."""
    images = dict.fromkeys(i for rows in measures.values() for *_, some in rows for i in some)
    return {image: f"{number:04d}" for number, image in enumerate(images)}


def records(
    measures: Mapping[str, Sequence[Row]], numbers: Mapping[Image, str]
) -> Iterator[dict[str, Any]]:
    """The lines of a suite."""
    for measure, rows in measures.items():
        for question, gold, images in rows:
            row = {"measure": measure, "question": question, "gold": gold}
            yield row | ({"images": [numbers[image] for image in images]} if images else {})


def encoded(data: bytes) -> bytes:
    """The smaller of two encodings: JPEG (4:4:4) of a rendered scene, lossless WebP of a diagram.

    Less than 4:4:4 or WebP's 4:2:0 costs nano up to 19 points: objects are 10 pixels wide.
    """
    options = []
    for kind, settings in (("JPEG", JPEG), ("WEBP", WEBP)):
        out = io.BytesIO()
        decode(data).image.save(out, kind, **settings)
        options.append(out.getvalue())
    return min(options, key=len)


def main() -> None:
    """Write the data, or compare it with what is installed."""
    parser = argparse.ArgumentParser(prog="python -m pretraining.freeze")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--out", type=Path)
    group.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for name in KEPT:
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            write(options.out, name)
        else:
            print(f"{name}: {differing(name)} questions differ")


def differing(name: str) -> int:
    """How many rows of the installed suite differ from those made here: text, or which image."""
    from rft_nano.suites import DATA

    measures = kept(name)
    made = [json.dumps(row) for row in records(measures, numbered(measures))]
    shipped = (DATA / f"{name}.jsonl").read_text().splitlines()
    return sum(a != b for a, b in zip(made, shipped, strict=True))


if __name__ == "__main__":
    main()
