"""The pictures `nano` learns from, as two arrays: pixels and what they show.

Scenes come from `rft_scenes` by seed, in ranges that no task uses. Pictures
are rendered once, cut down to the model's size with the processor's own
filter, and packed into one file that training maps into memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from rft_nano.model import IMAGE_SIZE
from rft_nano.things import Thing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rft_scenes import Scene

    from rftcore.pictures import PictureCache

SHAPES_SEED, VEHICLES_SEED, HELD_OUT_SEED = 5_000_000, 6_000_000, 7_000_000
HELD_OUT_VEHICLES = 500_000  # after the held-out shapes
OBJECTS = 9  # a picture shows 1 to 9
MOVED = 0.85  # share of training pictures that are moved
PASTED = 0.8  # of those that are not spliced
FACE = 1.15  # a thing's disc reaches this many radii: shadows and corners


@dataclass(frozen=True)
class Seen:
    """A thing in a picture with its disc: `radius` is a share of the picture's width."""

    thing: Thing
    radius: float


@dataclass
class Corpus:
    """Pictures (N, 96, 96, 3) of bytes, and the things in each from left to right."""

    pixels: NDArray[np.uint8]
    seen: list[list[Seen]]

    def __len__(self) -> int:
        return len(self.seen)


def scene(index: int) -> Scene:
    """Training scene `index`; shapes and vehicles are mixed 7 to 5."""
    from rft_scenes import sample_scene

    block, place = divmod(index, 12)
    if place < 7:
        number = 7 * block + place
        return sample_scene(SHAPES_SEED + number, world="shapes", objects=1 + number % OBJECTS)
    number = 5 * block + place - 7
    return sample_scene(VEHICLES_SEED + number, world="vehicles", objects=1 + number % OBJECTS)


def held_out(index: int) -> Scene:
    """Scene `index` for reports: even shapes, odd vehicles, never trained on."""
    from rft_scenes import sample_scene

    number = index // 2
    seed = HELD_OUT_SEED + number + (HELD_OUT_VEHICLES if index % 2 else 0)
    world: Any = "vehicles" if index % 2 else "shapes"
    return sample_scene(seed, world=world, objects=1 + number % OBJECTS)


