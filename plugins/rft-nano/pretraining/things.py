"""What practice talks about: things with attributes, and ways to pick some.

The same values describe a rendered scene and an invented list of words, so
that every skill is practised on text and, where it makes sense, on images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rft_nano.words import COLORS, MATERIALS, PLURALS, SHAPES, SIZES, VEHICLES

ATTRIBUTES = ("size", "color", "material", "shape")
VALUES: dict[str, tuple[str, ...]] = {
    "size": SIZES,
    "color": COLORS,
    "material": MATERIALS,
    "shape": SHAPES + VEHICLES,
}
PLAIN = {"size": ("small", "large"), "material": ("rubber", "metal")}  # most scenes have no others
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]
_ANY = ("thing", "object", "item")
NAMED = 0.4  # how often a request drawn without a shape gets one: nouns name it, as in questions


@dataclass(frozen=True)
class Thing:
    """One object. `u`, `v` in [0, 1] place it in the image, origin top left."""

    size: str
    color: str
    material: str
    shape: str
    u: float = 0.0
    v: float = 0.0

    def name(self, attributes: Sequence[str] = ATTRIBUTES) -> str:
        """The values of `attributes`, in the fixed order size, color, material, shape."""
        return " ".join(getattr(self, a) for a in ATTRIBUTES if a in attributes)


Things = Sequence[Thing]


@dataclass(frozen=True)
class Pick:
    """Some of the things: those whose every named attribute has one of the given values."""

    wanted: tuple[tuple[str, tuple[str, ...]], ...]

    def matches(self, thing: Thing) -> bool:
        """Whether the thing is picked."""
        return all(getattr(thing, attribute) in values for attribute, values in self.wanted)

    def marks(self, things: Things) -> list[bool]:
        """Whether each thing is picked."""
        return [self.matches(thing) for thing in things]

    def of(self, things: Things) -> list[Thing]:
        """The things picked, in order."""
        return [thing for thing in things if self.matches(thing)]

    def phrase(self, rng: Random, *, plural: bool = True) -> str:
        """Say it: "small red cubes", "metal things", "things that are red or blue"."""
        said = dict(self.wanted)
        nouns = said.pop("shape", None)
        if nouns is None:
            nouns = (rng.choice(_ANY),)
        noun = " or ".join(PLURALS[n] if plural else n for n in nouns)
        words = [" or ".join(said[a]) for a in ATTRIBUTES if a in said]
        if not words:
            return noun
        if rng.random() < 0.12:
            return f"{noun} that {'are' if plural else 'is'} {' and '.join(words)}"
        return f"{' '.join(words)} {noun}"


def invent(rng: Random, count: int) -> list[Thing]:
    """Things that exist in words only, shapes or vehicles, left to right."""
    kinds = SHAPES if rng.random() < 0.6 else VEHICLES
    pools = _pools(plain=kinds is VEHICLES or rng.random() < 0.5)
    if rng.random() < 0.3:  # few values make many matches
        pools = [tuple(rng.sample(pool, 2)) for pool in pools]
    return [_draw(rng, pools, kinds) for _ in range(count)]


def _pools(*, plain: bool) -> list[tuple[str, ...]]:
    """The values to draw a size, a color and a material from."""
    return [PLAIN.get(a, VALUES[a]) if plain else VALUES[a] for a in ATTRIBUTES[:3]]


def _is_plain(things: Things) -> bool:
    return all(getattr(t, a) in values for t in things for a, values in PLAIN.items())


def _draw(rng: Random, pools: Sequence[Sequence[str]], kinds: Sequence[str]) -> Thing:
    size, color, material = (rng.choice(pool) for pool in pools)
    return Thing(size, color, material, rng.choice(kinds))


def pick_some(rng: Random, things: Things, attributes: Sequence[str] = ATTRIBUTES) -> Pick:
    """A pick that mostly, but not always, finds something."""
    model = rng.choice(things) if things else invent(rng, 1)[0]
    if rng.random() < 0.2:
        kinds = VEHICLES if model.shape in VEHICLES else SHAPES
        model = _draw(rng, _pools(plain=_is_plain(things)), kinds)
    size = min(len(attributes), rng.choices((1, 2, 3, 4), (50, 32, 12, 6))[0])
    chosen = sorted(rng.sample(list(attributes), size))
    if "shape" in attributes and "shape" not in chosen and rng.random() < NAMED:
        chosen = sorted(["shape", *chosen[1:]])
    wanted: dict[str, tuple[str, ...]] = {a: (getattr(model, a),) for a in chosen}
    if rng.random() < 0.08:  # "red or blue"
        wide = rng.choice([a for a in chosen if a in ("color", "shape")] or ["color"])
        pool = SHAPES if model.shape in SHAPES else VEHICLES
        other = rng.choice(
            [v for v in (pool if wide == "shape" else COLORS) if v != getattr(model, wide)]
        )
        wanted[wide] = (getattr(model, wide), other)
    return Pick(tuple(wanted.items()))


def unique_name(rng: Random, things: Things, thing: Thing, hide: str = "") -> str | None:
    """The shortest or a longer name that only `thing` answers to, without attribute `hide`."""
    usable = [a for a in ATTRIBUTES if a != hide]
    for size in range(rng.choice((1, 1, 2)), len(usable) + 1):
        for _ in range(3):
            pick = Pick(tuple((a, (getattr(thing, a),)) for a in sorted(rng.sample(usable, size))))
            if len(pick.of(things)) == 1:
                return pick.phrase(rng, plural=False)
    return None
