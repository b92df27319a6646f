"""The worker process for algebra: reads one JSON request per line, writes one JSON reply per line.

It is a separate process because algebra may never end, and because math-verify sets
alarms, which only work in the main thread and would replace those of scoring.
`rftcore.rewards.maths` starts it as a script; it imports nothing from rftcore, so it is one
file. It ends with its input, and a signal ends it at its deadline. Deadlines are CPU time, so
that they do not depend on the load of the machine.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, TextIO

START_S = 60.0
# Formulas are compared at these values of their first variable.
_POINTS = ("1.3717421", "-0.8264463", "2.7391304")
_DIGITS, _CLOSE = 80, "1e-60"  # of precision; a smaller relative difference is rounding


def main() -> None:
    """Reply to every line of standard input."""
    for request in (signal.SIGINT, signal.SIGTERM):  # the parent kills this process
        signal.signal(request, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, START_S)  # `_reply` clears it
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries may print: keep that out of the replies
    logging.disable()

    from math_verify import parse, verify

    sum_up = {"kind": "value", "text": "", "latex": "1+x"}
    _same_expression(parse, verify, sum_up, sum_up)  # builds the tables of the grammar
    parse("$1$")
    _reply(replies, {})
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request["deadline_s"])
        _reply(replies, _compared(parse, verify, request))


def _reply(replies: TextIO, reply: dict[str, Any]) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(reply), file=replies, flush=True)


def _compared(parse: Any, verify: Any, request: dict[str, Any]) -> dict[str, Any]:
    compare: Callable[..., dict[str, Any]] = _KINDS[request["kind"]]
    try:
        return compare(parse, verify, request["gold"], request["answer"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _accepts(parse: Any, verify: Any, gold: str, answer: str) -> dict[str, Any]:
    """Find expressions in two texts and compare them, as math-verify does by default."""
    found = [parse(text, parsing_timeout=None) for text in (gold, answer)]
    return {"same": verify(*found, timeout_seconds=None)}


def _same_expression(parse: Any, verify: Any, gold: Any, answer: Any) -> dict[str, Any]:
    """Compare two answers read by `notation`."""
    wanted, given = _parsed(gold), _parsed(answer)
    if wanted is None:
        return {"unreadable": True}
    return {"same": given is not None and _same(wanted, given)}


# --- reading ---


def _parsed(part: dict[str, Any]) -> dict[str, Any] | None:
    """The part with a sympy object in "made" for its LaTeX; None if that is not an expression."""
    if "parts" in part:
        parts = [_parsed(one) for one in part["parts"]]
        return None if None in parts else {**part, "parts": parts}
    if "number" in part:
        return part
    if "latex" not in part:
        return part
    made = _expression(part["latex"])
    if made is None:
        return part if part["kind"] == "words" else None
    return {**part, "made": made}


@lru_cache(maxsize=1000)  # the gold is the same for all completions of a group
def _expression(latex: str) -> Any:
    from latex2sympy2_extended import latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig
    from sympy import nan, zoo

    # `notation` writes mixed numbers as sums; what is left, such as 1 1/2, is a product.
    config = ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=True)
    try:
        made = latex2sympy(latex, is_real=True, normalization_config=None, conversion_config=config)
        made = _evaluated(made)
        return None if made in (None, nan, zoo) or made == [] else made
    except Exception:  # the grammar and sympy raise many types for invalid input
        return None


def _evaluated(made: Any) -> Any:
    """Evaluate, with i as the imaginary unit, but keep relations as they are.

    sympy would evaluate x = {1, 2} to False, and 1 = 1 and 2 = 2 both to True.
    """
    from sympy import And, I, Symbol
    from sympy.core.relational import Relational

    if isinstance(made, Relational):
        return made.func(_evaluated(made.lhs), _evaluated(made.rhs), evaluate=False)
    if isinstance(made, And) or not hasattr(made, "subs"):
        return made
    return made.subs(Symbol("i", real=True), I).doit()


# --- comparing ---


def _same(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    kinds = gold["kind"], answer["kind"]
    if kinds == ("words", "words"):
        return bool(gold["text"] == answer["text"])
    if "words" in kinds:
        return (
            "value" in kinds and "made" in gold and "made" in answer and _same_value(gold, answer)
        )
    if kinds == ("value", "value"):
        return _same_value(gold, answer)
    if kinds == ("row", "row"):
        marks = gold["marks"] == answer["marks"]
        return marks and _in_order(gold["parts"], answer["parts"])
    if set(kinds) == {"list", "row"}:
        row = gold if kinds[0] == "row" else answer
        return row["marks"] in ("()", "[]") and _in_order(gold["parts"], answer["parts"])
    if set(kinds) == {"set"}:
        gold, answer = _once(gold), _once(answer)
    if any(map(_is_of_inequalities, (gold, answer))) and gold.get("joint") != answer.get("joint"):
        return _as_sets(gold, answer)
    if set(kinds) <= {"list", "set"} or set(kinds) == {"union"}:
        return _in_any_order(gold["parts"], answer["parts"])
    if "value" in kinds and set(kinds) & {"list", "set"}:
        parts, value = (gold, answer) if kinds[1] == "value" else (answer, gold)
        return _several(parts, value) or _as_sets(gold, answer)
    return _as_sets(gold, answer)


def _is_of_inequalities(part: dict[str, Any]) -> bool:
    """Whether a part lists inequalities, as x > 2 and x < 5: then "and" and "or" differ."""
    from sympy.core.relational import Equality, Relational

    made = [one.get("made") for one in part.get("parts", ())]
    return any(isinstance(one, Relational) and not isinstance(one, Equality) for one in made)


def _once(part: dict[str, Any]) -> dict[str, Any]:
    """A set without repeated elements."""
    kept: list[dict[str, Any]] = []
    for one in part["parts"]:
        if not any(_same(one, other) for other in kept):
            kept.append(one)
    return {**part, "parts": kept}


def _in_order(gold: Sequence[Any], answer: Sequence[Any]) -> bool:
    return len(gold) == len(answer) and all(map(_same, gold, answer))


def _in_any_order(gold: Sequence[Any], answer: Sequence[Any]) -> bool:
    left = list(answer)
    for one in gold:
        at = next((at for at, other in enumerate(left) if _same(one, other)), None)
        if at is None:
            return False
        del left[at]
    return not left


def _several(parts: dict[str, Any], value: dict[str, Any]) -> bool:
    """Whether one expression has these several values, as 1 plus or minus 2 has."""
    from sympy.core.relational import Equality

    made: Any = value.get("made")
    if isinstance(made, Equality) and made.lhs.is_Symbol:
        made = made.rhs
    if not getattr(made, "is_FiniteSet", False) or "unit" in value:
        return False
    return _in_any_order(parts["parts"], [{"kind": "value", "made": one} for one in made])


def _as_sets(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether two parts are the same set of real numbers, as (0, 1) and 0 < x < 1 are."""
    sets = [_as_set(part) for part in (gold, answer)]
    return None not in sets and bool(sets[0] == sets[1])