def describe(scene: Scene) -> list[Seen]:
    """The scene as practice speaks of it."""
    from rft_scenes import project

    return [
        Seen(Thing(o.size, o.color, o.material, o.shape, spot.u, spot.v), spot.radius)
        for o, spot in zip(scene.objects, project(scene), strict=True)
    ]


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """A picture at the model's size, resized as `nano`'s processor does."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.uint8)


def pack(
    scenes: Iterable[Scene], cache: PictureCache[Scene], folder: Path, *, render: bool = True
) -> Corpus:
    """Render what is missing (or, without `render`, leave it out) and write the two files."""
    chosen = list(scenes)
    if render:
        cache.draw_all(chosen, "rendering")
    else:
        chosen = [s for s in chosen if cache.path(s).exists()]
    pixels = np.stack([read_pixels(cache.path(s)) for s in chosen])
    seen = [describe(s) for s in chosen]
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "pixels.npy", pixels)
    rows = (json.dumps([asdict(x) for x in row]) for row in seen)
    (folder / "seen.jsonl").write_text("\n".join(rows) + "\n")
    return Corpus(pixels, seen)


def load(folder: Path) -> Corpus:
    """What `pack` wrote."""
    lines = (folder / "seen.jsonl").read_text().splitlines()
    seen = [[Seen(Thing(**x["thing"]), x["radius"]) for x in json.loads(line)] for line in lines]
    return Corpus(np.load(folder / "pixels.npy", mmap_mode="r"), seen)


# --- more pictures from few: mirrors and splices ---------------------------------------------


def mirror(pixels: NDArray[Any], seen: list[Seen]) -> tuple[NDArray[Any], list[Seen]]:
    """Left becomes right, so the order turns round."""
    turned = [Seen(replace(s.thing, u=1 - s.thing.u), s.radius) for s in reversed(seen)]
    return pixels[:, ::-1], turned


def _cuts(seen: list[Seen], axis: str) -> NDArray[np.bool_]:
    """For each pixel column (u) or row (v): whether a cut there spares every thing."""
    free = np.ones(IMAGE_SIZE, bool)
    for s in seen:
        middle, reach = getattr(s.thing, axis), s.radius * FACE + 0.01
        low, high = int((middle - reach) * IMAGE_SIZE), int((middle + reach) * IMAGE_SIZE) + 1
        free[max(0, low) : high + 1] = False
    free[: IMAGE_SIZE // 6] = free[-IMAGE_SIZE // 6 :] = False
    return free


def splice(
    rng: Random, one: tuple[NDArray[Any], list[Seen]], two: tuple[NDArray[Any], list[Seen]]
) -> tuple[NDArray[Any], list[Seen]] | None:
    """One side of a picture and the other side of another, cut where no thing is.

    All pictures share the floor and, nearly, the camera. None if no cut spares
    every thing, or the result shows nothing or more than nine.
    """
    axis = rng.choice(("u", "v"))
    cuts = np.flatnonzero(_cuts(one[1], axis) & _cuts(two[1], axis))
    if not len(cuts):
        return None
    cut = int(cuts[rng.randrange(len(cuts))])
    near = [s for s in one[1] if getattr(s.thing, axis) * IMAGE_SIZE < cut]
    far = [s for s in two[1] if getattr(s.thing, axis) * IMAGE_SIZE >= cut]
    seen = sorted(near + far, key=lambda s: s.thing.u)
    if not 1 <= len(seen) <= OBJECTS or _ambiguous(seen):
        return None
    pixels = np.array(two[0])
    side = (slice(None), slice(0, cut)) if axis == "u" else (slice(0, cut),)
    pixels[side] = one[0][side]
    return pixels, seen


def _ambiguous(seen: list[Seen]) -> bool:
    """Whether two neighbours stand so nearly above one another that left is a guess."""
    return any(b.thing.u - a.thing.u < 0.025 for a, b in pairwise(seen))


def paste(
    rng: Random, base: tuple[NDArray[Any], list[Seen]], donor: tuple[NDArray[Any], list[Seen]]
) -> tuple[NDArray[Any], list[Seen]]:
    """Put one thing of `donor`, with the floor around it, where `base` has room for it.

    The base as it was if the thing touches another, or no room is found.
    """
    chosen = rng.choice(donor[1])
    if any(_touch(chosen, other) for other in donor[1] if other is not chosen):
        return base
    for _ in range(4):
        dx, dy = (rng.randint(-60, 60) for _ in range(2))  # pixels
        thing = replace(
            chosen.thing,
            u=chosen.thing.u + dx / IMAGE_SIZE,
            v=chosen.thing.v + dy / IMAGE_SIZE,
        )
        here = Seen(thing, chosen.radius)
        seen = sorted([*base[1], here], key=lambda s: s.thing.u)
        if _framed(here) and not _ambiguous(seen) and not any(_touch(here, s) for s in base[1]):
            return _blend(base[0], donor[0], here, dx, dy), seen
    return base


def _touch(one: Seen, two: Seen) -> bool:
    away = math.hypot(one.thing.u - two.thing.u, one.thing.v - two.thing.v)
    return away < (one.radius + two.radius) * FACE + 0.02


def _blend(
    base: NDArray[Any], donor: NDArray[Any], here: Seen, dx: int, dy: int
) -> NDArray[np.uint8]:
    """Copy the disc of `here` from `donor`, moved by (dx, dy) pixels, with a soft rim."""
    x, y, reach = (f * IMAGE_SIZE for f in (here.thing.u, here.thing.v, here.radius * FACE))
    around = int(reach) + 3
    left, top = max(0, int(x) - around, dx), max(0, int(y) - around, dy)
    right = min(IMAGE_SIZE, int(x) + around, IMAGE_SIZE + dx)
    bottom = min(IMAGE_SIZE, int(y) + around, IMAGE_SIZE + dy)
    rows, columns = np.mgrid[top:bottom, left:right]
    away = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
    share = np.clip((reach + 1.5 - away) / 2.5, 0, 1)[..., None]
    out = np.array(base)
    piece = donor[top - dy : bottom - dy, left - dx : right - dx]
    out[top:bottom, left:right] = piece * share + out[top:bottom, left:right] * (1 - share)
    return out


def move(
    pixels: NDArray[Any], seen: list[Seen], scale: float, turn: float, dx: float, dy: float
) -> tuple[NDArray[Any], list[Seen]] | None:
    """The picture scaled, turned about its middle (radians) and shifted (shares of the width).

    The floor is continued at the edges. None if a thing would leave the frame
    or who is further left becomes a guess.
    """
    from PIL import Image

    cos, sin = math.cos(turn) * scale, math.sin(turn) * scale

    def moved(s: Seen) -> Seen:
        u, v = s.thing.u - 0.5, s.thing.v - 0.5
        thing = replace(s.thing, u=cos * u - sin * v + 0.5 + dx, v=sin * u + cos * v + 0.5 + dy)
        return Seen(thing, s.radius * scale)

    after = sorted(map(moved, seen), key=lambda s: s.thing.u)
    if _ambiguous(after) or not all(_framed(s) for s in after):
        return None
    border = IMAGE_SIZE // 3
    wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="edge")
    # PIL asks, for each new pixel, which old pixel it shows: the inverse of the above
    a, b = cos / scale**2, sin / scale**2
    middle, x, y = IMAGE_SIZE / 2, IMAGE_SIZE * (0.5 + dx), IMAGE_SIZE * (0.5 + dy)
    matrix = (a, b, middle + border - a * x - b * y, -b, a, middle + border + b * x - a * y)
    size = (IMAGE_SIZE, IMAGE_SIZE)
    picture = Image.fromarray(wide).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(picture), after


def _framed(s: Seen) -> bool:
    edge = s.radius * 1.1
    return all(edge <= x <= 1 - edge for x in (s.thing.u, s.thing.v))


class Pictures:
    """An endless stream of varied pictures.

    Mirrored, spliced, with things of others, moved, a little lighter or darker, a
    little noisy. A few thousand renders are learnt by heart within minutes; these
    are not: neighbours differ, and the patches cut every thing in another place.
    """

    def __init__(self, corpus: Corpus, seed: int | str, *, splices: float = 0.3) -> None:
        self.corpus, self.rng, self.splices = corpus, Random(seed), splices
        self.noise = np.random.default_rng(self.rng.getrandbits(32))

    def _one(self) -> tuple[NDArray[Any], list[Seen]]:
        index = self.rng.randrange(len(self.corpus))
        pair = (self.corpus.pixels[index], self.corpus.seen[index])
        return mirror(*pair) if self.rng.random() < 0.5 else pair

    def _spliced(self, one: tuple[NDArray[Any], list[Seen]]) -> tuple[NDArray[Any], list[Seen]]:
        for _ in range(4):  # most pairs of crowded pictures have no common cut
            found = splice(self.rng, one, self._one())
            if found:
                return found
        return one

    def _crowded(self, base: tuple[NDArray[Any], list[Seen]]) -> tuple[NDArray[Any], list[Seen]]:
        """Things of other pictures, up to a number drawn at random."""
        wanted = self.rng.randint(1, OBJECTS)
        for _ in range(2 * OBJECTS):
            if len(base[1]) >= wanted:
                break
            base = paste(self.rng, base, self._one())
        return base

    def __call__(self) -> tuple[NDArray[np.float32], list[Seen]]:
        """Pixels (3, 96, 96) in about [-1, 1], and what they show."""
        pixels, seen = self._one()
        if self.rng.random() < self.splices:
            pixels, seen = self._spliced((pixels, seen))
        elif self.rng.random() < PASTED:
            pixels, seen = self._crowded((pixels, seen))
        for _ in range(3 if self.rng.random() < MOVED else 0):
            found = move(pixels, seen, *self._motion())
            if found:
                pixels, seen = found
                break
        return self._lit(to_model(pixels)), seen

    def _motion(self) -> tuple[float, float, float, float]:
        scale, turn = self.rng.uniform(0.92, 1.08), self.rng.uniform(-0.1, 0.1)
        return scale, turn, self.rng.uniform(-0.12, 0.12), self.rng.uniform(-0.12, 0.12)

    def _lit(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        light, shift = self.rng.uniform(0.88, 1.12), self.rng.uniform(-0.05, 0.05)
        grain = self.noise.standard_normal(pixels.shape, dtype=np.float32)
        return pixels * light + shift + grain * self.rng.uniform(0.0, 0.04)


def to_model(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Bytes (96, 96, 3) to the tower's input (3, 96, 96), as the processor does: x / 127.5 - 1."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32) / 127.5 - 1
