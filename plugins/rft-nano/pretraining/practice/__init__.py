"""Instructions and their answers: what `nano` learns to do with words.

`in_words` needs no image; what is asked of images is in `scenes`, `changes` and
`diagrams`. Never the chain of thought of a task, nor its questions.
"""

from __future__ import annotations

from random import Random

from pretraining.practice import numbers, scenes, texts
from pretraining.practice.wording import Request, one_of

SOURCES = {
    scenes.from_list: 40,
    scenes.belongs: 14,
    numbers.small: 9,
    numbers.large: 11,
    texts.about: 26,
}


def in_words(rng: Random) -> Request:
    """One request that needs no image."""
    return one_of(rng, SOURCES)(rng)
