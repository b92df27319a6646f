"""Compare answers of parts: words, lists, rows, sets, and intervals with inequalities."""

from collections.abc import Sequence
from typing import Any

from rftcore.rewards.algebra.formulas import matched
from rftcore.rewards.algebra.values import number_of, same_value


def same_part(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether two parts are equal, of whatever kinds."""
    kinds = gold["kind"], answer["kind"]
    if kinds == ("words", "words"):
        return bool(gold["text"] == answer["text"])
    if "words" in kinds:
        return "value" in kinds and "made" in gold and "made" in answer and same_value(gold, answer)
    if kinds == ("value", "value"):
        return same_value(gold, answer)
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
        return matched(gold["parts"], answer["parts"], same_part)
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
        if not any(same_part(one, other) for other in kept):
            kept.append(one)
    return {**part, "parts": kept}


def _in_order(gold: Sequence[Any], answer: Sequence[Any]) -> bool:
    return len(gold) == len(answer) and all(map(same_part, gold, answer))


def _several(parts: dict[str, Any], value: dict[str, Any]) -> bool:
    """Whether one expression has these several values, as 1 plus or minus 2 has."""
    from sympy.core.relational import Equality

    made: Any = value.get("made")
    if isinstance(made, Equality) and made.lhs.is_Symbol:
        made = made.rhs
    if not getattr(made, "is_FiniteSet", False) or "unit" in value:
        return False
    return matched(parts["parts"], [{"kind": "value", "made": one} for one in made], same_part)


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
        low, high = map(number_of, part["parts"])
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
