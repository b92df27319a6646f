"""Compare sympy objects: numerically first, then by algebra."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Formulas are compared at these values of their first variable.
_POINTS = ("1.3717421", "-0.8264463", "2.7391304")
_DIGITS, _CLOSE = 80, "1e-60"  # of precision; a smaller relative difference is rounding


def equal(a: Any, b: Any) -> bool:
    """Whether two sympy objects are the same number, formula, relation, set or matrix."""
    from sympy import Expr, FiniteSet, MatrixBase, Set, Tuple
    from sympy.core.relational import Relational
    from sympy.logic.boolalg import Boolean

    if isinstance(a, MatrixBase) and isinstance(b, MatrixBase):
        return a.shape == b.shape and all(map(equal, a.flat(), b.flat()))
    if a == b:
        return True
    if isinstance(a, Relational | Boolean) or isinstance(b, Relational | Boolean):
        return _same_relation(a, b)
    if isinstance(a, FiniteSet) and isinstance(b, FiniteSet):
        return matched(a, b, equal)
    if isinstance(a, Tuple) and isinstance(b, Tuple):
        return len(a) == len(b) and all(map(equal, a, b))
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
        return matched(a.args, b.args, equal)
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Equality) and not isinstance(other, Relational | And):
            named = not any(atom.is_number for atom in one.lhs.atoms())
            return (named or equal(one.lhs, one.rhs)) and equal(one.rhs, other)
    if not isinstance(a, Relational) or not isinstance(b, Relational):
        return False
    if a.rel_op != b.rel_op and a.rel_op != b.reversed.rel_op:
        return False
    b = b if a.rel_op == b.rel_op else b.reversed
    return _same_sides(a, b) or (a.rel_op in ("==", "!=") and _same_sides(a, b.reversed))


def _same_sides(a: Any, b: Any) -> bool:
    from sympy import Expr, simplify

    if not all(isinstance(side, Expr) for side in (a.lhs, a.rhs, b.lhs, b.rhs)):
        return equal(a.lhs, b.lhs) and equal(a.rhs, b.rhs)
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


def matched(some: Iterable[Any], others: Iterable[Any], same: Callable[[Any, Any], bool]) -> bool:
    """Whether each one of some has one of the others that is the same, and none is left over."""
    left = list(others)
    for one in some:
        at = next((at for at, other in enumerate(left) if same(one, other)), None)
        if at is None:
            return False
        del left[at]
    return not left
