"""Single scenes: shapes and vehicles as counting shows them, from seeds that no task uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretraining.corpus.augment import OBJECTS, Seen
from pretraining.corpus.store import Corpus, read_pictures
from pretraining.things import Thing

if TYPE_CHECKING:
    from rft_scenes import Object, Scene

    from rftcore.images import ImageCache

SHAPES_SEED, VEHICLES_SEED, HELD_OUT_SEED = 5_000_000, 6_000_000, 7_000_000
HELD_OUT_VEHICLES = 500_000  # after the held-out shapes


@dataclass(frozen=True)
class Shown:
    """The things in an image, from left to right."""

    seen: list[Seen]

    @classmethod
    def read(cls, data: Any) -> Shown:
        """From plain data."""
        return cls(read_seen(data["seen"]))


def read_seen(rows: Iterable[Any]) -> list[Seen]:
    """Things from plain data."""
    return [Seen(Thing(**row["thing"]), row["radius"], row["number"]) for row in rows]


def scene(index: int) -> Scene:
    """Training scene `index`; shapes and vehicles are mixed 1 to 1."""
    number, vehicles = divmod(index, 2)
    return _sample((VEHICLES_SEED if vehicles else SHAPES_SEED) + number, number, bool(vehicles))


def held_out(index: int) -> Scene:
    """Scene `index` for reports: even shapes, odd vehicles, never trained on."""
    number, vehicles = divmod(index, 2)
    seed = HELD_OUT_SEED + number + (HELD_OUT_VEHICLES if vehicles else 0)
    return _sample(seed, number, bool(vehicles))


def _sample(seed: int, number: int, vehicles: bool) -> Scene:
    from rft_scenes import sample_scene

    world: Any = "vehicles" if vehicles else "shapes"
    return sample_scene(seed, world=world, objects=1 + number % OBJECTS)


def describe(scene: Scene) -> list[Seen]:
    """The scene as practice speaks of it."""
    from rft_scenes import project

    return [
        Seen(thing_of(o, spot.u, spot.v), spot.radius)
        for o, spot in zip(scene.objects, project(scene), strict=True)
    ]


def thing_of(thing: Object, u: float, v: float) -> Thing:
    """An object where the image shows it."""
    return Thing(thing.size, thing.color, thing.material, thing.shape, u, v)


def build(count: int, cache: ImageCache[Scene], folder: Path) -> None:
    """Draw what is missing and pack `count` scenes."""
    chosen = [scene(index) for index in range(count)]
    cache.draw_all(chosen, "rendering scenes")
    facts = [Shown(describe(s)) for s in chosen]
    Corpus(read_pictures(cache.path(s) for s in chosen), facts).save(folder)
