"""Questions as data: steps that remove, add or leave objects, then the class to count.

Families follow CLEVR-Math: addition, subtraction, adversarial (the class that
changes is not counted) and multi-hop (two removals that may overlap). Programs
are drawn for a scene such that answers are spread and shortcuts are mostly wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal, TypeVar

from rft_scenes import SHAPES, VEHICLES, Object

from rft_counting.language import (
    ADD,
    ASK_LEFT,
    ASK_NOW,
    ATTRIBUTES,
    MUST_LEAVE,
    REMOVE,
    REMOVE_ALL,
    THEN_REMOVE_ALL,
    Filter,
    phrase,
)

Family = Literal["addition", "subtraction", "adversarial", "multi-hop"]
FAMILIES: tuple[Family, ...] = ("addition", "subtraction", "adversarial", "multi-hop")

MOST_ADDED = 10  # as in CLEVR-Math
CANDIDATES = 24  # programs drawn per question, from which an answer is chosen
ASK_ALL = 0.25  # share of "how many objects", where counting everything is right

Things = Sequence[Object]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Step:
    """One change. `count` is None for "all" and for "leave", which keeps `left` objects."""

    does: Literal["remove", "add", "leave"]
    of: Filter
    count: int | None = None
    left: int | None = None


@dataclass(frozen=True)
class Program:
    """Steps in order, then the filter whose objects are counted.

    The answer of a program with a "leave" step is the number of objects it removes.
    """

    family: Family
    steps: tuple[Step, ...]
    asked: Filter

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        steps = [
            {name: value for name, value in asdict(step).items() if value is not None}
            for step in self.steps
        ]
        return {"family": self.family, "steps": steps, "asked": dict(self.asked)}


def matches(thing: Object, of: Filter) -> bool:
    """Whether an object has every value of a filter."""
    return all(getattr(thing, name) == value for name, value in of.items())


def count(things: Things, of: Filter) -> int:
    """The number of objects that match a filter."""
    return sum(matches(thing, of) for thing in things)


def removed(program: Program) -> list[Filter]:
    """The filters whose objects are all removed, in order."""
    return [step.of for step in program.steps if step.does == "remove" and step.count is None]


def counts(program: Program, thing: Object) -> bool:
    """Whether an object matches the filter to count and is not removed."""
    gone = any(matches(thing, of) for of in removed(program))
    return matches(thing, program.asked) and not gone


def change(program: Program) -> int:
    """How much adding or removing a given number changes the count."""
    if program.family == "adversarial":  # the class that changes is not counted
        return 0
    step = program.steps[0]
    return (step.count or 0) if step.does == "add" else -(step.count or step.left or 0)


def answer(program: Program, things: Things) -> int:
    """The number of objects that are left, or that must be removed."""
    return sum(counts(program, thing) for thing in things) + change(program)


def draw(family: Family, things: Things, rng: Random) -> Program:
    """A program of `family` for a scene; choosing the answer first spreads the answers.

    Only `Random.random` is used, whose sequence Python guarantees.
    """
    by_answer: dict[int, list[Program]] = {}
    for _ in range(CANDIDATES):
        program = None
        while program is None:
            program = _DRAW[family](things, rng)
        by_answer.setdefault(answer(program, things), []).append(program)
    return pick(rng, by_answer[pick(rng, sorted(by_answer))])


def question(program: Program, rng: Random) -> str:
    """The program in words, in one of several phrasings."""
    steps = [_sentence(step, first=at == 0, rng=rng) for at, step in enumerate(program.steps)]
    if program.steps[-1].does == "leave":
        return " ".join(steps)
    asks = ASK_NOW if program.steps[0].does == "add" else ASK_LEFT
    return " ".join([*steps, pick(rng, asks).format(of=phrase(program.asked))])


def pick(rng: Random, options: Sequence[Item]) -> Item:
    """One of `options`, uniformly."""
    return options[int(rng.random() * len(options))]


def _sentence(step: Step, *, first: bool, rng: Random) -> str:
    if step.does == "leave":
        return pick(rng, MUST_LEAVE).format(of=phrase(step.of), left=step.left)
    if step.count is None:
        return pick(rng, REMOVE_ALL if first else THEN_REMOVE_ALL).format(of=phrase(step.of))
    wording = pick(rng, ADD if step.does == "add" else REMOVE)
    return wording.format(of=phrase(step.of, step.count), are="is" if step.count == 1 else "are")


def _between(rng: Random, low: int, high: int) -> int:
    return low + int(rng.random() * (high - low + 1))


def _some(rng: Random, of: Filter, size: int) -> Filter:
    """`size` of a filter's attributes, in the fixed order."""
    names = sorted(of, key=lambda name: (rng.random(), name))[:size]
    return {name: of[name] for name in ATTRIBUTES if name in names}


