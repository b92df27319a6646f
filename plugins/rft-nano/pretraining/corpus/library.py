"""All images together: made once, loaded by every process, mixed for each stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pretraining.corpus import diagrams, pairs, scenes
from pretraining.corpus.diagrams import Diagram
from pretraining.corpus.pairs import Pair
from pretraining.corpus.scenes import Shown
from pretraining.corpus.store import Corpus, is_saved
from pretraining.corpus.streams import Diagrams, Mixed, Pairs, Scenes

if TYPE_CHECKING:
    from rft_scenes import Scene

    from rftcore.images import ImageCache

SMALL_CHANGE = 0.03  # of scale: where there are three sizes, they stay apart


@dataclass(frozen=True)
class Sizes:
    """How many scenes, first images of pairs (with `pairs.ENDS` second ones), diagrams."""

    scenes: int = 6000
    starts: int = 1000
    diagrams: int = 8000


@dataclass(frozen=True)
class Mix:
    """How often each kind is shown: plain scenes, those of the pairs alone, pairs, diagrams."""

    plain: float
    varied: float
    pairs: float
    diagrams: float


LOOKING = Mix(plain=50, varied=18, pairs=0, diagrams=32)
SPEAKING = Mix(plain=30, varied=4, pairs=36, diagrams=30)


@dataclass(frozen=True)
class Library:
    """What training maps into memory."""

    plain: Corpus[Shown]
    pairs: Corpus[Pair]
    diagrams: Corpus[Diagram]

    @classmethod
    def make(cls, folder: Path, sizes: Sizes, cache: ImageCache[Scene]) -> None:
        """Draw and pack what is missing or of another size; a stop loses one part at most."""
        if not is_saved(folder / "scenes", sizes.scenes):
            scenes.build(sizes.scenes, cache, folder / "scenes")
        if not is_saved(folder / "pairs", sizes.starts * pairs.ENDS):
            pairs.build(sizes.starts, cache, folder / "pairs")
        if not is_saved(folder / "diagrams", sizes.diagrams):
            diagrams.build(sizes.diagrams, folder / "diagrams")

    @classmethod
    def load(cls, folder: Path) -> Library:
        """What `make` packed."""
        return cls(
            Corpus.load(folder / "scenes", Shown.read),
            Corpus.load(folder / "pairs", Pair.read),
            Corpus.load(folder / "diagrams", Diagram.read),
        )

    def exhibits(self, mix: Mix, seed: str) -> Mixed:
        """An endless stream."""
        return Mixed(
            [
                Scenes(self.plain, f"{seed}|plain"),
                Scenes(single(self.pairs), f"{seed}|varied", scale=SMALL_CHANGE),
                Pairs(self.pairs, f"{seed}|pairs"),
                Diagrams(self.diagrams, f"{seed}|diagrams"),
            ],
            [mix.plain, mix.varied, mix.pairs, mix.diagrams],
            seed,
        )


def single(corpus: Corpus[Pair]) -> Corpus[Shown]:
    """Each image of the pairs by itself."""
    shown = {pair.first: pair.before for pair in corpus.facts}
    shown |= {pair.second: pair.after for pair in corpus.facts}
    return Corpus(corpus.pixels, [Shown(shown[row]) for row in range(len(corpus.pixels))])
