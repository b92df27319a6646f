"""Scores of benchmarks: relaxed accuracy, ANLS, and quantities within a relative tolerance."""

import re
from fractions import Fraction
from functools import partial
from typing import Any, Protocol, runtime_checkable

from rftcore.errors import PluginError, SampleError
from rftcore.rewards.declare import reward
from rftcore.spelling import DIGITS
from rftcore.types import Reward, RewardInput

_NUMBER = re.compile(
    rf"(?P<number>[+-]?(?:{DIGITS}(?:\.\d*)?|\.\d+)(?:e[+-]?\d{{1,3}})?)(?P<percent>\s?%)?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST = 60  # characters of a number


@runtime_checkable
class _Quantity(Protocol):
    """What `quantity` needs of a value, such as `rft.parsers.Amount`."""

    number: float
    dimension: tuple[tuple[str, int], ...]


# --- relaxed accuracy ---------------------------------------------------------


def relaxed_score(answer: object, gold: object, *, within: float = 0.05) -> float:
    """1 if a number is within 5 % of the gold, or a text equals it, in any case; else 0.

    Source: arXiv:2203.10244 (ChartQA), relaxed accuracy. A percentage is a hundredth: 50% is
    0.5. Departures from the code in use: 1,000 is a number, NaN is none, and a zero gold requires
    an exact zero. Years are numbers too, as in the benchmark: 2010 is within 5 % of 2009.
    """
    number, wanted = _number(answer), _number(gold)
    if number is None or wanted is None:
        return float(_folded(answer) == _folded(gold))
    return float(_is_within(number, wanted, within))


def relaxed(within: float = 0.05) -> Reward:
    """Relaxed accuracy, as in ChartQA, for the parsers `text` and `number`: `relaxed_score`.

    Raises: PluginError unless 0 <= within < 1.
    """
    _check_tolerance("relaxed", within)
    return partial(_relaxed, within=within)


def _relaxed(x: RewardInput, /, *, within: float) -> float:
    return 0.0 if x.answer is None else relaxed_score(x.answer, x.gold, within=within)


def _number(value: object) -> Fraction | None:
    """The number that a value is or a text contains, exactly as written in decimal."""
    text = repr(value) if isinstance(value, int | float) else str(value)
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None:
        return None
    number = Fraction(match["number"].replace(",", ""))
    return number / 100 if match["percent"] else number


def _is_within(number: Fraction, gold: Fraction, within: float) -> bool:
    """|number - gold| <= within |gold|, without the rounding of binary fractions."""
    return abs(number - gold) <= Fraction(repr(within)) * abs(gold)


def _check_tolerance(name: str, within: float) -> None:
    if not 0 <= within < 1:
        raise PluginError(
            f"{name}: within={within}, but it is a relative error, at least 0 and below 1: use 0.05"
        )


# --- ANLS ---------------------------------------------------------------------


def anls_score(answer: str, golds: tuple[str, ...], *, threshold: float = 0.5) -> float:
    """The similarity of a text to the most similar gold, 0 unless it is close.

        r = max over golds of s,   s = 1 - NL if NL < threshold, else 0
        NL = Levenshtein distance / length of the longer text

    Case and outer or repeated white space do not count. The mean over samples is the ANLS.
    Source: arXiv:1905.13648 (ST-VQA), also used by DocVQA (arXiv:2007.00398).

    Returns: in [0, 1], no unit; 1.0 for equal texts.
    """
    return max((_similarity(answer, gold, threshold) for gold in golds), default=0.0)


def anls(threshold: float = 0.5, others: str = "answers") -> Reward:
    """The normalized Levenshtein similarity to the gold, for the parser `text`: `anls_score`.

    `others` names the key of `Sample.meta` with a list of all right answers, if a sample has it.

    Raises: PluginError unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise PluginError(f"anls: threshold={threshold}: use 0.5, or another number up to 1")
    return partial(_anls, threshold=threshold, others=others)


@reward(uses=("sample",))
def _anls(x: RewardInput, /, *, threshold: float, others: str) -> float:
    golds = (str(x.gold), *_others(x, others))
    return 0.0 if x.answer is None else anls_score(str(x.answer), golds, threshold=threshold)


def _others(x: RewardInput, name: str) -> tuple[str, ...]:
    """The other right answers of a sample. Raises: SampleError if they are not texts."""
    listed = x.sample.meta.get(name) if x.sample is not None else None
    if listed is None:
        return ()
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
        raise SampleError(
            f"meta[{name!r}] is {listed!r:.60}: write a list of texts, all right answers"
        )
    return tuple(listed)


def _similarity(one: str, other: str, threshold: float) -> float:
    one, other = _folded(one), _folded(other)
    longer = max(len(one), len(other))
    distance = levenshtein(one, other)
    return 1 - distance / longer if distance < threshold * longer else float(one == other)


def levenshtein(one: str, other: str) -> int:
    """The least number of insertions, deletions and replacements that make two texts equal.

    By Myers' bit vectors (doi:10.1145/316542.316550): an integer has a bit per character of `one`,
    so 200 characters take microseconds per character of `other`.
    """
    if not one:
        return len(other)
    where: dict[str, int] = {}
    for at, char in enumerate(one):
        where[char] = where.get(char, 0) | 1 << at
    last, every = 1 << len(one) - 1, (1 << len(one)) - 1
    up, down, distance = every, 0, len(one)
    for char in other:
        same = where.get(char, 0)
        across = (((same & up) + up) ^ up) | same | down
        plus, minus = down | ~(across | up) & every, up & across
        distance += bool(plus & last) - bool(minus & last)
        plus, minus = (plus << 1 | 1) & every, minus << 1 & every
        up, down = minus | ~(same | down | plus) & every, plus & (same | down)
    return distance


def _folded(value: object) -> str:
    return " ".join(str(value).lower().split())


# --- quantities ---------------------------------------------------------------


def quantity(within: float = 0.0) -> Reward:
    """1 if a quantity has the gold's dimension and is within a relative tolerance, else 0.

    For the parser `quantity`: 3.5 cm equals 35 mm. A zero gold requires an exact zero.

    Raises: PluginError unless 0 <= within < 1.
    """
    _check_tolerance("quantity", within)
    return partial(_quantity, within=within)


def _quantity_fault(gold: Any) -> str | None:
    if isinstance(gold, _Quantity):
        return None
    return f"gold {gold!r:.60} is not a quantity: use the parser quantity"


@reward(gold_fault=_quantity_fault)
def _quantity(x: RewardInput, /, *, within: float) -> float:
    if fault := _quantity_fault(x.gold):
        raise SampleError(fault)
    if x.answer is None or x.answer.dimension != x.gold.dimension:
        return 0.0
    number, wanted = (Fraction(repr(value.number)) for value in (x.answer, x.gold))
    return float(_is_within(number, wanted, within))
