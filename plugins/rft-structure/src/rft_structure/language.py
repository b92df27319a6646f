"""The sentences of questions and reasoning.

Points are single letters with spaces between them: a word-level tokenizer then
sees the same token wherever a point is named. E to Z are points, so that A to D
are only choices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType

from rft_structure.figures import Figure
from rft_structure.problems import Problem
from rft_structure.quantities import Quantity, show

# The same for every problem, so that it gives no hint about the gold.
INSTRUCTION = (
    "Angles are in degrees. If there are choices, answer with one letter, else with one number, "
    "rounded to one decimal."
)
LETTERS = "ABCD"
YES, NO = "yes", "no"

# Relations in words; those that are missing follow from others, or are only in the image.
STATED: Mapping[str, str] = MappingProxyType(
    {
        "triangle": "{0} {1} {2} is a triangle.",
        "rectangle": "{0} {1} {2} {3} is a rectangle.",
        "trapezium": "{0} {1} {2} {3} is a trapezium.",
        "line": "{1} is on line {0} {2}.",
        "cross": "Lines {1} {2} and {3} {4} cross at {0}.",
        "equal": "{0} {1} and {0} {2} are equal.",
        "right": "Angle {0} {1} {2} is 90.",
        "parallel-lines": "{0} {1} and {2} {3} are parallel.",
        "diameter": "{0} {1} is a diameter.",
        "touches": "{0} {1} is a tangent at {1}.",
    }
)
ASKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "angle": ("Find {it}.", "What is {it}?", "How large is {it}?"),
        "length": ("Find {it}.", "How long is {it}?", "What is the length of {it}?"),
        "area": ("Find the {it}.", "What is the {it}?", "How large is the {it}?"),
        "perimeter": ("Find the {it}.", "What is the {it}?", "How long is the {it}?"),
    }
)
GIVEN = ("{it} is {value}.", "{it} = {value}.")


def question(problem: Problem, choices: Sequence[str], rng: Random, *, values: bool) -> str:
    """The facts, the given values, the question, and the choices if there are any.

    Without `values`, only question and choices: the rest is in the image.
    """
    parts = [*facts(problem.figure), *given(problem, rng)] if values else []
    wordings = ASKS[problem.asked.kind]
    parts.append(wordings[int(rng.random() * len(wordings))].format(it=problem.asked))
    if choices:
        offered = ", ".join(f"{a} {b}" for a, b in zip(LETTERS, choices, strict=True))
        parts.append(f"Choices: {offered}.")
    return " ".join(parts)


def facts(figure: Figure) -> Iterator[str]:
    """The relations of a figure in words."""
    for relation in figure.relations:
        if relation.kind in STATED:
            yield STATED[relation.kind].format(*relation.points)
        elif relation.kind == "polygon":
            yield f"{' '.join(relation.points)} is a polygon."
        elif relation.kind == "circle":
            center, *rim = relation.points
            yield f"{center} is the center of the circle through {_listed(rim)}."


def given(problem: Problem, rng: Random) -> Iterator[str]:
    """The given values, in words."""
    wording = GIVEN[int(rng.random() * len(GIVEN))]
    for quantity, value in problem.given:
        yield wording.format(it=_opening(quantity), value=show(value))


def reasoning(problem: Problem, choices: Sequence[str] = ()) -> str:
    """The chain of thought: one line per theorem, then the choices, if any, up to the right one.

    Each choice is copied and compared, so that every token follows from earlier ones.
    """
    lines, right = [str(step) for step in problem.steps], show(problem.answer)
    if choices:
        compared = zip(LETTERS, choices[: choices.index(right) + 1], strict=False)
        verdicts = (
            f"{letter} {value} {YES if value == right else NO}" for letter, value in compared
        )
        lines.append(f"{', '.join(verdicts)}.")
    return " ".join(lines)


def _opening(quantity: Quantity) -> str:
    text = str(quantity)
    return text[0].upper() + text[1:]


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"
