"""Requests about a drawn figure: its letters, its numbers and what they belong to.

Reading only: nothing is derived, no theorem is named.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from pretraining.practice.wording import Request, introduced, one_of

if TYPE_CHECKING:
    from pretraining.corpus.diagrams import Diagram

CLEAR = 0.04  # of the image: what is further left or higher by so much is so for anyone


def _letters(diagram: Diagram) -> list[str]:
    """From left to right, by where the points are."""
    return sorted(diagram.points, key=lambda name: diagram.points[name])


def _numbers(diagram: Diagram) -> list[str]:
    """From left to right, by where the numbers stand."""
    shown = [label for label in diagram.labels if not label.is_letter]
    return [label.text.rstrip("°") for label in sorted(shown, key=lambda label: label.u)]


def letters(rng: Random, diagram: Diagram) -> Request:
    """Every point."""
    ask = rng.choice(
        (
            "Which letters are there, from left to right?",
            "Read the letters from left to right.",
            "Name the points from left to right.",
        )
    )
    return ask, " ".join(_letters(diagram))


def numbers(rng: Random, diagram: Diagram) -> Request:
    """Every number."""
    ask = rng.choice(
        (
            "Which numbers are there, from left to right?",
            "Read the numbers from left to right.",
            "What values are written in the diagram? Start on the left.",
        )
    )
    return ask, ", ".join(_numbers(diagram)) or "none"


def value(rng: Random, diagram: Diagram) -> Request:
    """The number at a side or an angle, asked by its letters."""
    if not diagram.values:
        return letters(rng, diagram)
    kind, points, text = rng.choice(diagram.values)
    it = _said(rng, points)
    if kind == "length":
        asks = (f"How long is {it}?", f"What is the length of {it}?", f"Read the length {it}.")
    else:
        asks = (f"What is angle {it}?", f"How large is angle {it}?", f"Read the angle {it}.")
    return rng.choice(asks), text


def _said(rng: Random, points: list[str]) -> str:
    """Either way round names the same."""
    return " ".join(points if rng.random() < 0.5 else points[::-1])


def values(rng: Random, diagram: Diagram) -> Request:
    """Every value with what it belongs to, from the smallest on."""
    ask = rng.choice(
        (
            "Read every value: what it belongs to, then the number, the smallest first.",
            "Which lengths and angles are given? Write each with its number, smallest first.",
        )
    )
    order = sorted(diagram.values, key=lambda v: (float(v[2]), v))
    said = (f"{'angle ' * (kind == 'angle')}{' '.join(p)} is {t}" for kind, p, t in order)
    return ask, ", ".join(said) or "none"


def belongs(rng: Random, diagram: Diagram) -> Request:
    """What a number belongs to."""
    texts = [text for _, _, text in diagram.values]
    single = [v for v in diagram.values if texts.count(v[2]) == 1]
    if not single:
        return numbers(rng, diagram)
    kind, points, text = rng.choice(single)
    name = f"{'angle ' * (kind == 'angle')}{' '.join(points)}"
    ask = rng.choice((f"What is {text}?", f"What does the number {text} belong to?"))
    return ask, name


def joined(rng: Random, diagram: Diagram) -> Request:
    """Whether two points are joined by a line."""
    lines = {frozenset(pair) for line in diagram.lines for pair in pairwise(line)}
    a, b = rng.sample(list(diagram.points), 2)
    if rng.random() < 0.5:
        a, b = rng.sample(sorted(rng.choice(sorted(lines, key=sorted))), 2)
    in_a_row = any(a in line and b in line for line in diagram.lines if len(set(line)) == len(line))
    there = frozenset((a, b)) in lines or in_a_row
    return f"Is there a line from {a} to {b}?", "yes" if there else "no"


def neighbours(rng: Random, diagram: Diagram) -> Request:
    """The points next to a point along the lines, in the order of the alphabet."""
    a = rng.choice(list(diagram.points))
    near = {
        other
        for line in diagram.lines
        for pair in pairwise(line)
        for other in pair
        if a in pair and other != a
    }
    ask = rng.choice((f"Which points are joined with {a}?", f"Where do lines from {a} lead?"))
    return ask, " ".join(sorted(near)) or "none"


def extreme(rng: Random, diagram: Diagram) -> Request:
    """The point furthest to one side."""
    axis, sign, words = rng.choice(
        (
            (0, 1, ("leftmost", "on the far left")),
            (0, -1, ("rightmost", "on the far right")),
            (1, 1, ("highest", "at the top")),
            (1, -1, ("lowest", "at the bottom")),
        )
    )
    order = sorted(diagram.points, key=lambda name: sign * diagram.points[name][axis])
    gap = abs(diagram.points[order[0]][axis] - diagram.points[order[1]][axis])
    if gap < CLEAR:
        return letters(rng, diagram)
    return f"Which point is {rng.choice(words)}?", order[0]


def beside(rng: Random, diagram: Diagram) -> Request:
    """Whether one point is left of, or above, another."""
    a, b = rng.sample(list(diagram.points), 2)
    axis, words = rng.choice(((0, ("left of", "right of")), (1, ("above", "below"))))
    gap = diagram.points[b][axis] - diagram.points[a][axis]
    if abs(gap) < CLEAR:
        return joined(rng, diagram)
    side = rng.choice((0, 1))
    return f"Is {a} {words[side]} {b}?", "yes" if (gap > 0) == (side == 0) else "no"


def right_angle(rng: Random, diagram: Diagram) -> Request:
    """Where right angles are marked."""
    ask = rng.choice(("Where is a right angle?", "Which points have a right angle?"))
    return ask, " ".join(sorted(set(diagram.rights))) or "none"


def how_many(rng: Random, diagram: Diagram) -> Request:
    """How many points or numbers."""
    return rng.choice(
        (
            ("How many points are there?", str(len(diagram.points))),
            ("How many letters do you see?", str(len(diagram.points))),
            ("How many numbers are there?", str(len(diagram.values))),
        )
    )


def figure(rng: Random, diagram: Diagram) -> Request:
    """What it is."""
    ask = rng.choice(("What figure is this?", "What is drawn?", "Name the figure."))
    return ask, diagram.figure


def has_circle(rng: Random, diagram: Diagram) -> Request:
    """Whether there is a circle, or where its center is."""
    if diagram.center and rng.random() < 0.5:
        return "Which point is the center of the circle?", diagram.center
    return "Is there a circle?", "yes" if diagram.center else "no"


ABOUT: dict[Callable[[Random, Diagram], Request], float] = {
    letters: 6,
    numbers: 12,
    value: 40,
    values: 12,
    belongs: 10,
    joined: 4,
    neighbours: 4,
    extreme: 4,
    beside: 3,
    right_angle: 3,
    how_many: 2,
    figure: 2,
    has_circle: 1,
}
BEFORE = (
    "Here is a diagram.",
    "Look at the diagram.",
    "The picture shows a figure with letters at its points.",
    "Numbers beside lines are lengths, numbers with a small circle are angles in degrees.",
    "Read with care.",
)


def about(rng: Random, diagram: Diagram) -> Request:
    """One request about a diagram, sometimes with true words before it."""
    ask, answer = one_of(rng, ABOUT)(rng, diagram)
    return introduced(rng, ask, BEFORE), answer
