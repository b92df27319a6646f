"""The samples: a string of beads, the same with new colors, and how one lists those."""

from collections.abc import Sequence
from dataclasses import dataclass

import rftcore as rft

from rft_my_task.images import COLORS, IMAGES, SIZE, Bead
from rft_my_task.sampling import pick, shuffled

SIZES = {"sft": 800, "rl": 400, "val": 100, "test": 200, "ood-long": 200}
QUESTION = (
    "Some beads have another color in the second image. "
    "Which are the new colors, from the black end on?"
)
BEADS = {"ood-long": range(6, 8)}  # on a string: 3 to 5, here more

Pair = tuple[tuple[Bead, ...], tuple[Bead, ...]]  # what the two images show


@dataclass(frozen=True, kw_only=True)
class Repainted(rft.GeneratedDataset):
    """Pairs of strings; 1 to `most` beads of the second have another color."""

    name = "my-task"
    version = 1  # raise it when any sample changes

    most: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.most <= 3:
            raise rft.RftError(f"most={self.most}: a string has room for 1 to 3 changes")

    def make(self, split: str, index: int) -> rft.Sample:
        """The sample: images, question, answer, and the reasoning that SFT teaches."""
        before, after = self.pair(split, index)
        new = [now.color for old, now in zip(before, after, strict=True) if old != now]
        return rft.Sample(
            id=self.id(split, index),
            question=QUESTION,
            gold=", ".join(new),
            images=(IMAGES.image(before), IMAGES.image(after)),  # in the order of the prompt
            cot=reasoning(before, after),
            origin=self.origin(split, index),
        )

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw these images now, on all cores, with a progress bar. Optional."""
        shown = [beads for at in indices for beads in self.pair(split, at)]
        IMAGES.draw_all(shown, f"drawing {split}")

    def pair(self, split: str, index: int) -> Pair:
        """What the images show, from the black end on, which is left or right."""
        before = self.beads(split, index)
        rng = self.rng("changes", split, index)
        after = list(before)
        for at in shuffled(rng, range(len(before)))[: pick(rng, range(1, self.most + 1))]:
            other = [color for color in COLORS if color != before[at].color]
            after[at] = before[at]._replace(color=pick(rng, other))
        return before, tuple(after)

    def beads(self, split: str, index: int) -> tuple[Bead, ...]:
        """The beads of the first image."""
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


def reasoning(before: Sequence[Bead], after: Sequence[Bead]) -> str:
    """Small steps, as a person would compare: bead by bead, then and now."""
    steps = []
    for number, (old, now) in enumerate(zip(before, after, strict=True), start=1):
        steps.append(f"{number} {old.color}, {'same' if old == now else f'now {now.color}'}.")
    return f"From the black end: {' '.join(steps)}"
