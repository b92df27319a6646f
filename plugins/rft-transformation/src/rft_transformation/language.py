"""The words of the task: the five functions with their values, questions, instruction.

The functions and values are TRANCE's, in Reason-RFT's spelling; the wording of
questions and reasoning is ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

SIZES = ("small", "medium", "large")
COLORS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal", "glass")
SHAPES = ("cube", "sphere", "cylinder")

# Direction -> (x, y) in steps, as seen in the first image.
DIRECTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "left": (-1, 0),
        "right": (1, 0),
        "front": (0, -1),
        "behind": (0, 1),
        "front_left": (-1, -1),
        "front_right": (1, -1),
        "behind_left": (-1, 1),
        "behind_right": (1, 1),
    }
)
MOVE = "change_position"
# In the order of the calls of one object in an answer. A dict, so that it can be pickled.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "change_size": SIZES,
    "change_color": COLORS,
    "change_material": MATERIALS,
    "change_shape": SHAPES,
    MOVE: tuple(DIRECTIONS),
}
MOST_CALLS = 4  # of a gold answer, as in TRANCE
MOST_OBJECTS = 10

QUESTION = "Objects in the first picture: {listed}. Which calls turn it into the second picture?"
_VALUES = ", ".join(f"{name}: {' '.join(values)}" for name, values in FUNCTIONS.items())
INSTRUCTION = (
    f"Answer with 1 to {MOST_CALLS} calls function(object, value), commas between. "
    f"Functions and values: {_VALUES}. Directions are as the first picture shows them, front is "
    "towards the camera. The second picture may show another view."
)

SAME, NOW, MOVED = "same", "now {values}", "moved {direction}"


def attribute(function: str) -> str:
    """The attribute that a function changes: "size" for change_size."""
    return function.removeprefix("change_")


def describe(thing: Mapping[str, str]) -> str:
    """All four attributes of an object, in the order of lists and reasoning."""
    return "{size} {color} {material} {shape}".format_map(thing)


def spaced(name: str) -> str:
    """A name as words: "front left" for front_left."""
    return name.replace("_", " ")


def question(things: Sequence[Mapping[str, str]]) -> str:
    """The question: the listed objects with their numbers, and the request for calls."""
    listed = ", ".join(f"{number} {describe(thing)}" for number, thing in enumerate(things))
    return QUESTION.format(listed=listed)


def words_of(texts: Sequence[str]) -> frozenset[str]:
    """Lower-case words and numbers of texts, without placeholders."""
    plain = (re.sub(r"{\w+}", " ", text) for text in texts)
    return frozenset(word.lower() for text in plain for word in re.findall(r"[A-Za-z]+|\d+", text))
