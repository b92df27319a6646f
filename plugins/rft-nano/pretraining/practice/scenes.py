"""Requests about a row of things, seen in a picture or read in a list.

Instructions vary with meaning: every word of one matters, or says something
true about what is asked. What is left out on purpose: reasoning in tags, running
counts written after an item, and adding to or taking from a picture. Those
belong to the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from rft_nano.words import NUMBERS, PLURALS

from pretraining.practice.wording import Request, introduced, listed
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


def caption(rng: Random, things: Things) -> Request:
    """Everything, in the fixed order of words, left to right."""
    ask = rng.choice(
        (
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
    return ask, names(things)


def caption_numbered(rng: Random, things: Things) -> Request:
    """Everything, each name after its number."""
    ask = rng.choice(
        (
            "Number the objects from left to right.",
            "List all objects with a number before each.",
            "Write a numbered list of the things.",
            "Count the objects: a number, then the name.",
        )
    )
    return ask, numbered(things)


def caption_lines(rng: Random, things: Things) -> Request:
    """Everything, one a line."""
    ask = rng.choice(("List the objects, one on each line.", "Write each object on its own line."))
    return ask, "\n".join(t.name() for t in things) or "none"


def caption_part(rng: Random, things: Things) -> Request:
    """Some attributes of everything."""
    some = _some(rng)
    ask = rng.choice(
        (
            f"Give only the {listed(some, 'and')} of each object, from left to right.",
            f"Name the {listed(some, 'and')} of every thing.",
            f"What {listed(some, 'and')} does each object have?",
            f"List the objects by {listed(some, 'and')}.",
        )
    )
    return ask, names(things, some)


def caption_reversed(rng: Random, things: Things) -> Request:
    """Everything, right to left."""
    ask = rng.choice(
        ("List the objects from right to left.", "Name everything, starting on the right.")
    )
    return ask, names(things[::-1])


def filtered(rng: Random, things: Things) -> Request:
    """Those that match."""
    pick = pick_some(rng, things)
    phrase = pick.phrase(rng)
    ask = rng.choice(
        (
            f"List the {phrase}.",
            f"List only the {phrase}.",
            f"Which {phrase} are there?",
            f"Name all {phrase}.",
            f"Find the {phrase}.",
            f"Show me the {phrase} from left to right.",
            f"What {phrase} can you find?",
            f"Pick out all {phrase} and name them.",
            f"Name the {phrase}, nothing else.",
        )
    )
    return ask, names(pick.of(things))


def filtered_numbered(rng: Random, things: Things) -> Request:
    """Those that match, each after its number; sometimes the total at the end."""
    pick = pick_some(rng, things)
    phrase, found = pick.phrase(rng), pick.of(things)
    ask, form = rng.choice(
        (
            (f"Number the {phrase}.", "{}"),
            (f"Count the {phrase} one by one.", "{}"),
            (f"Make a numbered list of the {phrase}.", "{}"),
            (f"List the {phrase} with numbers and give the total.", "{}. total {n}"),
            (f"Count the {phrase} one by one and say how many.", "{}. total {n}"),
        )
    )
    return ask, form.format(numbered(found), n=len(found))


def counted(rng: Random, things: Things) -> Request:
    """How many match."""
    pick = pick_some(rng, things)
    phrase, number = pick.phrase(rng), len(pick.of(things))
    ask = rng.choice(
        (
            f"How many {phrase} are there?",
            f"How many {phrase} do you see?",
            f"Count the {phrase}.",
            f"What is the number of {phrase}?",
            f"Give the number of {phrase}.",
            f"Tell me how many {phrase} there are.",
            f"How many of the objects are {phrase}?",
        )
    )
    return _with_number(rng, ask, number)


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


def total(rng: Random, things: Things) -> Request:
    """How many in all."""
    noun = rng.choice(("objects", "things", "items"))
    ask = rng.choice(
        (
            f"How many {noun} are there?",
            f"How many {noun} are there in total?",
            f"Count all {noun}.",
            f"What is the total number of {noun}?",
        )
    )
    return _with_number(rng, ask, len(things))


def listed_then_total(rng: Random, things: Things) -> Request:
    """Everything, then how many."""
    ask = rng.choice(
        (
            "List the objects, then say how many there are.",
            "Name everything and then give the number of objects.",
        )
    )
    return ask, f"{names(things)}. {len(things)}"


def exists(rng: Random, things: Things) -> Request:
    """Yes or no."""
    pick = pick_some(rng, things)
    if rng.random() < 0.4:  # a fair share of "no"
        pick = pick_some(rng, invent(rng, 1))
    phrase = pick.phrase(rng, plural=False)
    article = "an" if phrase[0] in "aio" else "a"
    ask = rng.choice(
        (
            f"Is there {article} {phrase}?",
            f"Do you see {article} {phrase}?",
            f"Is there any {phrase}? Answer yes or no.",
            f"Can you find {article} {phrase}?",
        )
    )
    return ask, "yes" if pick.of(things) else "no"


def attribute(rng: Random, things: Things) -> Request:
    """One attribute of a thing that its other attributes single out."""
    thing, asked = rng.choice(things), rng.choice(ATTRIBUTES)
    phrase = unique_name(rng, things, thing, hide=asked)
    if phrase is None:
        return at_place(rng, things)
    ask = rng.choice(
        (
            f"What {asked} is the {phrase}?",
            f"What is the {asked} of the {phrase}?",
            f"Tell me the {asked} of the {phrase}.",
            f"The {phrase} has which {asked}?",
        )
    )
    return ask, getattr(thing, asked)


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


def neighbour(rng: Random, things: Things) -> Request:
    """What comes right before or after a thing."""
    index = rng.randrange(len(things))
    phrase = unique_name(rng, things, things[index])
    if phrase is None:
        return at_place(rng, things)
    step, side = rng.choice(((1, "right"), (-1, "left")))
    there = index + step
    ask = rng.choice(
        (
            f"What is the next object to the {side} of the {phrase}?",
            f"Which object comes next, {side} of the {phrase}?",
        )
    )
    return ask, things[there].name() if 0 <= there < len(things) else "none"


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
    ask = rng.choice(
        (f"Count the objects of each {asked}.", f"How many are there of each {asked}?")
    )
    return ask, ", ".join(f"{v} {sum(getattr(t, asked) == v for t in things)}" for v in values)


def except_for(rng: Random, things: Things) -> Request:
    """Everything but those that match."""
    pick = pick_some(rng, things)
    phrase = pick.phrase(rng)
    ask = rng.choice(
        (
            f"List everything except the {phrase}.",
            f"Name all objects that are not {phrase}.",
            f"Which objects are there besides the {phrase}?",
            f"Skip the {phrase} and list the rest.",
        )
    )
    return ask, names([t for t in things if not pick.matches(t)])


def one_by_one(rng: Random, things: Things) -> Request:
    """A verdict, or the count so far, before every name."""
    pick = pick_some(rng, things)
    phrase = pick.phrase(rng)
    wanted = [pick.matches(t) for t in things]
    if rng.random() < 0.6:
        ask = rng.choice(
            (
                f"Go through the objects. Count the {phrase}: a number before each of them, "
                "a - before the others.",
                f"Name every object. Put numbers before the {phrase} and - before the rest.",
                f"Number only the {phrase}, but list all objects. "
                "Write - if an object does not count.",
            )
        )
        return ask, _counts(things, wanted)
    ask = rng.choice(
        (
            f"Go through the objects. Say yes before the {phrase} and no before the others.",
            f"Check each object: yes for the {phrase}, no for the rest.",
        )
    )
    said = zip(wanted, things, strict=True)
    return ask, ", ".join(f"{'yes' if yes else 'no'} {t.name()}" for yes, t in said)


def _counts(things: Things, wanted: Sequence[bool]) -> str:
    """ "1 red cube, - blue sphere, 2 red sphere": the count so far before what counts."""
    counts = [str(sum(wanted[: i + 1])) if yes else "-" for i, yes in enumerate(wanted)]
    return ", ".join(f"{c} {t.name()}" for c, t in zip(counts, things, strict=True))


def verdicts(rng: Random, things: Things, attributes: Sequence[str] = ATTRIBUTES) -> Request:
    """Every name, and after it whether it is one of those asked for, by some `attributes`."""
    pick = pick_some(rng, things, attributes)
    some, one = pick.phrase(rng), pick.phrase(rng, plural=False)
    ask = rng.choice(
        (
            f"Name each object and say yes or no: is it a {one}?",
            f"For each object from left to right: the name, then whether it is one of the {some}.",
            f"Which objects are {some}? After every name write yes or no.",
            f"Name everything. After each name say yes for {some} and no for the rest.",
            f"Is each object one of the {some}? Name it first, then say yes or no.",
            f"Only {some} count. Name each thing and say if it counts, yes or no.",
        )
    )
    return ask, _verdicts(things, [pick.matches(t) for t in things])


def _verdicts(things: Things, wanted: Sequence[bool]) -> str:
    said = zip(things, wanted, strict=True)
    return ", ".join(f"{t.name()}: {'yes' if yes else 'no'}" for t, yes in said)


def but_not(rng: Random, things: Things) -> Request:
    """Those of one kind that are not of another, or of two others."""
    pick = Pick(()) if rng.random() < 0.2 else pick_some(rng, things)
    out = [pick_some(rng, things) for _ in range(rng.choice((1, 1, 2)))]
    some, others = pick.phrase(rng), [o.phrase(rng) for o in out]
    wanted = [pick.matches(t) and not any(o.matches(t) for o in out) for t in things]
    found = [t for t, yes in zip(things, wanted, strict=True) if yes]
    both = rng.choice(
        (
            f"the {some} but not the {' or the '.join(others)}",
            f"the {some} without the {' and the '.join(others)}",
            f"the {some} that are not {' and not '.join(others)}",
        )
    )
    return rng.choice(
        (
            (f"List {both}.", names(found)),
            (f"Number {both}.", numbered(found)),
            (f"Count {both}. How many are there?", str(len(found))),
            (f"Name each object. Say yes for {both}, else no.", _verdicts(things, wanted)),
            (f"After each name write yes or no: is it one of {both}?", _verdicts(things, wanted)),
            (f"Which objects are {both}? Name every object first.", _verdicts(things, wanted)),
            (
                f"List all objects. A number before {both}, - before the rest.",
                _counts(things, wanted),
            ),
            (f"Count {both}: go through all objects, number or - first.", _counts(things, wanted)),
        )
    )


LABELS = (("A", "B", "C"), ("in", "out", "other"), ("first", "second", "none"), ("x", "y", "z"))


def labelled(rng: Random, things: Things) -> Request:
    """Every name, and after it which of two kinds it is; of both, the first named rules."""
    pick, other = pick_some(rng, things), pick_some(rng, things)
    some, others = pick.phrase(rng), other.phrase(rng)
    one, two, rest = rng.choice(LABELS)
    ask = rng.choice(
        (
            f"Name each object. Write {one} after {some}. Write {two} after {others}. "
            f"All the rest get {rest}.",
            f"Sort the objects: {some} are {one}, {others} are {two}, the rest {rest}. "
            "Name each before you sort it.",
            f"First rule: {some} are {one}. Second rule: {others} are {two}. Else {rest}. "
            "Name every thing and follow the rules.",
            f"All {some} go to {one}. Then all {others} go to {two}. What is left goes to {rest}. "
            "Where does each object go?",
        )
    )
    marks = [one if pick.matches(t) else two if other.matches(t) else rest for t in things]
    return ask, ", ".join(f"{t.name()}: {mark}" for t, mark in zip(things, marks, strict=True))


def two_requests(rng: Random, things: Things) -> Request:
    """A list, then what a second request picks out of it."""
    pick = pick_some(rng, things)
    phrase, found = pick.phrase(rng), pick.of(things)
    second, answer = rng.choice(
        (
            (f"the {phrase}", names(found)),
            (f"the {phrase} with numbers", numbered(found)),
            (f"a numbered list of the {phrase}", numbered(found)),
            (f"everything but the {phrase}", names([t for t in things if not pick.matches(t)])),
            (f"how many {phrase} there are", str(len(found))),
        )
    )
    ask = rng.choice(
        (
            f"First list all objects, then {second}.",
            f"List everything. On the next line write {second}.",
            f"Name the objects from left to right, and after that {second}.",
            f"Write all things, then {second}.",
        )
    )
    return ask, f"{names(things)}\n{answer}"


Asker = Callable[[Random, Things], Request]
# weight when seen in a picture, weight when read in the instruction
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
    neighbour: (5, 10),
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
    """One request about the things, as they would be asked of a picture or of a list."""
    weights = [pair[0 if seen else 1] for pair in ABOUT.values()]
    return rng.choices(list(ABOUT), weights)[0](rng, things)


# --- about a list in the instruction --------------------------------------------------------


def removed(rng: Random, things: Things) -> Request:
    """Take the matching ones out of a written list."""
    pick = pick_some(rng, things)
    phrase = pick.phrase(rng)
    rest = [t for t in things if not pick.matches(t)]
    verb = rng.choice(("Remove", "Take away", "Subtract", "Leave out", "Delete", "Cross out"))
    total_, gone = len(things), len(things) - len(rest)
    after, answer = rng.choice(
        (
            ("What is left?", names(rest)),
            ("Which objects remain?", names(rest)),
            ("Write the list that is left.", names(rest)),
            ("How many are left?", str(len(rest))),
            ("How many objects remain?", str(len(rest))),
            ("How many are left? Show the sum.", f"{total_} - {gone} = {len(rest)}"),
            ("Number what is left.", numbered(rest)),
        )
    )
    return f"{verb} all {phrase}. {after}", answer


def brought(rng: Random, things: Things) -> Request:
    """Put new ones into a written list."""
    amount = rng.randint(1, 9)
    phrase = pick_some(rng, things).phrase(rng, plural=amount > 1)
    verb = rng.choice(("Add", "Put in", "Bring", "Now add"))
    all_ = len(things) + amount
    after, answer = rng.choice(
        (
            ("How many objects are there now?", str(all_)),
            ("How many are there now? Show the sum.", f"{len(things)} + {amount} = {all_}"),
        )
    )
    return f"{verb} {amount} {phrase}. {after}", answer


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


def belongs(rng: Random) -> Request:
    """Whether a name fits a description: the least that filtering takes."""
    things = invent(rng, rng.choice((1, 1, 2, 3, 4, 5)))
    pick = pick_some(rng, things)
    verdicts = ["yes" if pick.matches(t) else "no" for t in things]
    if len(things) == 1:
        one, kind = things[0].name(), pick.phrase(rng, plural=False)
        some = pick.phrase(rng)
        ask = rng.choice(
            (
                f"Is a {one} a {kind}?",
                f"I have a {one}. Is it a {kind}?",
                f"Does a {one} match the {some}?",
                f"I need {some}. Is a {one} right? Say yes or no.",
                f"Would you put a {one} in a box for {some}?",
            )
        )
        return ask, verdicts[0]
    some, text = pick.phrase(rng), "; ".join(t.name() for t in things)
    ask = rng.choice(
        (
            f"A box is for {some}. Say yes or no for each of these: {text}.",
            f"{text}. Which of them are {some}? Only yes or no for each.",
            f"Sort out the {some}, yes or no each time: {text}.",
        )
    )
    return ask, " ".join(verdicts)


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
    """One request about a picture of the things, with true words around it."""
    ask, answer = about(rng, things, seen=True)
    ask = introduced(rng, ask, BEFORE)
    if rng.random() < 0.25:
        ask = " ".join([ask, *rng.sample(AFTER, rng.choice((1, 1, 2)))])
    return ask, answer
