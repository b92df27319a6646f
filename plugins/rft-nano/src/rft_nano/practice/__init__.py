"""Instructions and their answers: what `nano` learns to do with words.

`in_words` needs no picture; what is asked of pictures is in `scenes`, `changes` and
`diagrams`. Never the chain of thought of a task, nor its questions.
"""

from __future__ import annotations

from random import Random

from rft_nano.practice import numbers, scenes, texts

Request = tuple[str, str]  # instruction, answer
SOURCES = {
    scenes.from_list: 52,
    scenes.belongs: 14,
    numbers.small: 12,
    numbers.large: 12,
    texts.about: 10,
}


def in_words(rng: Random) -> Request:
    """One request that needs no picture."""
    return rng.choices(list(SOURCES), list(SOURCES.values()))[0](rng)