def _as_set(part: dict[str, Any]) -> Any:
    """An interval, an inequality or a union of these as a sympy set, or None."""
    from sympy import Intersection, Interval, Union

    try:
        if part["kind"] == "union" or part.get("joint"):
            sets = [_as_set(one) for one in part["parts"]]
            join = Intersection if part.get("joint") == "and" else Union
            return None if None in sets else join(*sets)
        if part["kind"] in ("set", "list"):
            return None
        if part["kind"] == "value":
            return _solutions(part.get("made"))
        if part["marks"] not in ("()", "[]", "(]", "[)") or len(part["parts"]) != 2:
            return None
        low, high = map(_number, part["parts"])
        return Interval(low, high, part["marks"][0] == "(", part["marks"][1] == ")")
    except Exception:  # the ends are not real numbers
        return None


def _solutions(made: Any) -> Any:
    """The real numbers that satisfy an inequality in one variable, or None."""
    from sympy import And, Set
    from sympy.core.relational import Equality, Relational

    try:
        if isinstance(made, Set):
            return made
        if isinstance(made, Equality) and isinstance(made.rhs, Set):
            return made.rhs  # x in (0, 1)
        if isinstance(made, Relational | And) and len(made.free_symbols) == 1:
            return made.as_set()
    except Exception:  # sympy cannot solve it
        return None
    return None


def _number(part: dict[str, Any]) -> Any:
    from sympy import Integer, Rational

    if "made" in part:
        return part["made"]
    sign, digits, power = part["number"]
    value = Integer(int(sign + digits))
    return value * Integer(10) ** power if power >= 0 else Rational(value, Integer(10) ** -power)


