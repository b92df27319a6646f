"""Requests about a row of things, seen in an image or read in a list.

Instructions vary with meaning: every word of one matters, or says something
true about what is asked. What is left out on purpose: reasoning in tags, running
counts written after an item, and adding to or taking from an image. Those
belong to the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from rft_nano.words import NUMBERS, PLURALS

from pretraining.practice.wording import Request, Template, fill, introduced, listed, same
from pretraining.things import (
    ATTRIBUTES,
    ORDINALS,
    VALUES,
    Pick,
    Things,
    invent,
    pick_some,
    unique_name,
)

Asker = Callable[[Random, Things], Request]


def names(things: Things, attributes: tuple[str, ...] = ATTRIBUTES) -> str:
    """ "large red metal cube, small blue rubber sphere", or "none"."""
    return ", ".join(t.name(attributes) for t in things) or "none"


def numbered(things: Things, attributes: tuple[str, ...] = ATTRIBUTES) -> str:
    """ "1 large red metal cube, 2 small blue rubber sphere", or "none"."""
    return ", ".join(f"{i} {t.name(attributes)}" for i, t in enumerate(things, 1)) or "none"


def _some(rng: Random) -> tuple[str, ...]:
    chosen = rng.sample(ATTRIBUTES, rng.choice((1, 2, 2, 3)))
    return tuple(a for a in ATTRIBUTES if a in chosen)


# --- about a row of things, seen or read -----------------------------------------------------
#
# A template is an instruction and its answer. Fields of all things: {names}, {numbered},
# {reversed}, {lines}, {total}. Of those that match a description {some}: {found},
# {found_numbered}, {count}, {rest}; {verdicts}, {checks} and {marks} go through all things.


def _of_all(things: Things) -> dict[str, object]:
    return {
        "names": names(things),
        "numbered": numbered(things),
        "reversed": names(things[::-1]),
        "lines": "\n".join(t.name() for t in things) or "none",
        "total": len(things),
    }


def _of_some(things: Things, wanted: Sequence[bool]) -> dict[str, object]:
    found = [t for t, yes in zip(things, wanted, strict=True) if yes]
    words = ["yes" if yes else "no" for yes in wanted]
    so_far = [str(sum(wanted[: i + 1])) if yes else "-" for i, yes in enumerate(wanted)]
    return {
        "found": names(found),
        "found_numbered": numbered(found),
        "count": len(found),
        "rest": names([t for t, yes in zip(things, wanted, strict=True) if not yes]),
        "verdicts": ", ".join(f"{t.name()}: {w}" for t, w in zip(things, words, strict=True)),
        "checks": ", ".join(f"{w} {t.name()}" for t, w in zip(things, words, strict=True)),
        "marks": ", ".join(f"{m} {t.name()}" for t, m in zip(things, so_far, strict=True)),
    }


def whole(*templates: Template) -> Asker:
    """Requests about all things."""
    return lambda rng, things: fill(rng, templates, **_of_all(things))


def picked(*templates: Template) -> Asker:
    """Requests about the things that match a description."""

    def ask(rng: Random, things: Things) -> Request:
        pick = pick_some(rng, things)
        some = pick.phrase(rng)
        return fill(rng, templates, some=some, **_of_some(things, pick.marks(things)))

    return ask


caption = whole(
    *same(
        "{names}",
        "List the objects from left to right.",
        "List all objects.",
        "What objects are there?",
        "Name every object with its size, color, material and shape.",
        "Describe everything from left to right.",
        "Tell me what is there, from left to right.",
        "Go from left to right and name each object.",
        "Which things are there? Give size, color, material and shape of each.",
        "Write down all things, starting on the left.",
        "Name the objects.",
        "What is shown?",
        "Please list each thing.",
        "First look at all the objects, then write them from left to right.",
    )
)
caption_numbered = whole(
    *same(
        "{numbered}",
        "Number the objects from left to right.",
        "List all objects with a number before each.",
        "Write a numbered list of the things.",
        "Count the objects: a number, then the name.",
    )
)
caption_lines = whole(
    *same("{lines}", "List the objects, one on each line.", "Write each object on its own line.")
)
caption_reversed = whole(
    *same(
        "{reversed}",
        "List the objects from right to left.",
        "Name everything, starting on the right.",
    )
)
listed_then_total = whole(
    *same(
        "{names}. {total}",
        "List the objects, then say how many there are.",
        "Name everything and then give the number of objects.",
    )
)
filtered = picked(
    *same(
        "{found}",
        "List the {some}.",
        "List only the {some}.",
        "Which {some} are there?",
        "Name all {some}.",
        "Find the {some}.",
        "Show me the {some} from left to right.",
        "What {some} can you find?",
        "Pick out all {some} and name them.",
        "Name the {some}, nothing else.",
    )
)
filtered_numbered = picked(
    *same(
        "{found_numbered}",
        "Number the {some}.",
        "Count the {some} one by one.",
        "Make a numbered list of the {some}.",
    ),
    *same(
        "{found_numbered}. total {count}",
        "List the {some} with numbers and give the total.",
        "Count the {some} one by one and say how many.",
    ),
)
except_for = picked(
    *same(
        "{rest}",
        "List everything except the {some}.",
        "Name all objects that are not {some}.",
        "Which objects are there besides the {some}?",
        "Skip the {some} and list the rest.",
    )
)
_how_many = picked(
    *same(
        "{count}",
        "How many {some} are there?",
        "How many {some} do you see?",
        "Count the {some}.",
        "What is the number of {some}?",
        "Give the number of {some}.",
        "Tell me how many {some} there are.",
        "How many of the objects are {some}?",
    )
)
PART = same(
    "{part}",
    "Give only the {some} of each object, from left to right.",
    "Name the {some} of every thing.",
    "What {some} does each object have?",
    "List the objects by {some}.",
)
TOTAL = same(
    "{total}",
    "How many {noun} are there?",
    "How many {noun} are there in total?",
    "Count all {noun}.",
    "What is the total number of {noun}?",
)
EXISTS = same(
    "{answer}",
    "Is there {article} {one}?",
    "Do you see {article} {one}?",
    "Is there any {one}? Answer yes or no.",
    "Can you find {article} {one}?",
)
ATTRIBUTE = same(
    "{value}",
    "What {asked} is the {one}?",
    "What is the {asked} of the {one}?",
    "Tell me the {asked} of the {one}.",
    "The {one} has which {asked}?",
)
NEIGHBOR = same(
    "{answer}",
    "What is the next object to the {side} of the {one}?",
    "Which object comes next, {side} of the {one}?",
)
TALLY = same(
    "{counts}", "Count the objects of each {asked}.", "How many are there of each {asked}?"
)
MARKS = same(
    "{marks}",
    "Go through the objects. Count the {some}: a number before each of them, "
    "a - before the others.",
    "Name every object. Put numbers before the {some} and - before the rest.",
    "Number only the {some}, but list all objects. Write - if an object does not count.",
)
CHECKS = same(
    "{checks}",
    "Go through the objects. Say yes before the {some} and no before the others.",
    "Check each object: yes for the {some}, no for the rest.",
)
VERDICTS = same(
    "{verdicts}",
    "Name each object and say yes or no: is it a {one}?",
    "For each object from left to right: the name, then whether it is one of the {some}.",
    "Which objects are {some}? After every name write yes or no.",
    "Name everything. After each name say yes for {some} and no for the rest.",
    "Is each object one of the {some}? Name it first, then say yes or no.",
    "Only {some} count. Name each thing and say if it counts, yes or no.",
)
BUT_NOT = (
    ("List {both}.", "{found}"),
    ("Number {both}.", "{found_numbered}"),
    ("Count {both}. How many are there?", "{count}"),
    ("Name each object. Say yes for {both}, else no.", "{verdicts}"),
    ("After each name write yes or no: is it one of {both}?", "{verdicts}"),
    ("Which objects are {both}? Name every object first.", "{verdicts}"),
    ("List all objects. A number before {both}, - before the rest.", "{marks}"),
    ("Count {both}: go through all objects, number or - first.", "{marks}"),
)
LABELS = (("A", "B", "C"), ("in", "out", "other"), ("first", "second", "none"), ("x", "y", "z"))
LABELLED = same(
    "{labels}",
    "Name each object. Write {one} after {some}. Write {two} after {others}. "
    "All the rest get {rest}.",
    "Sort the objects: {some} are {one}, {others} are {two}, the rest {rest}. "
    "Name each before you sort it.",
    "First rule: {some} are {one}. Second rule: {others} are {two}. Else {rest}. "
    "Name every thing and follow the rules.",
    "All {some} go to {one}. Then all {others} go to {two}. What is left goes to {rest}. "
    "Where does each object go?",
)
SECOND = (
    ("the {some}", "{found}"),
    ("the {some} with numbers", "{found_numbered}"),
    ("a numbered list of the {some}", "{found_numbered}"),
    ("everything but the {some}", "{rest}"),
    ("how many {some} there are", "{count}"),
)
TWO_REQUESTS = same(
    "{names}\n{answer}",
    "First list all objects, then {second}.",
    "List everything. On the next line write {second}.",
    "Name the objects from left to right, and after that {second}.",
    "Write all things, then {second}.",
)


def caption_part(rng: Random, things: Things) -> Request:
    """Some attributes of everything."""
    some = _some(rng)
    return fill(rng, PART, some=listed(some, "and"), part=names(things, some))


def counted(rng: Random, things: Things) -> Request:
    """How many match."""
    ask, count = _how_many(rng, things)
    return _with_number(rng, ask, int(count))


def total(rng: Random, things: Things) -> Request:
    """How many in all."""
    noun = rng.choice(("objects", "things", "items"))
    ask, count = fill(rng, TOTAL, noun=noun, total=len(things))
    return _with_number(rng, ask, int(count))


def _with_number(rng: Random, ask: str, number: int) -> Request:
    style = rng.random()
    if style < 0.75:
        tail = rng.choice(
            ("", "", "", " Answer with a number.", " Only the number.", " Answer with one integer.")
        )
        return ask + tail, str(number)
    if style < 0.9:
        return ask + " Answer in words.", NUMBERS[number]
    return ask + " Answer with a sentence.", f"There are {number}."


def exists(rng: Random, things: Things) -> Request:
    """Yes or no."""
    pick = pick_some(rng, things)
    if rng.random() < 0.4:  # a fair share of "no"
        pick = pick_some(rng, invent(rng, 1))
    one = pick.phrase(rng, plural=False)
    article = "an" if one[0] in "aio" else "a"
    answer = "yes" if pick.of(things) else "no"
    return fill(rng, EXISTS, one=one, article=article, answer=answer)


def attribute(rng: Random, things: Things) -> Request:
    """One attribute of a thing that its other attributes single out."""
    thing, asked = rng.choice(things), rng.choice(ATTRIBUTES)
    one = unique_name(rng, things, thing, hide=asked)
    if one is None:
        return at_place(rng, things)
    return fill(rng, ATTRIBUTE, one=one, asked=asked, value=getattr(thing, asked))


def at_place(rng: Random, things: Things) -> Request:
    """What stands first, third, last."""
    index = rng.randrange(len(things))
    place = f"{ORDINALS[index]} object from the left"
    if rng.random() < 0.25:
        place = f"{ORDINALS[len(things) - 1 - index]} object from the right"
    elif index == 0 and rng.random() < 0.7:
        place = rng.choice(("leftmost object", "object on the far left", "first object"))
    elif index == len(things) - 1 and rng.random() < 0.7:
        place = rng.choice(("rightmost object", "last object"))
    if rng.random() < 0.5:
        return rng.choice((f"What is the {place}?", f"Name the {place}.")), things[index].name()
    asked = rng.choice(ATTRIBUTES)
    return f"What {asked} is the {place}?", getattr(things[index], asked)


def neighbor(rng: Random, things: Things) -> Request:
    """What comes right before or after a thing."""
    index = rng.randrange(len(things))
    one = unique_name(rng, things, things[index])
    if one is None:
        return at_place(rng, things)
    step, side = rng.choice(((1, "right"), (-1, "left")))
    there = index + step
    answer = things[there].name() if 0 <= there < len(things) else "none"
    return fill(rng, NEIGHBOR, one=one, side=side, answer=answer)


def ordered(rng: Random, things: Things) -> Request:
    """Whether one thing is left of another."""
    if len(things) < 2:
        return exists(rng, things)
    one, two = rng.sample(range(len(things)), 2)
    first, second = (unique_name(rng, things, things[i]) for i in (one, two))
    if first is None or second is None:
        return at_place(rng, things)
    side = rng.choice(("left", "right"))
    yes = (one < two) == (side == "left")
    return f"Is the {first} {side} of the {second}?", "yes" if yes else "no"


def more(rng: Random, things: Things) -> Request:
    """Which of two kinds there is more of."""
    asked = rng.choice(("color", "shape", "material", "size"))
    pool = [
        v
        for v in VALUES[asked]
        if asked != "shape"
        or (v in VALUES["shape"][:3]) == (things[0].shape in VALUES["shape"][:3])
    ]
    one, two = rng.sample(pool, 2)
    counts = [sum(getattr(t, asked) == v for t in things) for v in (one, two)]
    said = [PLURALS[v] if asked == "shape" else f"{v} things" for v in (one, two)]
    ask = f"Are there more {said[0]} than {said[1]}?"
    return ask, "yes" if counts[0] > counts[1] else "no"


def tally(rng: Random, things: Things) -> Request:
    """How many of each value of one attribute, in order of first appearance."""
    asked = rng.choice(("color", "shape", "material", "size"))
    values = list(dict.fromkeys(getattr(t, asked) for t in things))
    counts = ", ".join(f"{v} {sum(getattr(t, asked) == v for t in things)}" for v in values)
    return fill(rng, TALLY, asked=asked, counts=counts)


def one_by_one(rng: Random, things: Things) -> Request:
    """A verdict, or the count so far, before every name."""
    pick = pick_some(rng, things)
    some = pick.phrase(rng)
    templates = MARKS if rng.random() < 0.6 else CHECKS
    return fill(rng, templates, some=some, **_of_some(things, pick.marks(things)))


def verdicts(rng: Random, things: Things, attributes: Sequence[str] = ATTRIBUTES) -> Request:
    """Every name, and after it whether it is one of those asked for, by some `attributes`."""
    pick = pick_some(rng, things, attributes)
    some, one = pick.phrase(rng), pick.phrase(rng, plural=False)
    return fill(rng, VERDICTS, some=some, one=one, **_of_some(things, pick.marks(things)))


def but_not(rng: Random, things: Things) -> Request:
    """Those of one kind that are not of another, or of two others."""
    pick = Pick(()) if rng.random() < 0.2 else pick_some(rng, things)
    out = [pick_some(rng, things) for _ in range(rng.choice((1, 1, 2)))]
    some, others = pick.phrase(rng), [o.phrase(rng) for o in out]
    wanted = [pick.matches(t) and not any(o.matches(t) for o in out) for t in things]
    both = rng.choice(
        (
            f"the {some} but not the {' or the '.join(others)}",
            f"the {some} without the {' and the '.join(others)}",
            f"the {some} that are not {' and not '.join(others)}",
        )
    )
    return fill(rng, BUT_NOT, both=both, **_of_some(things, wanted))


def labelled(rng: Random, things: Things) -> Request:
    """Every name, and after it which of two kinds it is; of both, the first named rules."""
    pick, other = pick_some(rng, things), pick_some(rng, things)
    some, others = pick.phrase(rng), other.phrase(rng)
    one, two, rest = rng.choice(LABELS)
    marks = [one if pick.matches(t) else two if other.matches(t) else rest for t in things]
    labels = ", ".join(f"{t.name()}: {mark}" for t, mark in zip(things, marks, strict=True))
    words = {"some": some, "others": others, "one": one, "two": two, "rest": rest}
    return fill(rng, LABELLED, labels=labels, **words)


def two_requests(rng: Random, things: Things) -> Request:
    """A list, then what a second request picks out of it."""
    pick = pick_some(rng, things)
    some = pick.phrase(rng)
    second, answer = fill(rng, SECOND, some=some, **_of_some(things, pick.marks(things)))
    return fill(rng, TWO_REQUESTS, second=second, names=names(things), answer=answer)


# weight when seen in an image, weight when read in the instruction
ABOUT: dict[Asker, tuple[float, float]] = {
    caption: (20, 3),
    caption_numbered: (4, 2),
    caption_lines: (2, 1),
    caption_part: (5, 3),
    caption_reversed: (2, 2),
    filtered: (10, 14),
    filtered_numbered: (7, 14),
    counted: (8, 12),
    total: (3, 4),
    listed_then_total: (3, 0),
    exists: (5, 8),
    attribute: (14, 24),
    at_place: (8, 14),
    neighbor: (5, 10),
    ordered: (4, 8),
    more: (1, 3),
    tally: (2, 3),
    except_for: (4, 8),
    one_by_one: (7, 12),
    verdicts: (8, 16),
    but_not: (8, 24),
    labelled: (4, 10),
    two_requests: (6, 0),
}


def about(rng: Random, things: Things, *, seen: bool) -> Request:
    """One request about the things, as they would be asked of an image or of a list."""
    weights = [pair[0 if seen else 1] for pair in ABOUT.values()]
    return rng.choices(list(ABOUT), weights)[0](rng, things)


# --- about a list in the instruction --------------------------------------------------------


VERBS = ("Remove", "Take away", "Subtract", "Leave out", "Delete", "Cross out")
REMOVED = (
    *same("{rest}", "What is left?", "Which objects remain?", "Write the list that is left."),
    *same("{left}", "How many are left?", "How many objects remain?"),
    ("How many are left? Show the sum.", "{total} - {count} = {left}"),
    ("Number what is left.", "{rest_numbered}"),
)
BROUGHT = (
    ("How many objects are there now?", "{now}"),
    ("How many are there now? Show the sum.", "{total} + {amount} = {now}"),
)


def removed(rng: Random, things: Things) -> Request:
    """Take the matching ones out of a written list."""
    pick = pick_some(rng, things)
    some = pick.phrase(rng)
    rest = [t for t in things if not pick.matches(t)]
    verb = rng.choice(VERBS)
    left, values = len(rest), _of_some(things, pick.marks(things))
    values |= {"total": len(things), "left": left, "rest_numbered": numbered(rest)}
    after, answer = fill(rng, REMOVED, **values)
    return f"{verb} all {some}. {after}", answer


def brought(rng: Random, things: Things) -> Request:
    """Put new ones into a written list."""
    amount = rng.randint(1, 9)
    some = pick_some(rng, things).phrase(rng, plural=amount > 1)
    verb = rng.choice(("Add", "Put in", "Bring", "Now add"))
    now = len(things) + amount
    after, answer = fill(rng, BROUGHT, total=len(things), amount=amount, now=now)
    return f"{verb} {amount} {some}. {after}", answer


def from_list(rng: Random, asker: Asker | None = None) -> Request:
    """A request about a list that stands in the instruction, before or after the question."""
    things = invent(rng, rng.choice((1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9)))
    asker = asker or rng.choices((removed, brought, None), (22, 6, 72))[0]
    ask, answer = asker(rng, things) if asker else about(rng, things, seen=False)
    text = ", ".join(t.name() for t in things)
    if rng.random() < 0.2:
        text = rng.choice(("; ", "\n", " and ")).join(t.name() for t in things)
    if rng.random() < 0.55:
        lead = rng.choice(
            (
                "Here are some objects:",
                "Objects:",
                "The list is:",
                "There is a row of things:",
                "On a table there are:",
                "In a box you find:",
                "A child has these toys:",
                "",
            )
        )
        return f"{lead} {text}. {ask}".strip(), answer
    lead = rng.choice(("The objects are:", "Objects:", "List:", "Things:", "Look at this list:"))
    return f"{ask} {lead} {text}.", answer


FITS = same(
    "{answer}",
    "Is a {thing} a {one}?",
    "I have a {thing}. Is it a {one}?",
    "Does a {thing} match the {some}?",
    "I need {some}. Is a {thing} right? Say yes or no.",
    "Would you put a {thing} in a box for {some}?",
)
ALL_FIT = same(
    "{answer}",
    "A box is for {some}. Say yes or no for each of these: {text}.",
    "{text}. Which of them are {some}? Only yes or no for each.",
    "Sort out the {some}, yes or no each time: {text}.",
)


def belongs(rng: Random) -> Request:
    """Whether a name fits a description: the least that filtering takes."""
    things = invent(rng, rng.choice((1, 1, 2, 3, 4, 5)))
    pick = pick_some(rng, things)
    answer = " ".join("yes" if yes else "no" for yes in pick.marks(things))
    if len(things) == 1:
        one, some = pick.phrase(rng, plural=False), pick.phrase(rng)
        return fill(rng, FITS, thing=things[0].name(), one=one, some=some, answer=answer)
    some, text = pick.phrase(rng), "; ".join(t.name() for t in things)
    return fill(rng, ALL_FIT, some=some, text=text, answer=answer)


# --- the words around a request ---------------------------------------------------------------

BEFORE = (
    "Look at the picture.",
    "Here is a picture.",
    "Here is a picture of a floor with objects on it.",
    "The picture shows some objects on a gray floor.",
    "Look carefully at every object.",
    "You see a scene with one or more objects. Each has a size, a color, a material and a shape.",
    "A camera looks down at a floor where things stand.",
    "The question is about the picture.",
    "This is a task about a picture. Read the question with care, look at each object in the "
    "picture, and give an answer that is complete and correct.",
    "Objects have a size, a material, a shape and one of eight colors. "
    "The order is always from left to right.",
)
AFTER = (
    "Look at the picture to find out.",
    "Answer briefly.",
    "Use the order size, color, material, shape in every name.",
    "Only the answer, please.",
    "If there is nothing to name, write none.",
    "Look at the whole picture before you answer, from the left side to the right side.",
    "Give the answer in the form that the question asks for, and write nothing before or after it.",
)


def from_picture(rng: Random, things: Things) -> Request:
    """One request about an image of the things, with true words around it."""
    ask, answer = about(rng, things, seen=True)
    ask = introduced(rng, ask, BEFORE)
    if rng.random() < 0.25:
        ask = " ".join([ask, *rng.sample(AFTER, rng.choice((1, 1, 2)))])
    return ask, answer
