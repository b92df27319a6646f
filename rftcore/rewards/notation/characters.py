# ruff: noqa: RUF001 - this module lists characters that look alike
"""Normalize characters: superscripts, look-alikes and full-width digits to ASCII or LaTeX."""

import re
import unicodedata

from rftcore.rewards.notation.part import UnreadableError

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₒₓₙ", "0123456789+-aeoxn")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₒₓₙ]+")
_VULGAR = re.compile("(?<![\\d.])(\\d*)\\s?([\u00bc-\u00be\u2150-\u215e\u2189])")
# Characters and what replaces them.
_SYMBOLS = {
    "−﹣‐‑‒–—": "-",
    "·⋅∙•×✕": r" \cdot ",
    "÷⁄∕": "/",
    "√": r" \sqrt ",
    "∛": r" \cbrt ",
    "∞": r" \infty ",
    "≤≦": r" \le ",
    "≥≧": r" \ge ",
    "≠": r" \ne ",
    "±": r" \pm ",
    "∪": r" \cup ",
    "∩": r" \cap ",
    "∈": r" \in ",
    "∅": r" \emptyset ",
    "π": r" \pi ",
    "⟨〈": "(",
    "⟩〉": ")",
    "∠": r" \angle ",
    "△": r" \triangle ",
    "…": r" \ldots ",
    "ℝ": r" \mathbb{R} ",
    "ℤ": r" \mathbb{Z} ",
    "ℕ": r" \mathbb{N} ",
    "º": "°",
    "。": ".",
    "、،": ",",
    "“”": '"',
    "‘’": "'",
}
_TABLE = str.maketrans({char: text for chars, text in _SYMBOLS.items() for char in chars})
_PRIMES = re.compile(
    r"(?<=[^\W\d_])(?:\u2032+|\s*\^\s*(?:\\prime(?![A-Za-z])|\{\s*(?:\\prime\s*)+\}))"
)
_GREEK_NAMES = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "", "", "rho", "", "sigma", "tau", "upsilon", "phi", "chi"),
    *("psi", "omega"),
)
GREEK = {chr(0x3B1 + at): name for at, name in enumerate(_GREEK_NAMES) if name}
GREEK.update({char.upper(): name.capitalize() for char, name in [*GREEK.items()]})


def plain(text: str) -> str:
    """The text with one character per meaning: no invisible characters, no full-width digits.

    Raises: UnreadableError for a lone surrogate, which is not valid text.
    """
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UnreadableError("it contains a lone surrogate")
    text = _SUPERSCRIPT.sub(lambda m: f"^{{{m[0].translate(_SUPERSCRIPTS)}}}", text)
    text = _SUBSCRIPT.sub(lambda m: f"_{{{m[0].translate(_SUBSCRIPTS)}}}", text)
    text = _VULGAR.sub(_vulgar, text.replace("µ", "μ")).translate(_TABLE)
    text = unicodedata.normalize("NFKC", text)
    text = "".join(map(_ascii_digit, text))
    text = _PRIMES.sub(lambda m: "'" * (m[0].count("prime") + m[0].count("\u2032")), text)
    return " ".join(text.split())


def _ascii_digit(char: str) -> str:
    """A digit of any script in ASCII; an empty string for an invisible character."""
    category = unicodedata.category(char)
    return str(unicodedata.decimal(char)) if category == "Nd" else char if category != "Cf" else ""


def _vulgar(match: re.Match[str]) -> str:
    whole, (top, _, bottom) = match[1], unicodedata.normalize("NFKC", match[2]).partition("⁄")
    fraction = rf"\frac{{{top}}}{{{bottom}}}"
    return rf"({whole}+{fraction})" if whole else fraction
