"""Requests about what stands in the text: copying it, looking things up, choosing."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from string import ascii_uppercase

from rft_nano.practice.wording import Request, one_of
from rft_nano.things import Things, invent


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
    numbered_list: 5,
}


def about(rng: Random) -> Request:
    """One of them."""
    return one_of(rng, ABOUT)(rng)
