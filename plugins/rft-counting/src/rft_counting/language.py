"""The wording of questions and reasoning.

The wording is ours, the kinds of question are CLEVR-Math's. The vocabulary is
small on purpose: `WORDS` is all that a word-level tokenizer needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rft_scenes import COLORS, MATERIALS, SHAPES, SIZES, VEHICLES, Object

ATTRIBUTES = ("size", "color", "material", "shape")  # the order of every description
ANY = "object"
BIGGEST_ANSWER = 20

Filter = Mapping[str, str]  # attribute -> value; the empty filter is every object

# Phrasings of each statement and each question; {of} is a phrase of a filter.
REMOVE_ALL = ("Remove all {of}.", "Take away all {of}.", "All {of} are removed.")
REMOVE = ("Remove {of}.", "Take away {of}.", "{of} {are} removed.")
ADD = ("Add {of}.", "Put in {of}.", "{of} {are} added.")
ASK_LEFT = ("How many {of} are left?", "How many {of} remain?", "How many {of} are still there?")
ASK_NOW = (
    "How many {of} are there?",
    "How many {of} are there now?",
    "How many {of} are there in total?",
)
MUST_LEAVE = (
    "How many {of} must be removed to leave {left}?",
    "How many {of} must be taken away to keep {left}?",
    "Some {of} are removed to leave {left}. How many were removed?",
)
THEN_REMOVE_ALL = ("Then remove all {of}.", "Then take away all {of}.", "Remove all {of} too.")

PLAN = "Count {what}."
OUT, MORE, LESS = "not {of}", "plus {number}", "minus {number}"
LIST_OPENS = "From left to right:"
NOT_COUNTED = "no"  # an object's mark, unless it is the running count
LIST_ADDS_UP = "That makes {count}."


def plural(noun: str) -> str:
    """The plural of a shape, a vehicle class or `object`."""
    return noun + ("es" if noun.endswith("s") else "s")


def phrase(of: Filter, count: int | None = None) -> str:
    """A filter in words: "small red cubes", "metal objects"; with a count "1 red cube"."""
    noun = of.get("shape", ANY)
    adjectives = [of[name] for name in ATTRIBUTES[:-1] if name in of]
    words = [*adjectives, noun if count == 1 else plural(noun)]
    return " ".join(words if count is None else [str(count), *words])


def describe(thing: Object) -> str:
    """All four attributes of an object, in the order of `ATTRIBUTES`."""
    return f"{thing.size} {thing.color} {thing.material} {thing.shape}"


def words_of(texts: Sequence[str]) -> frozenset[str]:
    """Lower-case words and numbers of texts, without placeholders."""
    plain = (re.sub(r"{\w+}", " ", text) for text in texts)
    return frozenset(word.lower() for text in plain for word in re.findall(r"\w+", text))


_NOUNS = (*SHAPES, *VEHICLES, ANY)
WORDS: frozenset[str] = words_of(
    [
        *(*REMOVE_ALL, *REMOVE, *ADD, *ASK_LEFT, *ASK_NOW, *MUST_LEAVE, *THEN_REMOVE_ALL),
        *(PLAN, OUT, MORE, LESS, LIST_OPENS, NOT_COUNTED, LIST_ADDS_UP, "is are"),
        *(*SIZES, *COLORS, *MATERIALS, *_NOUNS, *(plural(noun) for noun in _NOUNS)),
        *(str(number) for number in range(BIGGEST_ANSWER + 1)),
    ]
)
