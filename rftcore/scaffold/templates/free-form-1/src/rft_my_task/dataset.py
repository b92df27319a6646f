"""The samples: beads on a string, their colors from its black end, and how one reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

import rftcore as rft

from rft_my_task.images import COLORS, IMAGES, SIZE, Bead
from rft_my_task.sampling import pick

SIZES = {"sft": 800, "rl": 400, "val": 100, "test": 200, "ood-long": 200}
QUESTION = "Follow the string from its black end. Which colors do the beads have, in this order?"
BEADS = {"ood-long": range(6, 8)}  # on a string: 3 to 5, here more


@dataclass(frozen=True, kw_only=True)
class Strings(rft.GeneratedDataset):
    """Strings of beads; those of "ood-long" are longer than any in training."""

    name = "my-task"
    version = 1  # raise it when any sample changes

    def make(self, split: str, index: int) -> rft.Sample:
        """The sample: image, question, answer, and the reasoning that SFT teaches."""
        beads = self.beads(split, index)
        return rft.Sample(
            id=self.id(split, index),
            question=QUESTION,
            gold=", ".join(bead.color for bead in beads),
            images=(IMAGES.image(beads),),
            cot=reasoning(beads),
            origin=self.origin(split, index),
        )

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw these images now, on all cores, with a progress bar. Optional."""
        IMAGES.draw_all([self.beads(split, at) for at in indices], f"drawing {split}")

    def beads(self, split: str, index: int) -> tuple[Bead, ...]:
        """The beads from the black end on, which is left or right."""
        rng = self.rng("beads", split, index)
        number = pick(rng, BEADS.get(split, range(3, 6)))
        gap = (SIZE - 16) // number
        places = [8 + gap * at + gap // 2 + pick(rng, range(-1, 2)) for at in range(number)]
        if rng.random() < 0.5:
            places.reverse()
        return tuple(
            Bead(pick(rng, list(COLORS)), x, y=pick(rng, range(24, 105)), radius=gap // 2 - 2)
            for x in places
        )


def reasoning(beads: Sequence[Bead]) -> str:
    """Small steps, as a person would read: where to start, then bead by bead."""
    side = "left" if beads[0].x < beads[-1].x else "right"
    steps = ", ".join(f"{number} {bead.color}" for number, bead in enumerate(beads, start=1))
    return f"The black end is on the {side}. From there: {steps}."