def _same_value(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
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
        return _same_value(*((gold, tight) if units[0] else (tight, answer)))
    if unit["needed"]:
        return False
    return _same_number(gold, answer) or (unit["number"] and _same_amount(gold, answer))


def _same_amount(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Compare two values in base units."""
    from sympy import Expr
    from sympy.core.relational import Equality

    amounts = [_number(part) for part in (gold, answer)]
    amounts = [one.rhs if isinstance(one, Equality) else one for one in amounts]
    if not all(isinstance(one, Expr) for one in amounts):
        return False
    factors = [_factor(part.get("unit")) for part in (gold, answer)]
    return _equal(*(one * factor for one, factor in zip(amounts, factors, strict=True)))


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
    return _equal(_number(gold), _number(answer))


def _rounds(short: dict[str, Any], long: dict[str, Any]) -> bool:
    """Whether `short`, a decimal of six or more digits and places, is `long` rounded."""
    if short.get("digits", 0) < 6 or long.get("last", -(10**6)) >= short["last"]:
        return False
    exact = _number(long)
    if getattr(exact, "free_symbols", True) or not getattr(exact, "is_real", False):
        return False
    value = _number(short)
    digits = short["digits"] + 20
    return bool(abs(value.n(digits) - exact.n(digits)) * 2 <= 10 ** Fraction(short["last"]))


def _equal(a: Any, b: Any) -> bool:
    """Whether two sympy objects are the same number, formula, relation, set or matrix."""
    from sympy import Expr, FiniteSet, MatrixBase, Set, Tuple
    from sympy.core.relational import Relational
    from sympy.logic.boolalg import Boolean

    if isinstance(a, MatrixBase) and isinstance(b, MatrixBase):
        return a.shape == b.shape and all(map(_equal, a.flat(), b.flat()))
    if a == b:
        return True
    if isinstance(a, Relational | Boolean) or isinstance(b, Relational | Boolean):
        return _same_relation(a, b)
    if isinstance(a, FiniteSet) and isinstance(b, FiniteSet):
        left = [{"kind": "value", "made": one} for one in a]
        return _in_any_order(left, [{"kind": "value", "made": one} for one in b])
    if isinstance(a, Tuple) and isinstance(b, Tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, Set) and isinstance(b, Set):
        return a.symmetric_difference(b).is_empty is True
    if isinstance(a, Expr) and isinstance(b, Expr):
        return _same_formula(a, b)
    return False


def _same_relation(a: Any, b: Any) -> bool:
    """Whether relations are equal up to a factor; x = 3 equals 3; 1 < x < 2 by its two parts."""
    from sympy import And
    from sympy.core.relational import Equality, Relational

    if isinstance(a, And) and isinstance(b, And):
        pieces = [[{"kind": "value", "made": one} for one in each.args] for each in (a, b)]
        return _in_any_order(*pieces)
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Equality) and not isinstance(other, Relational | And):
            named = not any(atom.is_number for atom in one.lhs.atoms())
            return (named or _equal(one.lhs, one.rhs)) and _equal(one.rhs, other)
    if not isinstance(a, Relational) or not isinstance(b, Relational):
        return False
    if a.rel_op != b.rel_op and a.rel_op != b.reversed.rel_op:
        return False
    b = b if a.rel_op == b.rel_op else b.reversed
    return _same_sides(a, b) or (a.rel_op in ("==", "!=") and _same_sides(a, b.reversed))


def _same_sides(a: Any, b: Any) -> bool:
    from sympy import Expr, simplify

    if not all(isinstance(side, Expr) for side in (a.lhs, a.rhs, b.lhs, b.rhs)):
        return _equal(a.lhs, b.lhs) and _equal(a.rhs, b.rhs)
    left, right = a.lhs - a.rhs, b.lhs - b.rhs
    if right == 0 or left == 0 or left.free_symbols != right.free_symbols:
        return False
    ratio = simplify(left / right)
    if not ratio.is_number or ratio == 0:
        return False
    return a.rel_op in ("==", "!=") or bool(ratio > 0)


def _same_formula(a: Any, b: Any) -> bool:
    """Compare numerically first, at a few points, then by algebra, which is slow and may fail."""
    if a.is_Rational and b.is_Rational:
        return False
    if a.is_infinite or b.is_infinite:
        return False
    names = sorted(a.free_symbols | b.free_symbols, key=str)
    points = [_at(point, names, a, b) for point in _POINTS[: 3 if names else 1]]
    if any(near is False for near in points):
        return False
    from sympy import simplify

    difference = simplify(a - b)
    if difference == 0 or difference.is_zero:
        return True
    if difference.is_polynomial(*names) and all(one.is_Rational for one in _numbers(difference)):
        return False
    return all(near is True for near in points)


def _numbers(formula: Any) -> list[Any]:
    return [one for one in formula.atoms() if not one.is_Symbol]


def _at(point: str, names: Sequence[Any], a: Any, b: Any) -> bool | None:
    """Whether two formulas agree at one assignment of their variables; None if unknown."""
    from sympy import Float, Rational

    start, step = (
        Rational(point),
        Rational(13, 11),
    )  # sums and products of values differ
    values = {name: start * step**at + Rational(at * at, 7) for at, name in enumerate(names)}
    try:
        first, second = (_numeric(one.subs(values)) for one in (a, b))
    except (TypeError, ValueError, ArithmeticError):
        return None
    size = max(abs(first).n(_DIGITS), abs(second).n(_DIGITS))
    return bool(size == 0 or abs(first - second).n(_DIGITS) <= Float(_CLOSE) * size)


def _numeric(formula: Any) -> Any:
    """The value of a formula as a complex number. Raises: TypeError if it has none."""
    value = formula.evalf(_DIGITS)
    if any(not (part.is_Float or part.is_Rational) for part in value.as_real_imag()):
        raise TypeError(value)
    return value


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "accepts": _accepts,
    "same_expression": _same_expression,
}

if __name__ == "__main__":
    main()
