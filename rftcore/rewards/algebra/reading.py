"""Read the LaTeX in the parts of an answer as sympy objects."""

from functools import lru_cache
from typing import Any


def parsed(part: dict[str, Any]) -> dict[str, Any] | None:
    """The part with a sympy object in "made" for its LaTeX; None if that is not an expression."""
    if "parts" in part:
        parts = [parsed(one) for one in part["parts"]]
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
