"""Sums, short recipes and stories in text alone: what any pretrained language model brings.

Numbers up to twenty as things are counted, larger ones as angles and lengths have
them. No theorem is used or named.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from rft_nano.words import NUMBERS, PLURALS

from pretraining.practice.wording import Request, one_of
from pretraining.things import invent

MORE = ("more", "other", "new", "extra", "")
LARGEST = 360
WHOLES = (90, 100, 180, 180, 180, 360, 360, 540)


def _pair(rng: Random) -> tuple[int, str, int, int]:
    """a, sign, b and the result, all in 0..20."""
    if rng.random() < 0.5:
        result = rng.randint(0, 20)
        a = rng.randint(0, result)
        return a, "+", result - a, result
    a = rng.randint(0, 20)
    b = rng.randint(0, a)
    return a, "-", b, a - b


def plain_sum(rng: Random) -> Request:
    """ "7 + 5" in many words."""
    a, sign, b, result = _pair(rng)
    asks = (
        (
            f"{a} + {b}",
            f"{a} + {b} =",
            f"What is {a} + {b}?",
            f"What is {a} plus {b}?",
            f"Add {a} and {b}.",
            f"Add {b} to {a}.",
            f"{b} more than {a} is what number?",
            f"Find the sum of {a} and {b}.",
        )
        if sign == "+"
        else (
            f"{a} - {b}",
            f"{a} - {b} =",
            f"What is {a} - {b}?",
            f"What is {a} minus {b}?",
            f"Subtract {b} from {a}.",
            f"Take {b} away from {a}.",
            f"{b} less than {a} is what number?",
            f"Find the difference of {a} and {b}.",
        )
    )
    ask = rng.choice(asks)
    if rng.random() < 0.3 and "=" not in ask:
        return f"{ask} Write the whole sum.", f"{a} {sign} {b} = {result}"
    if rng.random() < 0.1:
        return f"{ask} Answer in words.", NUMBERS[result]
    return ask, str(result)


def story(rng: Random) -> Request:
    """A sum about things."""
    a, sign, b, result = _pair(rng)
    one = invent(rng, 1)[0]
    noun = PLURALS[one.shape] if rng.random() < 0.7 else f"{one.color} {PLURALS[one.shape]}"
    if rng.random() < 0.2:
        noun = rng.choice(("apples", "books", "coins", "cups", "birds", "toys", "pens"))
    who = rng.choice(("Anna", "Ben", "Carla", "David", "Emma", "The shop", "A child"))
    other = invent(rng, 1)[0].color
    asks = (
        (
            f"{a} {noun} and {b} {rng.choice(MORE)} {noun} are how many {noun}?",
            f"{who} has {a} {noun} and gets {b} more. How many {noun} are there now?",
            f"There are {a} {noun}. Then {b} {other} ones come. How many are there in total?",
            f"On the left are {a} {noun}, on the right {b}. How many together?",
        )
        if sign == "+"
        else (
            f"{who} has {a} {noun} and gives away {b}. How many are left?",
            f"There are {a} {noun}. {b} of them go away. How many {noun} stay?",
            f"{a} {noun} without {b} of them are how many {noun}?",
            f"Of {a} {noun}, {b} are {other}. How many are not {other}?",
        )
    )
    ask = rng.choice(asks).replace("  ", " ")
    if rng.random() < 0.3:
        return f"{ask} Write the whole sum.", f"{a} {sign} {b} = {result}"
    return ask, str(result)


def recipe(rng: Random) -> Request:
    """Two or three steps from a start; the answer shows each."""
    value = rng.randint(0, 12)
    said, done = (
        [rng.choice((f"Start with {value}.", f"Begin at {value}.", f"You have {value}."))],
        [],
    )
    for _ in range(rng.choice((2, 2, 3))):
        up = rng.random() < 0.5 if 0 < value < 20 else value == 0
        amount = rng.randint(0, min(9, 20 - value if up else value))
        after = value + amount if up else value - amount
        verb = rng.choice(("Add", "Put", "Then add") if up else ("Take away", "Remove", "Subtract"))
        said.append(f"{verb} {amount}.")
        done.append(f"{value} {'+' if up else '-'} {amount} = {after}")
        value = after
    if rng.random() < 0.6:
        return " ".join(said) + rng.choice((" Show each step.", " Write every sum.")), "; ".join(
            done
        )
    return " ".join(said) + rng.choice((" How many do you have now?", " What is the result?")), str(
        value
    )


def count_on(rng: Random) -> Request:
    """Counting up, down and comparing."""
    low = rng.randint(0, 12)
    high = low + rng.randint(1, 8)
    up = [str(n) for n in range(low, high + 1)]
    other = rng.choice([n for n in range(21) if n != low])
    return rng.choice(
        (
            (f"Count from {low} to {high}.", " ".join(up)),
            (f"Count down from {high} to {low}.", " ".join(up[::-1])),
            (f"What number comes after {low}?", str(low + 1)),
            (f"What number comes before {high}?", str(high - 1)),
            (f"Which is bigger, {low} or {other}?", str(max(low, other))),
            (f"Which is smaller, {low} or {other}?", str(min(low, other))),
            (f"Write {NUMBERS[low]} as a number.", str(low)),
            (f"Write {low} as a word.", NUMBERS[low]),
        )
    )


# --- larger numbers ---------------------------------------------------------------------------


def _measure(rng: Random, high: int) -> int:
    """A number up to `high`, more often one that ends in 0 or 5, as measures do."""
    return 5 * rng.randint(1, high // 5) if rng.random() < 0.5 else rng.randint(1, high)


def _worked(rng: Random, working: str, result: str) -> Request:
    """A calculation to finish, to write again with its result, or to answer."""
    return rng.choice(
        (
            (f"{working} =", result),
            (f"What is {working}?", result),
            (f"Calculate {working}.", result),
            (f"Work out {working}. Write the whole line.", f"{working} = {result}"),
            (f"Solve step by step: {working}", f"{working} = {result}"),
        )
    )


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.1f}"


def large_sum(rng: Random) -> Request:
    """Two numbers up to 360."""
    total = _measure(rng, LARGEST)
    a = _measure(rng, total) if total > 5 else 1
    if rng.random() < 0.5:
        return _worked(rng, f"{a} + {total - a}", str(total))
    return _worked(rng, f"{total} - {a}", str(total - a))


def chain(rng: Random) -> Request:
    """A whole less two or three parts, or three parts together."""
    whole = rng.choice(WHOLES) if rng.random() < 0.7 else _measure(rng, LARGEST)
    parts, rest = [], whole
    for _ in range(rng.choice((1, 2, 2, 2, 3))):
        if rest > 10:
            parts.append(_measure(rng, rest - 5))
            rest -= parts[-1]
    if rng.random() < 0.75:
        return _worked(rng, " - ".join(map(str, [whole, *parts])), str(rest))
    return _worked(rng, " + ".join(map(str, [*parts, rest])), str(whole))


def halves(rng: Random) -> Request:
    """Half or twice a number or a difference."""
    a = _measure(rng, LARGEST)
    b = _measure(rng, a) if a > 5 else 1
    return rng.choice(
        (
            _worked(rng, f"{a} / 2", _number(a / 2)),
            _worked(rng, f"2 * {b}", str(2 * b)),
            _worked(rng, f"({a} - {b}) / 2", _number((a - b) / 2)),
            (f"What is half of {a}?", _number(a / 2)),
            (f"Double {b}.", str(2 * b)),
        )
    )


def product(rng: Random) -> Request:
    """Two numbers multiplied, or one divided by the other."""
    a, b = rng.randint(2, 20), rng.randint(2, 20)
    c = rng.choice([n for n in range(1, 21) if a * b % n == 0])
    return rng.choice(
        (
            _worked(rng, f"{a} * {b}", str(a * b)),
            _worked(rng, f"{a * b} / {a}", str(b)),
            _worked(rng, f"{a} * {b} / {c}", str(a * b // c)),
            _worked(rng, f"{a} * {b} / 2", _number(a * b / 2)),
            _worked(rng, f"2 * ({a} + {b})", str(2 * (a + b))),
            _worked(rng, f"{a} + {b} + {c}", str(a + b + c)),
        )
    )


def square(rng: Random) -> Request:
    """Squares, their sums, and the number whose square is known."""
    a, b = rng.randint(2, 20), rng.randint(2, 20)
    big, small = max(a, b), min(a, b)
    side = math.isqrt(a * a + b * b)
    exact = side * side == a * a + b * b
    return rng.choice(
        (
            _worked(rng, f"{a} * {a}", str(a * a)),
            (f"Which number times itself is {a * a}?", str(a)),
            _worked(rng, f"{a} * {a} + {b} * {b}", str(a * a + b * b)),
            _worked(rng, f"{big} * {big} - {small} * {small}", str(big * big - small * small)),
            (f"Is {a * a + b * b} a number times itself?", f"{side} * {side}" if exact else "no"),
        )
    )


def parts_of_whole(rng: Random) -> Request:
    """What is missing to a whole, in words."""
    whole = rng.choice(WHOLES)
    a = _measure(rng, whole - 15)
    b = _measure(rng, whole - a - 5)
    rest = whole - a - b
    ask = rng.choice(
        (
            f"{a} and {b} and what number make {whole}?",
            f"Three parts make {whole}. Two of them are {a} and {b}. What is the third?",
            f"Take {a} and {b} from {whole}. What is left?",
        )
    )
    if rng.random() < 0.4:
        return f"{ask} Show it.", f"{whole} - {a} - {b} = {rest}"
    return ask, str(rest)


SMALL: dict[Callable[[Random], Request], float] = {plain_sum: 10, story: 8, recipe: 6, count_on: 3}
LARGE: dict[Callable[[Random], Request], float] = {
    large_sum: 6,
    chain: 9,
    halves: 5,
    product: 6,
    square: 3,
    parts_of_whole: 5,
}


def small(rng: Random) -> Request:
    """Numbers up to twenty."""
    return one_of(rng, SMALL)(rng)


def large(rng: Random) -> Request:
    """Numbers up to 360, products beyond."""
    return one_of(rng, LARGE)(rng)
