"""Parser and rewards for answers that are a number or one letter.

The value of a number is a float, that of a choice its letter, so an answer of
the wrong kind never equals the gold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rftcore.parsers import Choice, Number, in_tags
from rftcore.rewards import tolerance
from rftcore.types import Parsed, RewardInput, RewardOutput

HALF_A_TENTH = 0.05
_NOISE = 1e-9  # relative, of decimal fractions as floats


@dataclass(frozen=True)
class NumberOrChoice:
    """A finite number, or one letter of `letters`.

    Raises: PluginError for letters that cannot be choices.
    """

    letters: str = "ABCD"

    def __post_init__(self) -> None:
        Choice(self.letters)

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        letter = Choice(self.letters).gold(text)
        if letter.ok:
            return letter
        number = Number().gold(text)
        return number if number.ok else Parsed(error=f"{number.error} and {_no(self.letters)}")

    def show(self, value: Any) -> str:
        """The letter, or the shortest digits that read back as the same number."""
        return value if isinstance(value, str) else Number().show(value).removesuffix(".0")


def same_answer(x: RewardInput) -> float:
    """1 for the gold's letter, or for a number that rounds to the gold's tenth, else 0.

    A gold has at most one decimal; 12.57 is right for the gold 12.6.
    """
    if isinstance(x.gold, str) or not isinstance(x.answer, float):
        return float(x.answer is not None and x.answer == x.gold)
    return float(abs(x.answer - x.gold) <= HALF_A_TENTH + _NOISE * abs(x.gold))


@dataclass(frozen=True)
class NearAnswer:
    """1 or 0 for a letter, the cosine ramp of `rftcore.rewards.tolerance` for a number.

    Raises: PluginError unless 0 <= full_within < zero_beyond.
    """

    full_within: float = 0.05
    zero_beyond: float = 0.20

    def __post_init__(self) -> None:
        tolerance(self.full_within, self.zero_beyond)

    def __call__(self, x: RewardInput, /) -> RewardOutput:
        """Reward one completion."""
        if isinstance(x.gold, float) and isinstance(x.answer, float):
            return tolerance(self.full_within, self.zero_beyond)(x)
        return same_answer(x)


def _no(letters: str) -> str:
    return f"not one letter of {letters}"
