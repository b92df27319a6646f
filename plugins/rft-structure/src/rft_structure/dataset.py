"""Problems, questions and pictures by split and index.

    (dataset seed, split, index) -> kind -> problem -> question, reasoning, picture

Each arrow is a pure function, so nothing is stored but drawn pictures. Splits
share no problem: each takes its problems from buckets of its own, whatever
the seed, and letters, turn and wording do not change a problem's bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random
from types import MappingProxyType
from typing import Any

from rft_structure.cache import FigureCache
from rft_structure.kinds import HELD_OUT, TRAINED, Kind
from rft_structure.language import LETTERS, question, reasoning
from rft_structure.layout import Drawing, coordinates, lay_out
from rft_structure.problems import BUCKETS, TENS, Problem, draw
from rft_structure.quantities import Quantity, show
from rftcore.errors import DataError, RecipeError, closest
from rftcore.types import Image, Sample

VERSION = 1  # of the generator: bump it when any sample changes
LARGEST_SPLIT = 2**32
SMALLEST, LARGEST = 96, 1024  # pictures, in pixels
STEPS = (1, 2, 5)  # that angles may be multiples of
WRONG = len(LETTERS) - 1
ATTEMPTS = 5000  # draws for one problem; a few dozen are usual

# Rare buckets for what is measured, common ones for what trains.
_BUCKETS: Mapping[str, range] = MappingProxyType(
    {
        "sft": range(5),
        "rl": range(5, 9),
        "val": range(9, 11),
        "test": range(11, 14),
        "ood-diagram": range(14, 16),
        "ood-compose": range(BUCKETS),  # of kinds that are in no other split
    }
)


@dataclass(frozen=True)
class GeometryProblems:
    """Problems of plane geometry; `sizes` holds (split, number of samples) pairs.

    "ood-diagram" shows the given values in the picture alone, "ood-compose" puts theorems
    together that training keeps apart. A share `choices` of the samples is multiple choice.
    Raises: RecipeError for options out of range.
    """

    seed: int
    sizes: tuple[tuple[str, int], ...]
    choices: float
    angle_step: int
    picture: int

    def __post_init__(self) -> None:
        _check_integers(
            {
                "seed": self.seed,
                "angle_step": self.angle_step,
                "picture": self.picture,
                **{_option(split): size for split, size in self.sizes},
            }
        )
        if self.seed < 0:
            raise RecipeError(f"seed={self.seed}: use 0 or more")
        for split, size in self.sizes:
            if not 1 <= size <= LARGEST_SPLIT:
                raise RecipeError(f"{_option(split)}={size}: a split has 1 to {LARGEST_SPLIT}")
        if isinstance(self.choices, bool) or not 0.0 <= self.choices <= 1.0:
            raise RecipeError(f"choices={self.choices}: a share is 0 to 1")
        if self.angle_step not in STEPS:
            raise RecipeError(f"angle_step={self.angle_step}: use 1, 2 or 5 degrees")
        if not SMALLEST <= self.picture <= LARGEST:
            raise RecipeError(f"picture={self.picture}: use {SMALLEST} to {LARGEST} pixels")

    @property
    def splits(self) -> tuple[str, ...]:
        """The standard splits and both shifted ones."""
        return tuple(split for split, _ in self.sizes)

    def size(self, split: str) -> int:
        """How many samples `split` has. Raises DataError for an unknown split."""
        sizes = dict(self.sizes)
        if split not in sizes:
            raise DataError(
                f"structure has no split {split!r}.{closest(split, sizes)} "
                f"Offered: {', '.join(sizes)}"
            )
        return sizes[split]

    def sample(self, split: str, index: int) -> Sample:
        """The same sample for the same index, on every machine and in every process."""
        size = self.size(split)
        if not 0 <= index < size:
            raise IndexError(f"split {split!r} has samples 0 to {size - 1}, not {index}")
        return _sample(self, split, index)

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw the pictures of these samples that are not in the cache yet."""
        drawings = [self.drawing(split, index) for index in indices]
        FigureCache().draw_all(drawings, label=f"drawing structure/{split}")

    def kind(self, split: str, index: int) -> Kind:
        """The kind of a sample; any prefix of a split is as balanced as the whole."""
        kinds = HELD_OUT if split == "ood-compose" else TRAINED
        return kinds[index % len(kinds)]

    def problem(self, split: str, index: int) -> Problem:
        """What a sample asks. Raises DataError if no problem can be found."""
        return _problem(self, split, index)

    def drawing(self, split: str, index: int) -> Drawing:
        """What the picture of a sample shows."""
        problem = self.problem(split, index)
        labels = problem.given if split == "ood-diagram" else ()
        return lay_out(problem.figure, self.picture, labels)

    def rng(self, purpose: str, split: str, index: int) -> Random:
        """Random numbers for one purpose of one sample."""
        key = f"rft-structure|{VERSION}|{self.seed}|{split}|{index}|{purpose}"
        return Random(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"))


# A trainer prepares a split, checks it and reads its rows: each sample is made once for all three.
_remember = lru_cache(maxsize=8192)


@_remember
def _problem(dataset: GeometryProblems, split: str, index: int) -> Problem:
    kind, rng = dataset.kind(split, index), dataset.rng("problem", split, index)
    for _ in range(ATTEMPTS):
        problem = draw(kind, rng, dataset.angle_step, _BUCKETS[split])
        if problem is not None:
            return problem
    raise DataError(f"{_origin(split, index)}: no problem of kind {kind.name} in {ATTEMPTS} draws")


@_remember
def _sample(dataset: GeometryProblems, split: str, index: int) -> Sample:
    problem, rng = dataset.problem(split, index), dataset.rng("question", split, index)
    offered = _choices(problem, rng) if rng.random() < dataset.choices else {}
    letter = LETTERS[list(offered.values()).index("right")] if offered else ""
    drawing = dataset.drawing(split, index)
    return Sample(
        id=f"structure-{split}-{index}",
        question=question(problem, list(offered), rng, values=split != "ood-diagram"),
        gold=letter or show(problem.answer),
        images=(_image(drawing),),
        cot=reasoning(problem, letter),
        meta={
            "kind": problem.kind.name,
            "family": problem.kind.family,
            "theorems": problem.theorems,
            "answer": "choice" if offered else "number",
            "choices": offered,
            "given": [(*_plain(quantity), value) for quantity, value in problem.given],
            "asked": _plain(problem.asked),
            "points": coordinates(drawing),
            "pixels_per_unit": drawing.unit,
        },
        origin=_origin(split, index),
    )


def _choices(problem: Problem, rng: Random) -> dict[str, str]:
    """Four values in the order of their letters, with why each is wrong; one is "right".

    How many of them are smaller than the right one is drawn first, so that its
    rank among them is no hint.
    """
    wrong = problem.wrong()
    order = sorted(wrong, key=lambda value: (wrong[value] == TENS, rng.random()))
    smaller = [value for value in order if float(value) < problem.answer]
    larger = [value for value in order if value not in smaller]
    below = max(WRONG - len(larger), min(len(smaller), int(rng.random() * len(LETTERS))))
    values = [*smaller[:below], *larger[: WRONG - below]]
    values.sort(key=lambda _: rng.random())
    values.insert(int(rng.random() * len(LETTERS)), show(problem.answer))
    return {value: wrong.get(value, "right") for value in values}


def _plain(quantity: Quantity) -> tuple[Any, ...]:
    return quantity.kind, quantity.shape, quantity.points


def _image(drawing: Drawing) -> Image:
    key = FigureCache().path(drawing).stem  # what it shows, not where it lies
    return Image(key=key, read=partial(_read, drawing))


def _read(drawing: Drawing) -> bytes:
    return FigureCache().get(drawing).read_bytes()


def _origin(split: str, index: int) -> str:
    return f"structure/{split} sample {index}"


def _option(split: str) -> str:
    return split.replace("-", "_")


def _check_integers(options: dict[str, int]) -> None:
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise RecipeError(f"{name}={value!r} ({type(value).__name__}): use a whole number")
