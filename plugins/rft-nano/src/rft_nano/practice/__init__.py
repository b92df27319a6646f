"""Instructions and their answers: what `nano` learns to do with words.

`in_words` needs no picture; what is asked of pictures is in `scenes`, `changes` and
`diagrams`. Never the chain of thought of a task, nor its questions.
"""

from __future__ import annotations

from random import Random

from rft_nano.practice import numbers, scenes, texts
from rft_nano.practice.wording import Request, one_of

SOURCES = {
    scenes.from_list: 46,
    scenes.belongs: 18,
    numbers.small: 10,
    numbers.large: 10,
    texts.about: 16,
}


def in_words(rng: Random) -> Request:
    """One request that needs no picture."""
    return one_of(rng, SOURCES)(rng)
