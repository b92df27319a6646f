"""Names with a meaning in an expression: functions, constants, Greek letters."""

import re
import unicodedata

_GREEK_NAMES = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "", "", "rho", "", "sigma", "tau", "upsilon", "phi", "chi"),
    *("psi", "omega"),
)
GREEK = {chr(0x3B1 + at): name for at, name in enumerate(_GREEK_NAMES) if name}
GREEK.update({char.upper(): name.capitalize() for char, name in [*GREEK.items()]})
FUNCTIONS = {
    name: rf"\{name}"
    for name in (
        *("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh"),
        *("tanh", "ln", "log", "exp", "gcd", "min", "max", "lcm", "arcsinh", "arccosh", "arctanh"),
    )
}
FUNCTIONS |= {"asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "lg": r"\log"}
CONSTANTS = {name: rf"\{name}" for name in (*GREEK.values(), "pi", "infty")}
CONSTANTS |= {"inf": r"\infty", "infinity": r"\infty", "oo": r"\infty"}
SPECIAL = ("sqrt", "cbrt", "abs")
ENVIRONMENT = re.compile(
    r"\\(?:begin|end)\s*\{[A-Za-z]+\*?\}(?:\{[lcr|]*\})?|\\mathbb\s*\{?[A-Z]\}?"
)


def is_letter(char: str) -> bool:
    """Whether a character is a letter or an accent of any script."""
    return unicodedata.category(char)[0] in "LM"


def letter_runs(text: str) -> list[tuple[int, str]]:
    """Runs of letters of any script with their starts, except commands and subscripts."""
    text = ENVIRONMENT.sub(lambda m: " " * len(m[0]), text)
    text = re.sub(r"\\[A-Za-z]+|\\.|_\{[^{}]*\}|_\w+", lambda m: " " * len(m[0]), text)
    runs, at = [], 0
    while at < len(text):
        end = at
        while end < len(text) and is_letter(text[end]):
            end += 1
        if end > at:
            runs.append((at, text[at:end]))
        at = end + 1
    return runs


def is_name(run: str) -> bool:
    """Whether letters are one name: more than one, and not a known function or constant."""
    low = run.casefold()
    known = low in FUNCTIONS or low in CONSTANTS or low in SPECIAL or run in GREEK
    return not known and len(run) > 1


def is_product(run: str) -> bool:
    """Whether letters look like a product of variables, in alphabetical order: abc, xy."""
    return run in "abcdefghijklmnopqrstuvwxyz"
