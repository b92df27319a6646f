"""Compare single values: numbers, rounded or with units, and expressions."""

from fractions import Fraction
from typing import Any

from rftcore.rewards.algebra.formulas import equal


def number_of(part: dict[str, Any]) -> Any:
    """The value of a part as a sympy object."""
    from sympy import Integer, Rational

    if "made" in part:
        return part["made"]
    sign, digits, power = part["number"]
    value = Integer(int(sign + digits))
    return value * Integer(10) ** power if power >= 0 else Rational(value, Integer(10) ** -power)


def same_value(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Compare two values with their units; a missing unit is that of the other value."""
    units: Any = gold.get("unit"), answer.get("unit")
    if None not in units:
        if units[0]["powers"] != units[1]["powers"]:
            return False
        if _factor(units[0]) == _factor(units[1]):
            return _same_number(gold, answer)
        return _same_amount(gold, answer)
    unit = units[0] or units[1]
    if unit is None:
        return _same_number(gold, answer)
    bare = answer if units[0] else gold
    if "tight" in bare and bare["tight"]["unit"]["powers"] == unit["powers"]:
        tight = {**bare["tight"], "kind": "value"}  # 5m beside 5 m
        return same_value(*((gold, tight) if units[0] else (tight, answer)))
    if unit["needed"]:
        return False
    return _same_number(gold, answer) or (unit["number"] and _same_amount(gold, answer))


def _same_amount(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Compare two values in base units."""
    from sympy import Expr
    from sympy.core.relational import Equality

    amounts = [number_of(part) for part in (gold, answer)]
    amounts = [one.rhs if isinstance(one, Equality) else one for one in amounts]
    if not all(isinstance(one, Expr) for one in amounts):
        return False
    factors = [_factor(part.get("unit")) for part in (gold, answer)]
    return equal(*(one * factor for one, factor in zip(amounts, factors, strict=True)))


def _factor(unit: dict[str, Any] | None) -> Any:
    from sympy import Integer, Rational, pi

    if unit is None:
        return Integer(1)
    return Rational(*map(int, unit["scale"])) * pi ** unit["pi"]


def _same_number(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    if "number" in gold and "number" in answer and gold["number"] == answer["number"]:
        return True
    if _rounds(gold, answer) or _rounds(answer, gold):
        return True
    if "number" in gold and "number" in answer:
        return False
    return equal(number_of(gold), number_of(answer))


def _rounds(short: dict[str, Any], long: dict[str, Any]) -> bool:
    """Whether `short`, a decimal of six or more digits and places, is `long` rounded."""
    if short.get("digits", 0) < 6 or long.get("last", -(10**6)) >= short["last"]:
        return False
    exact = number_of(long)
    if getattr(exact, "free_symbols", True) or not getattr(exact, "is_real", False):
        return False
    value = number_of(short)
    digits = short["digits"] + 20
    return bool(abs(value.n(digits) - exact.n(digits)) * 2 <= 10 ** Fraction(short["last"]))
