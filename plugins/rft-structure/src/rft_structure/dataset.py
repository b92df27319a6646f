"""Problems, questions and images by split and index.

    (dataset seed, split, index) -> kind -> problem -> question, reasoning, image

Each arrow is a pure function, so only drawn images are stored. Splits share no
problem: each split has its own buckets of problems for any seed, and a problem's
bucket does not depend on letters, rotation or wording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any

from rft_structure.diagrams import FIGURES, Drawing
from rft_structure.kinds import HELD_OUT, TRAINED, Kind
from rft_structure.language import LETTERS, question, reasoning
from rft_structure.layout import coordinates, lay_out
from rft_structure.problems import BUCKETS, TENS, Problem, draw
from rft_structure.quantities import Quantity, show
from rftcore.datasets.generated import GeneratedDataset, remember
from rftcore.errors import DataError, Fault, RecipeError
from rftcore.types import Sample

SMALLEST, LARGEST = 96, 1024  # images, in pixels
STEPS = (1, 2, 5)  # allowed values of angle_step, degrees
WRONG = len(LETTERS) - 1
ATTEMPTS = 5000  # draws for one problem; usually a few dozen suffice

# More buckets for training than for evaluation.
_BUCKETS: Mapping[str, range] = MappingProxyType(
    {
        "sft": range(5),
        "rl": range(5, 9),
        "val": range(9, 11),
        "test": range(11, 14),
        "ood-diagram": range(14, 16),
        "ood-compose": range(BUCKETS),  # its kinds are in no other split
    }
)


@dataclass(frozen=True, kw_only=True)
class GeometryProblems(GeneratedDataset):
    """Problems of plane geometry.

    "ood-diagram" shows the given values only in the image, "ood-compose" combines theorems that
    no training problem combines. A share `choices` of the samples is multiple choice.
    Raises: RecipeError for options out of range.
    """

    name = "structure"
    version = 1  # increase it when any sample changes

    choices: float
    angle_step: int
    image_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.choices <= 1.0:
            raise RecipeError(Fault("choices", "a share is 0 to 1", self.choices))
        if self.angle_step not in STEPS:
            raise RecipeError(Fault("angle_step", "use 1, 2 or 5 degrees", self.angle_step))
        if not SMALLEST <= self.image_size <= LARGEST:
            rule = f"use {SMALLEST} to {LARGEST} pixels"
            raise RecipeError(Fault("image_size", rule, self.image_size))

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw the images of these samples that are not in the cache yet."""
        drawings = [self.drawing(split, index) for index in indices]
        FIGURES.draw_all(drawings, f"drawing structure/{split}")

    def kind(self, split: str, index: int) -> Kind:
        """The kind of a sample; kinds are balanced in any prefix of a split."""
        kinds = HELD_OUT if split == "ood-compose" else TRAINED
        return kinds[index % len(kinds)]

    def problem(self, split: str, index: int) -> Problem:
        """The problem of a sample.

        Raises: DataError if none is found.
        """
        return _problem(self, split, index)

    def drawing(self, split: str, index: int) -> Drawing:
        """The drawing in the image of a sample."""
        problem = self.problem(split, index)
        labels = problem.given if split == "ood-diagram" else ()
        return lay_out(problem.figure, self.image_size, labels)

    def make(self, split: str, index: int) -> Sample:
        """The sample: problem, question, image."""
        problem, rng = self.problem(split, index), self.rng("question", split, index)
        offered = _choices(problem, rng) if rng.random() < self.choices else {}
        letter = LETTERS[list(offered.values()).index("right")] if offered else ""
        drawing = self.drawing(split, index)
        return Sample(
            id=self.id(split, index),
            question=question(problem, list(offered), rng, values=split != "ood-diagram"),
            gold=letter or show(problem.answer),
            images=(FIGURES.image(drawing),),
            cot=reasoning(problem, tuple(offered)),
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
            origin=self.origin(split, index),
        )


@remember
def _problem(dataset: GeometryProblems, split: str, index: int) -> Problem:
    kind, rng = dataset.kind(split, index), dataset.rng("problem", split, index)
    for _ in range(ATTEMPTS):
        problem = draw(kind, rng, dataset.angle_step, _BUCKETS[split])
        if problem is not None:
            return problem
    raise DataError(
        f"{dataset.origin(split, index)}: no problem of kind {kind.name} in {ATTEMPTS} draws"
    )


def _choices(problem: Problem, rng: Random) -> dict[str, str]:
    """Four values in the order of their letters, with the reason why each is wrong, or "right".

    The number of smaller values is drawn first, so that the rank of the right one is
    no hint.
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
