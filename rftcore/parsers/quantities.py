"""A number with its unit, such as 3.5 cm, which equals 35 mm."""

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from rftcore import spelling
from rftcore.errors import PluginError
from rftcore.parsers.reading import in_tags, number_error, parse_error
from rftcore.types import Parsed
from rftcore.units import CURRENCIES, LONGEST, Unit, unit_of

_PLAIN = str.maketrans({"\u2212": "-", "²": "^2", "³": "^3"})
_QUANTITY = re.compile(
    rf"(?P<sign>[+-]?)\s?(?P<money>\\?[{CURRENCIES}])?\s?"
    rf"(?P<number>(?:{spelling.DIGITS}(?:\.\d*)?|\.\d+)(?:e[+-]?\d{{1,3}})?)"
    r"\s*(?P<unit>(?:[^\W\d_]|[°%‰℃℉$€£¥₹₩¢\\]).*)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Amount:
    """A quantity: a number of base units (meters, kilograms, seconds, ...) and their powers.

    `text` is how it is written; amounts are equal if number and dimension are.
    """

    number: float
    dimension: tuple[tuple[str, int], ...]
    text: str = field(compare=False)

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Quantity:
    """A number with a unit: `3.5 cm`, `35mm`, `1,000 km/h`, `$5`, `50 %`; the value is an `Amount`.

    Quantities are compared in base units, so 3.5 cm equals 35 mm. `unit` is that of a number
    that is written without one; if it is empty, such a number is a parse error. A unit of another
    dimension is an answer, and a wrong one. Symbols are case-sensitive (mm, Mm), words are not;
    degrees of temperature and currencies do not convert.
    """

    unit: str = ""
    forgiving: bool = False

    def __post_init__(self) -> None:
        if self.unit and unit_of(self.unit) is None:
            raise PluginError(f"Quantity: unit={self.unit!r} is not a known unit, such as 'cm'")

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold, forgiving=self.forgiving)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        written = spelling.spaced(spelling.trimmed(text)).translate(_PLAIN)
        match = _QUANTITY.fullmatch(written) if len(written) <= LONGEST else None
        if match is None or (match["money"] and match["unit"]):
            return number_error(text, "not a number with a unit, such as 3.5 cm")
        name = (match["money"] or match["unit"] or self.unit).replace("\\", "")
        name = name.strip().removesuffix(".")
        unit = unit_of(name)
        if unit is None:
            wanted = f"{name!r:.40} is not a known unit" if name else "it has no unit"
            return parse_error(text, f"not a number with a unit: {wanted}")
        number = match["sign"] + match["number"].replace(",", "").lower()
        value = _in_base_units(number, unit)
        if not math.isfinite(value):
            return parse_error(text, "too large")
        return Parsed(Amount(value, tuple(sorted(unit.powers.items())), f"{number} {name}"))

    def show(self, value: Any) -> str:
        """The number and its unit as they were written."""
        return str(value.text)


def _in_base_units(number: str, unit: Unit) -> float:
    """The same float for equal quantities: converted as a fraction, rounded once."""
    exact = Fraction(number) * unit.scale
    try:
        return float(exact) * math.pi**unit.pi
    except OverflowError:
        return math.inf
