"""Requests about what stands in the text: copying it, looking things up, choosing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from string import ascii_uppercase
from typing import Any

from pretraining.practice.wording import Request, listed, one_of
from pretraining.things import ATTRIBUTES, VALUES, Things, invent


def repeat_words(rng: Random) -> Request:
    """How many words, the first, the last, again: reading what stands there."""
    things = invent(rng, rng.randint(1, 8))
    words = [t.color if rng.random() < 0.5 else t.shape for t in things]
    text = " ".join(words)
    word = rng.choice(words)
    return rng.choice(
        (
            (f"Write this again: {text}", text),
            (f"Say it backwards: {text}", " ".join(words[::-1])),
            (f"How many words are here? {text}", str(len(words))),
            (f"What is the last word? {text}", words[-1]),
            (f"How often is {word} in this list? {text}", str(words.count(word))),
            (
                f"Write the words with numbers. {text}",
                ", ".join(f"{i} {w}" for i, w in enumerate(words, 1)),
            ),
        )
    )


def _names(rng: Random, count: int, length: int) -> list[str]:
    """Different names of `length` letters with spaces between."""
    out: dict[str, None] = {}
    while len(out) < count:
        out[" ".join(rng.sample(ascii_uppercase, length))] = None
    return list(out)


def _value(rng: Random) -> str:
    return f"{rng.randint(1, 60)}.{rng.randint(1, 9)}" if rng.random() < 0.1 else str(_whole(rng))


def _whole(rng: Random) -> int:
    return 5 * rng.randint(1, 36) if rng.random() < 0.5 else rng.randint(1, 200)


def copied(rng: Random) -> Request:
    """Letters and numbers again, in order, backwards or in part."""
    marks = rng.sample(ascii_uppercase, rng.randint(2, 7))
    if rng.random() < 0.4:
        marks = [rng.choice((mark, _value(rng))) for mark in marks]
    text, at = " ".join(marks), rng.randrange(len(marks) - 1)
    return rng.choice(
        (
            (f"Write this again: {text}", text),
            (f"Copy: {text}", text),
            (f"Say it backwards: {text}", " ".join(marks[::-1])),
            (f"What comes after {marks[at]}? {text}", marks[at + 1]),
            (f"What is the first? {text}", marks[0]),
            (f"What is the last? {text}", marks[-1]),
            (f"Put commas between: {text}", ", ".join(marks)),
        )
    )


def looked_up(rng: Random) -> Request:
    """One value of several that are given by name."""
    word, length = rng.choice((("angle ", 3), ("", 2), ("", 1), ("side ", 2), ("", 3)))
    names = _names(rng, rng.randint(1, 5), length)
    facts = {f"{word}{name}": _value(rng) for name in names}
    link = rng.choice((" is ", " = "))
    text = " ".join(f"{_opened(name)}{link}{value}." for name, value in facts.items())
    name = rng.choice(list(facts))
    found = facts[name]
    alone = list(facts.values()).count(found) == 1
    asks = [
        (f"What is {name}?", found),
        (f"Find {name}.", found),
        (f"Write {name} with its value.", f"{name} = {found}"),
        ("List all values.", ", ".join(facts.values())),
        ("List all names.", ", ".join(facts)),
        ("Write every name with its value.", ", ".join(f"{n} = {v}" for n, v in facts.items())),
    ]
    ask, answer = rng.choice([*asks, (f"Which is {found}?", name)] if alone else asks)
    return (f"{text} {ask}" if rng.random() < 0.8 else f"{ask} {text}"), answer


def _opened(text: str) -> str:
    return text[0].upper() + text[1:]


def chosen(rng: Random) -> Request:
    """The letter of a value among choices, or the value of a letter."""
    values = list(dict.fromkeys(_value(rng) for _ in range(4)))
    choices = dict(zip("ABCD", values, strict=False))
    text = ", ".join(f"{letter} {value}" for letter, value in choices.items())
    letter = rng.choice(list(choices))
    return rng.choice(
        (
            (f"Choices: {text}. Which is {choices[letter]}?", letter),
            (f"Which choice is {choices[letter]}? {text}.", letter),
            (f"Choices: {text}. What is choice {letter}?", choices[letter]),
            (
                f"Choices: {text}. Which is the largest?",
                max(choices, key=lambda at: float(choices[at])),
            ),
            (f"The result is {choices[letter]}. Choose: {text}.", letter),
        )
    )


def chosen_fact(rng: Random) -> Request:
    """The choice that a fact among others gives: first the value is looked up, then its letter."""
    names = _names(rng, rng.randint(1, 3), rng.choice((1, 2, 3)))
    facts = dict(zip(names, rng.sample(range(2, 180), len(names)), strict=True))
    name = rng.choice(names)
    other = [v for v in rng.sample(range(2, 180), 3 + len(names)) if v not in facts.values()][:3]
    values = rng.sample([facts[name], *other], 1 + len(other))
    choices = dict(zip("ABCD", values, strict=False))
    letter = next(letter for letter, v in choices.items() if v == facts[name])
    parts = [
        "Choices: " + ", ".join(f"{letter} {v}" for letter, v in choices.items()) + ".",
        " ".join(f"{each} is {v}." for each, v in facts.items()),
    ]
    rng.shuffle(parts)
    return rng.choice(
        (
            (f"{' '.join(parts)} Which choice is {name}?", letter),
            (f"{' '.join(parts)} Which letter stands before the value of {name}?", letter),
            (f"{' '.join(parts)} Give {name} and then its choice.", f"{facts[name]}, {letter}"),
        )
    )


def letters_of_values(rng: Random) -> Request:
    """Several values of a list of choices, each with its letter: a look-up per word."""
    values = rng.sample(range(2, 180), rng.choice((3, 4, 4, 5)))
    letters = dict(zip(values, "ABCDE", strict=False))
    given = "Choices: " + ", ".join(f"{letter} {value}" for value, letter in letters.items())
    some = rng.sample(values, 2)
    both = listed([str(value) for value in some], "and")
    return rng.choice(
        (
            (
                f"{given}. Write the values, smallest first, each with its letter.",
                ", ".join(f"{v} {letters[v]}" for v in sorted(values)),
            ),
            (
                f"{given}. Give the letter after each value, the largest first.",
                ", ".join(f"{v} {letters[v]}" for v in sorted(values, reverse=True)),
            ),
            (f"{given}. Which letters have {both}?", ", ".join(letters[v] for v in some)),
            (
                f"{given}. Copy {both}, each with its letter.",
                ", ".join(f"{v} {letters[v]}" for v in some),
            ),
        )
    )


def kinds(rng: Random) -> Request:
    """What words are: a color, a size, a material, a shape."""
    thing = invent(rng, 1)[0]
    order = rng.sample(ATTRIBUTES, rng.choice((2, 3, 4)))
    said, one = ", ".join(getattr(thing, a) for a in order), rng.choice(order)
    return rng.choice(
        (
            (f"What is {getattr(thing, one)}: {listed(order, 'or')}?", one),
            (f"Which of these is a {one}: {said}?", getattr(thing, one)),
            (f"Say for each what it is: {said}.", ", ".join(order)),
            (f"Is {getattr(thing, one)} a {order[0]}?", "yes" if one == order[0] else "no"),
        )
    )


def boxes(rng: Random) -> Request:
    """Where words go when the instruction says which box takes which."""
    groups = [rng.sample(v, min(len(v), rng.randint(2, 5))) for v in VALUES.values()]
    if rng.random() < 0.5:  # boxes that make no sense: only the instruction says
        words = rng.sample([w for group in groups for w in group], 6)
        groups = [words[:2], words[2:4], words[4:]]
    rng.shuffle(groups)
    letters = rng.sample(ascii_uppercase, len(groups))
    named = dict(zip(letters, groups, strict=True))
    given = ", ".join(f"{letter}: {' '.join(group)}" for letter, group in named.items())
    some = [(rng.choice(named[letter]), letter) for letter in rng.sample(letters, 2)]
    word, letter = some[0]
    lead = rng.choice(("Each box takes some words.", "These words go together.", "The boxes are"))
    return rng.choice(
        (
            (f"{lead} {given}. Where does {word} go?", letter),
            (f"{lead} {given}. Which name has the word {word}?", letter),
            (
                f"{lead} {given}. Put these where they go: {some[0][0]}, {some[1][0]}.",
                ", ".join(f"{a} in {b}" for a, b in some),
            ),
            (f"{lead} {given}. What can go in {letter}?", " ".join(named[letter])),
        )
    )


def became(rng: Random) -> Request:
    """What is new about one thing, or about one of two lists."""
    before = invent(rng, rng.choice((1, 1, 2, 3, 4)))
    at, attribute = rng.randrange(len(before)), rng.choice(ATTRIBUTES)
    was = before[at]
    value = rng.choice([v for v in VALUES[attribute] if v != getattr(was, attribute)])
    changed: dict[str, Any] = {attribute: value}
    new = replace(was, **changed)
    if len(before) == 1:
        lead = f"A {was.name()} has become a {new.name()}."
        return rng.choice(
            (
                (f"{lead} Which attribute is new?", attribute),
                (f"{lead} What is new?", value),
                (
                    f"{lead} Name the attribute and its value.",
                    f"{attribute} {value}",
                ),
            )
        )
    after = [*before[:at], new, *before[at + 1 :]]
    lists = [", ".join(t.name() for t in things) for things in (before, after)]
    lead = f"First: {lists[0]}. Then: {lists[1]}."
    return rng.choice(
        (
            (
                f"{lead} Which object changed, and which attribute of it?",
                f"{was.name()}: {attribute}",
            ),
            (f"{lead} Which attribute changed?", attribute),
            (f"{lead} What is new?", value),
            (f"{lead} Name the object that changed, as it was.", was.name()),
        )
    )


def numbered_list(rng: Random) -> Request:
    """An entry of a numbered list, by its number or by what it is."""
    things = invent(rng, rng.randint(2, 6))
    text = ", ".join(f"{number} {thing.name()}" for number, thing in enumerate(things))
    at = rng.randrange(len(things))
    only = [t.name() for t in things].count(things[at].name()) == 1
    asks = [
        (f"What is number {at}? {text}.", things[at].name()),
        (f"{text}. Name number {at}.", things[at].name()),
        (f"{text}. What color is number {at}?", things[at].color),
        (f"{text}. What is the size of number {at}?", things[at].size),
        (f"Write the list again: {text}.", text),
        (f"{text}. Which numbers are {things[at].color}?", _numbers(things, "color", at)),
        (f"{text}. Which numbers are {things[at].material}?", _numbers(things, "material", at)),
    ]
    if only:
        asks.append((f"{text}. Which number is the {things[at].name()}?", str(at)))
    return rng.choice(asks)


def _numbers(things: Things, attribute: str, at: int) -> str:
    value = getattr(things[at], attribute)
    return ", ".join(str(n) for n, thing in enumerate(things) if getattr(thing, attribute) == value)


ABOUT: dict[Callable[[Random], Request], float] = {
    repeat_words: 4,
    copied: 6,
    looked_up: 10,
    chosen: 4,
    chosen_fact: 6,
    letters_of_values: 8,
    kinds: 4,
    boxes: 7,
    became: 9,
    numbered_list: 5,
}


def about(rng: Random) -> Request:
    """One of them."""
    return one_of(rng, ABOUT)(rng)