def _class(things: Things, rng: Random, *, shape: str | None = None) -> Filter:
    """A filter of one to three attributes that some object matches; with `shape` if given."""
    members = [thing for thing in things if shape in (None, thing.shape)]
    thing = pick(rng, members)
    whole = {name: getattr(thing, name) for name in ATTRIBUTES}
    size = pick(rng, (1, 1, 1, 2, 2, 3))
    if shape is None:
        return _some(rng, whole, size)
    whole.pop("shape")
    return {**_some(rng, whole, size - 1), "shape": shape}


def _wider(of: Filter, rng: Random) -> Filter:
    """The filter itself, or a more general one, or the empty one."""
    return {} if rng.random() < ASK_ALL else _some(rng, of, _between(rng, 1, len(of)))


def _addition(things: Things, rng: Random) -> Program:
    of = _class(things, rng)
    step = Step("add", of, _between(rng, 1, MOST_ADDED))
    return Program("addition", (step,), _wider(of, rng))


def _subtraction(things: Things, rng: Random) -> Program | None:
    of = _class(things, rng)
    members = count(things, of)
    form = pick(rng, ("all", "some", "leave"))
    if form == "leave":
        return Program("subtraction", (Step("leave", of, left=_between(rng, 1, members)),), of)
    if form == "some":
        step = Step("remove", of, _between(rng, 1, members))
        return Program("subtraction", (step,), _wider(of, rng))
    asked = _wider(of, rng)
    if count(things, asked) == members:  # nothing would be left to count
        return None
    return Program("subtraction", (Step("remove", of),), asked)


def _adversarial(things: Things, rng: Random) -> Program:
    of = _class(things, rng, shape=pick(rng, things).shape)
    seen = sorted({thing.shape for thing in things} - {of["shape"]})
    every = sorted(set(_shapes(things)) - {of["shape"]})
    shape = pick(rng, seen if seen and rng.random() < 0.9 else every)
    step = pick(
        rng,
        (
            Step("remove", of),
            Step("remove", of, _between(rng, 1, count(things, of))),
            Step("add", of, _between(rng, 1, MOST_ADDED)),
        ),
    )
    narrow = shape in seen and rng.random() < 0.5
    asked = _class(things, rng, shape=shape) if narrow else {"shape": shape}
    return Program("adversarial", (step,), asked)


def _shapes(things: Things) -> Sequence[str]:
    """All shapes, or all vehicle classes, whichever these objects are from."""
    return SHAPES if things[0].shape in SHAPES else tuple(VEHICLES)


def _multi_hop(things: Things, rng: Random) -> Program | None:
    one, two = _class(things, rng), _class(things, rng)
    if one.items() <= two.items() or two.items() <= one.items():
        return None  # one removal would include the other
    asked: Filter = {}
    if rng.random() >= 0.5:
        asked = {"shape": pick(rng, things).shape}
    return Program("multi-hop", (Step("remove", one), Step("remove", two)), asked)


_DRAW: Mapping[Family, Callable[[Things, Random], Program | None]] = {
    "addition": _addition,
    "subtraction": _subtraction,
    "adversarial": _adversarial,
    "multi-hop": _multi_hop,
}
