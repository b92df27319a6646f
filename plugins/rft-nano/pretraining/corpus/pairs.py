"""Two images of one row of things, and what changed between them.

Drawn as the task "transformation" draws them, from numbers that it does not use:
`ENDS` second images of every first one, seen from the center, left or right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from pretraining.corpus.augment import Seen
from pretraining.corpus.scenes import read_seen, thing_of
from pretraining.corpus.store import Corpus, read_pictures

if TYPE_CHECKING:
    from rft_scenes import Scene
    from rft_transformation.generator import Change as Drawn
    from rft_transformation.generator import Start

    from rftcore.images import ImageCache

View = Literal["centre", "left", "right"]
ENDS = 3  # second images of every first
FEWEST, MOST = 2, 6  # things
SETTINGS = 8_000_000  # seeds of camera and lights
OPPOSITE = {"left": "right", "right": "left", "front": "behind", "behind": "front"}


@dataclass(frozen=True)
class Change:
    """What is new about thing `number`: a value of an attribute, or the way it moved.

    `attribute` is one of size, color, material, shape, position.
    """

    number: int
    attribute: str
    value: str


@dataclass(frozen=True)
class Pair:
    """Rows of two images in the corpus, what each shows, and what changed.

    `before` and `after` go from left to right in their own image; a thing keeps its number.
    Directions are those of the first image.
    """

    first: int
    second: int
    before: list[Seen]
    after: list[Seen]
    changes: list[Change]
    same_view: bool

    @classmethod
    def read(cls, data: Any) -> Pair:
        """From plain data."""
        return cls(
            data["first"],
            data["second"],
            read_seen(data["before"]),
            read_seen(data["after"]),
            [Change(**change) for change in data["changes"]],
            data["same_view"],
        )


def turned_back(pair: Pair) -> Pair:
    """The second image first. Only where the camera stays, since directions are the first's."""
    old = {s.number: s.thing for s in pair.before}
    changes = [
        replace(
            c,
            value=opposite(c.value)
            if c.attribute == "position"
            else getattr(old[c.number], c.attribute),
        )
        for c in pair.changes
    ]
    return replace(
        pair,
        first=pair.second,
        second=pair.first,
        before=pair.after,
        after=pair.before,
        changes=changes,
    )


def opposite(way: str) -> str:
    """ "behind_right" for "front_left"."""
    return "_".join(OPPOSITE[part] for part in way.split("_"))


def mirrored_way(way: str) -> str:
    """ "front_right" for "front_left"."""
    return "_".join({"left": "right", "right": "left"}.get(p, p) for p in way.split("_"))


def draw(index: int, part: str = "train") -> tuple[Start, list[tuple[Drawn, View]]]:
    """Start `index` of a part of the corpus, and its ends with the view of each."""
    from rft_transformation.generator import draw_change, draw_start

    rng = Random(int.from_bytes(hashlib.sha256(f"nano|{part}|{index}".encode()).digest(), "big"))
    # two parts take their cameras and lights from seeds far apart
    offset = int.from_bytes(hashlib.sha256(part.encode()).digest()[:3], "big")
    start = draw_start(rng, FEWEST + index % (MOST - FEWEST + 1), SETTINGS + offset + index)
    views: list[View] = ["centre", "centre", ("left", "right")[index % 2]]
    counts = [1, 2 + index % 2, 1 + index % 2]
    return start, [
        (draw_change(start, rng, count), view) for count, view in zip(counts, views, strict=True)
    ]


def pairs_of(start: Start, ends: list[tuple[Drawn, View]], row: int) -> list[Pair]:
    """The facts about a start in row `row` and its ends in the rows after it."""
    before = _seen(start.scene(start.state, "centre"))
    return [
        Pair(
            row,
            row + at,
            before,
            _seen(start.scene(change.end, view)),
            [
                Change(call.id, call.function.removeprefix("change_"), call.value)
                for call in change.calls
            ],
            view == "centre",
        )
        for at, (change, view) in enumerate(ends, 1)
    ]


def scenes_of(start: Start, ends: list[tuple[Drawn, View]]) -> list[Scene]:
    """The first image, then the second ones."""
    return [
        start.scene(start.state, "centre"),
        *(start.scene(change.end, view) for change, view in ends),
    ]


def _seen(scene: Scene) -> list[Seen]:
    from rft_scenes import project

    rows = [
        Seen(thing_of(thing, spot.u, spot.v), spot.radius, number)
        for number, (thing, spot) in enumerate(zip(scene.objects, project(scene), strict=True))
    ]
    return sorted(rows, key=lambda s: s.thing.u)


def build(count: int, cache: ImageCache[Scene], folder: Path, part: str = "train") -> None:
    """Draw what is missing and pack `count` starts with their ends."""
    drawn = [draw(index, part) for index in range(count)]
    scenes = [scene for start, ends in drawn for scene in scenes_of(start, ends)]
    cache.draw_all(scenes, "rendering pairs")
    facts = [
        pair
        for index, (start, ends) in enumerate(drawn)
        for pair in pairs_of(start, ends, index * (1 + ENDS))
    ]
    Corpus(read_pictures(cache.path(s) for s in scenes), facts).save(folder)
