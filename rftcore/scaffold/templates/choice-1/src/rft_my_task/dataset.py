"""The samples: a chart of four bars, which is the highest, and the reasoning."""

from collections.abc import Sequence
from dataclasses import dataclass

import rftcore as rft

from rft_my_task.images import COLORS, IMAGES, LETTERS, MOST, Bar
from rft_my_task.sampling import pick, shuffled

SIZES = {"sft": 800, "rl": 400, "val": 100, "test": 200, "ood-close": 200}
QUESTION = "Which bar is the highest: A, B, C or D?"


@dataclass(frozen=True, kw_only=True)
class Bars(rft.GeneratedDataset):
    """Charts whose highest bar leads by `lead` lines or more; by one only in "ood-close"."""

    name = "my-task"
    version = 1  # raise it when any sample changes

    lead: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.lead <= 4:
            raise rft.RftError(f"lead={self.lead}: a chart has room for a lead of 1 to 4")

    def make(self, split: str, index: int) -> rft.Sample:
        """The sample: image, question, answer, and the reasoning that SFT teaches."""
        bars = self.bars(split, index)
        return rft.Sample(
            id=self.id(split, index),
            question=QUESTION,
            gold=highest(bars),
            images=(IMAGES.image(bars),),
            cot=reasoning(bars),
            origin=self.origin(split, index),
        )

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Draw these images now, on all cores, with a progress bar. Optional."""
        IMAGES.draw_all([self.bars(split, at) for at in indices], f"drawing {split}")

    def bars(self, split: str, index: int) -> tuple[Bar, ...]:
        """What an image shows, from left to right. Each letter wins equally often."""
        rng = self.rng("bars", split, index)
        lead = 1 if split == "ood-close" else self.lead
        top = pick(rng, range(4 + lead, MOST + 1))
        second = top - 1 if split == "ood-close" else pick(rng, range(3, top - lead + 1))
        lower = [second, *shuffled(rng, range(1, second))[:2]]
        heights = shuffled(rng, [top, *lower])
        colors = shuffled(rng, COLORS)
        return tuple(
            Bar(height, color, width=pick(rng, range(12, 22)), shift=pick(rng, range(-4, 5)))
            for height, color in zip(heights, colors, strict=False)
        )


def highest(bars: Sequence[Bar]) -> str:
    """The answer."""
    return max(zip(bars, LETTERS, strict=True))[1]


def reasoning(bars: Sequence[Bar]) -> str:
    """Small steps, as a person would compare: read each height, then name the largest."""
    heights = ", ".join(f"{letter} {bar.height}" for letter, bar in zip(LETTERS, bars, strict=True))
    return f"The heights: {heights}. The most is {max(bars).height}, so {highest(bars)}."
