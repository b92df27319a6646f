"""Requests about two images of one row of things: what is new in the second.

The task names calls and goes through a numbered list; here things are named and
sentences say what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from pretraining.practice import scenes
from pretraining.practice.wording import Request, introduced, one_of
from pretraining.things import ATTRIBUTES, Thing

if TYPE_CHECKING:
    from pretraining.corpus.augment import Seen
    from pretraining.corpus.pairs import Change, Pair

SAID_WAYS = {  # as the first image shows them
    "left": "left",
    "right": "right",
    "front": "forward",
    "behind": "back",
    "front_left": "forward and left",
    "front_right": "forward and right",
    "behind_left": "back and left",
    "behind_right": "back and right",
}


def news(change: Change) -> str:
    """ "became large", "went back and left"."""
    if change.attribute == "position":
        return f"went {SAID_WAYS[change.value]}"
    article = "a " if change.attribute == "shape" else ""
    return f"became {article}{change.value}"


def _second(pair: Pair) -> dict[int, Thing]:
    return {s.number: s.thing for s in pair.after}


def _of(pair: Pair, number: int) -> list[Change]:
    return [change for change in pair.changes if change.number == number]


def _happened(pair: Pair, number: int) -> str:
    """ "became large and went left", or nothing."""
    return " and ".join(map(news, _of(pair, number)))


def _told(pair: Pair, rows: Sequence[Seen], *, all_of_them: bool) -> str:
    """Things with what happened to them; of those that stayed, that they did, or nothing."""
    told = ((s.thing.name(), _happened(pair, s.number)) for s in rows)
    said = [f"{name} {news or 'stayed'}" for name, news in told if news or all_of_them]
    return ", ".join(said) or "nothing"


def what_changed(rng: Random, pair: Pair) -> Request:
    """Every thing that changed, from left to right, and what happened to it."""
    ask = rng.choice(
        (
            "What changed between the two pictures?",
            "What is different in the second picture?",
            "Compare the pictures. What happened to the objects?",
            "Which objects changed, and how?",
            "Say what happened from the first picture to the second.",
        )
    )
    return ask, _told(pair, pair.before, all_of_them=False)


def which_and_what(rng: Random, pair: Pair) -> Request:
    """Every thing that changed with the attributes that did, not their values."""
    ask = rng.choice(
        (
            "Which object changed, and which attribute of it?",
            "Name what changed and the attribute that is new.",
            "Which objects are different, and in what?",
        )
    )
    said = []
    for s in pair.before:
        attributes = [change.attribute for change in _of(pair, s.number)]
        if attributes:
            said.append(f"{s.thing.name()}: {' and '.join(attributes)}")
    return ask, ", ".join(said) or "nothing"


def which(rng: Random, pair: Pair) -> Request:
    """The things that changed, as they were."""
    ask = rng.choice(
        (
            "Which objects changed?",
            "Name the objects of the first picture that are different in the second.",
            "Which things are not the same in both pictures?",
        )
    )
    return ask, ", ".join(s.thing.name() for s in pair.before if _of(pair, s.number)) or "none"


def the_changed_one(rng: Random, pair: Pair) -> Request:
    """One word about the only thing that changed: the least that finding it takes."""
    numbers = {change.number for change in pair.changes}
    if len(numbers) != 1:
        return any_change(rng, pair)
    was = next(s.thing for s in pair.before if s.number in numbers)
    now, change = _second(pair)[numbers.pop()], rng.choice(pair.changes)
    asked = rng.choice(ATTRIBUTES)
    asks: list[Request] = [
        (f"One object changed. What {asked} did it have before?", getattr(was, asked)),
        (f"What was the {asked} of the object that changed?", getattr(was, asked)),
        (f"One object changed. What {asked} does it have now?", getattr(now, asked)),
        ("Name the object that changed, as it was.", was.name()),
        ("Name the object that changed, as it is now.", now.name()),
    ]
    if len(pair.changes) == 1:
        said = SAID_WAYS[change.value] if change.attribute == "position" else change.value
        asks += [
            ("One object is different. Which attribute of it changed?", change.attribute),
            ("Only one thing is new. Which attribute is it?", change.attribute),
            ("Only one thing is new. What is it?", said),
        ]
    return rng.choice(asks)


def any_change(rng: Random, pair: Pair) -> Request:
    """Whether anything got another value of one attribute, or moved."""
    asked = rng.choice((*ATTRIBUTES, "position"))
    if pair.changes and rng.random() < 0.4:  # a fair share of "yes"
        asked = rng.choice(pair.changes).attribute
    ask = rng.choice(
        (
            f"Does any object have another {asked} in the second picture?",
            f"Did the {asked} of an object change?",
        )
    )
    return ask, "yes" if asked in {change.attribute for change in pair.changes} else "no"


def which_stayed(rng: Random, pair: Pair) -> Request:
    """The things that did not change."""
    ask = rng.choice(("Which objects did not change?", "Name the objects that stay as they are."))
    return ask, ", ".join(s.thing.name() for s in pair.before if not _of(pair, s.number)) or "none"


def one_then(rng: Random, pair: Pair) -> Request:
    """What one thing of the first image has become."""
    s = rng.choice(pair.before)
    name, now = s.thing.name(), _second(pair)[s.number]
    happened = _happened(pair, s.number)
    return rng.choice(
        (
            (f"Find the {name} of the first picture. What is it in the second?", now.name()),
            (f"What has the {name} become?", now.name()),
            (f"What happened to the {name}?", happened or "nothing"),
            (f"Did the {name} change?", "yes" if happened else "no"),
            (f"Is the {name} the same in both pictures?", "no" if happened else "yes"),
        )
    )


def one_attribute(rng: Random, pair: Pair) -> Request:
    """One attribute, in the second image, of a thing of the first."""
    changed = [s for s in pair.before if _of(pair, s.number)]
    s = rng.choice(changed if changed and rng.random() < 0.6 else pair.before)
    asked = rng.choice(ATTRIBUTES)
    value = getattr(_second(pair)[s.number], asked)
    return f"What is the {asked} of the {s.thing.name()} in the second picture?", value


def where_to(rng: Random, pair: Pair) -> Request:
    """Which way a thing moved."""
    moved = {c.number: SAID_WAYS[c.value] for c in pair.changes if c.attribute == "position"}
    movers = [s for s in pair.before if s.number in moved]
    s = rng.choice(movers if movers and rng.random() < 0.7 else pair.before)
    name = s.thing.name()
    ask = rng.choice((f"Where did the {name} go?", f"Which way did the {name} move?"))
    return ask, moved.get(s.number, "nowhere")


def each_then(rng: Random, pair: Pair) -> Request:
    """Every thing of the first image with what it is in the second."""
    now = _second(pair)
    if rng.random() < 0.6:
        ask = rng.choice(
            (
                "For each object of the first picture, say what happened to it.",
                "Go through the first picture from left to right: what happened to each object?",
            )
        )
        return ask, _told(pair, pair.before, all_of_them=True)
    ask = rng.choice(
        (
            "Name each object of the first picture and what it is in the second.",
            "List each object as it was and as it is now.",
        )
    )
    return ask, ", ".join(f"{s.thing.name()} to {now[s.number].name()}" for s in pair.before)


def listed_order(rng: Random, pair: Pair) -> Request:
    """What happened to things that the request lists, in its order."""
    rows = rng.sample(pair.before, len(pair.before))
    listed = ", ".join(s.thing.name() for s in rows)
    ask = rng.choice(
        (
            f"These are in the first picture: {listed}. What happened to each?",
            f"Look for each of these in both pictures and say what happened to it: {listed}.",
            f"The first picture shows {listed}. Say for each if it changed and how.",
        )
    )
    return ask, _told(pair, rows, all_of_them=True)


def listed_changed(rng: Random, pair: Pair) -> Request:
    """Of things that the request lists, those that changed."""
    rows = rng.sample(pair.before, len(pair.before))
    listed = ", ".join(s.thing.name() for s in rows)
    ask = rng.choice(
        (
            f"Of these objects, which changed and how: {listed}?",
            f"Objects: {listed}. What changed from the first picture to the second?",
        )
    )
    return ask, _told(pair, rows, all_of_them=False)


def how_many(rng: Random, pair: Pair) -> Request:
    """The number of things that changed."""
    ask = rng.choice(
        ("How many objects changed?", "How many things are different in the second picture?")
    )
    return ask, str(len({change.number for change in pair.changes}))


def caption(rng: Random, pair: Pair) -> Request:
    """Everything in one of the images."""
    number, word = rng.choice(((0, "first"), (1, "second")))
    things = [s.thing for s in (pair.before, pair.after)[number]]
    ask = rng.choice(
        (
            f"List the objects in the {word} picture from left to right.",
            f"What does the {word} picture show?",
            f"Name everything in the {word} picture.",
        )
    )
    return ask, scenes.names(things)


def same_view(rng: Random, pair: Pair) -> Request:
    """Whether the camera stands where it stood."""
    ask = rng.choice(("Did the camera move?", "Is the second picture taken from another side?"))
    return ask, "no" if pair.same_view else "yes"


ABOUT: dict[Callable[[Random, Pair], Request], float] = {
    what_changed: 10,
    which_and_what: 9,
    which: 5,
    the_changed_one: 24,
    any_change: 5,
    which_stayed: 3,
    one_then: 12,
    one_attribute: 9,
    where_to: 7,
    each_then: 6,
    listed_order: 8,
    listed_changed: 6,
    how_many: 3,
    caption: 8,
    same_view: 1,
}
BEFORE = (
    "There are two pictures of the same objects.",
    "Look at both pictures.",
    "The second picture shows the floor a little later.",
    "Between the two pictures something may have changed.",
    "Objects can become larger or smaller, get another color, material or shape, or move.",
    "Compare the first picture with the second. The camera may stand on another side.",
)


def about(rng: Random, pair: Pair) -> Request:
    """One request about a pair, sometimes with true words before it."""
    ask, answer = one_of(rng, ABOUT)(rng, pair)
    return introduced(rng, ask, BEFORE), answer
