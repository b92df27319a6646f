"""One item of an answer: words, or a value with its unit."""

import re
from fractions import Fraction
from itertools import pairwise

from rftcore.rewards.notation.latex import latex
from rftcore.rewards.notation.names import FUNCTIONS, GREEK, is_name, is_product, letter_runs
from rftcore.rewards.notation.part import Part, UnreadableError
from rftcore.units import CURRENCIES, Unit, unit_of

_MOST_EXPONENT = 9999
_NO_EXPRESSION = re.compile(r"\$|`|\\[\[\]()]|\\boxed|\?|\*\*\*")
_PLAIN_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<digits>\d[\d]*(?:\.\d*)?|\.\d+)"
    r"(?:[eE](?P<e>[+-]?\d+)|\s*(?:\\cdot|\\times|\*|x)\s*10\s*\^\s*[{(]?\s*(?P<ten>[+-]?\d+)\s*[})]?)?"
)
_MONEY = re.compile(rf"([+-]?)\s*(?:US|CA|AU)?\\?([{CURRENCIES}])\s*(?=[\d.])")
_AMOUNT = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*([^\W\d_]{1,12})")
_COMPOUND = re.compile(rf"(?:{_AMOUNT.pattern}[\s,]*(?:and\s+)?){{2,4}}", re.IGNORECASE)
_UNIT_START = re.compile(r"(?<![^\W\d_\\])(?:[^\W\d_]|[°%‰$€£¥₹₩¢])|\\[%$]")
_ANGLE_FUNCTION = re.compile("sin|cos|tan|cot|sec|csc", re.IGNORECASE)
_AFTER_VALUE = re.compile(r"[\d}.)!]\s*$|\\(?:pi|infty)\s*$|(?<![^\W\d_])[^\W\d_]\s+$")
_OPERATORS = re.compile(r"[-+*/^=<>|!_\\]")


def leaf(text: str) -> Part:
    """Read one item. Raises: UnreadableError if it is not exactly one."""
    text = text.strip()
    if _NO_EXPRESSION.search(re.sub(r"\\?\$", "", text) if text.count("$") == 1 else text):
        raise UnreadableError("it contains more than one expression")
    if text.count("$") > 1 or not any(char.isalnum() or char == "\\" for char in text):
        raise UnreadableError("it contains no expression")
    value, unit = _value_and_unit(text)
    if "$" in value:
        raise UnreadableError("it contains more than one expression")
    if unit is None and (words := _words(value)):
        return words
    part: Part = {"kind": "value", "text": re.sub(r"\s+", "", value)}
    if number := _PLAIN_NUMBER.fullmatch(value.replace(",", "")):
        part.update(_decimal(number))
    else:
        part["latex"] = latex(value)
    if unit is not None:
        part["unit"] = _as_json(unit)
    elif tight := re.fullmatch(r"(.*[\d})])([^\W\d_])(?:\^\{?([23])\}?)?", value):
        unit = unit_of(f"{tight[2]}^{tight[3] or 1}")
        if unit is not None:  # 5m is a product, but equals 5 m where the other answer has that unit
            part["tight"] = {**leaf(tight[1]), "unit": _as_json(unit)}
    return part


def compound(text: str) -> Part | None:
    """A value in decreasing units of one dimension, such as 1 h 30 min, in the last of them."""
    if not _COMPOUND.fullmatch(text):
        return None
    found = [(match[1], unit_of(match[2])) for match in _AMOUNT.finditer(text)]
    units = [unit for _, unit in found if unit is not None and not unit.needed]
    if len(units) < len(found) or len({tuple(sorted(unit.powers.items())) for unit in units}) > 1:
        return None
    if not all(large.scale > small.scale for large, small in pairwise(units)):
        return None  # 5 cm, 3 cm are two lengths
    last = units[-1]
    total = sum(
        (Fraction(number) * unit.scale / last.scale for number, unit in found if unit is not None),
        Fraction(0),
    )
    latex = rf"\frac{{{total.numerator}}}{{{total.denominator}}}"
    return {"kind": "value", "text": text, "latex": latex, "unit": _as_json(last)}


def _as_json(unit: Unit) -> Part:
    return {
        "powers": sorted(unit.powers.items()),
        "scale": [str(unit.scale.numerator), str(unit.scale.denominator)],
        "pi": unit.pi,
        "number": unit.number,
        "needed": unit.needed,
    }


def _value_and_unit(text: str) -> tuple[str, Unit | None]:
    """A value and the unit after it, or the currency before it."""
    text = re.sub(r"\\([%$])", r"\1", text)
    if money := _MONEY.match(text):
        return money[1] + text[money.end() :].strip(), unit_of(money[2])
    for match in _UNIT_START.finditer(text):
        value, name = text[: match.start()], text[match.start() :]
        if not _AFTER_VALUE.search(value) or _OPERATORS.search(value[-1:]):
            continue
        short = re.match(r"[^\W\d_](?![^\W\d_])", name)
        if short and not (value[-1].isspace() and re.search(r"[\d})]\s$", value)):
            continue  # 5m may be a product, 5 m is a length
        unit = unit_of(name)
        if unit and not ("rad" in unit.powers and _ANGLE_FUNCTION.search(value)):
            return value.strip(), unit
    return text, None


def _decimal(match: re.Match[str]) -> Part:
    """A number as sign, digits without outer zeros, and power of ten: a unique form."""
    whole, _, after = match["digits"].partition(".")
    exponent = match["e"] or match["ten"] or "0"
    digits = (whole + after).lstrip("0")
    kept = digits.rstrip("0")
    if len(exponent.lstrip("+-0")) > len(str(_MOST_EXPONENT)):
        raise UnreadableError(f"its power of ten is beyond {_MOST_EXPONENT}")
    power = int(exponent) - len(after) + len(digits) - len(kept)
    sign = "-" if match["sign"] == "-" and kept else ""
    last = int(exponent) - len(after)
    return {
        "number": [sign, kept or "0", power if kept else 0],
        "digits": len(digits) if len(after) >= 6 else 0,
        "last": last,
    }


def _words(text: str) -> Part | None:
    """A text that is compared as words, or None if it is an expression."""
    runs = letter_runs(text)
    alone = "".join(run for _, run in runs) == text != ""
    if not (_is_a_word(text) if alone else _is_prose(text, runs)):
        return None
    words = " ".join(text.split()).casefold().strip(" .,;:!'\"")
    part: Part = {"kind": "words", "text": words}
    if alone and len(text) <= 4 and text.isascii():
        part["latex"] = " ".join(text)  # "no" is the product n o if the other answer is a value
    return part


def _is_a_word(letters: str) -> bool:
    """Whether letters are a word: one letter, a function, or anything but a constant."""
    return (len(letters) == 1 and letters not in GREEK) or (
        is_name(letters) or letters.casefold() in FUNCTIONS
    )


def _is_prose(text: str, runs: list[tuple[int, str]]) -> bool:
    """Whether a text contains words, not just variables: two in a row, or one and no operator."""
    for (at, run), (after, other) in pairwise(runs):
        if is_name(run) and is_name(other) and text[at + len(run) : after].isspace():
            return True
    if _OPERATORS.search(text) or not any(is_name(run) and not is_product(run) for _, run in runs):
        return False
    apart = (len(run) > 2 or text[max(at - 1, 0)].isspace() for at, run in runs if is_name(run))
    return any(apart) or not any(char.isdigit() for char in text)  # 2ax is a product
