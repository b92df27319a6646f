# ruff: noqa: RUF001 - the characters that look alike are what this is about
"""Read one answer in LaTeX or plain notation: its words, its parts, its values with units.

Text in, JSON-ready parts out; the algebra is in `math_worker`. Every text gives a part
or `UnreadableError` with the reason, in bounded time.

    words   compared as text, letters of any case: Yes, café, 5 apples
    list    parts in any order: 1, 2 and 3
    set     \\{1, 2\\}
    row     parts in order between brackets or marks: (1, 2), [0, 1), 3:4, 2024-05-01
    union   parts in any order: (-oo, 1) U (2, oo)
    value   one expression as LaTeX, with its unit: \\frac{\\pi}{2}, 5 cm, $5.25
"""

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from rftcore.rewards.units import CURRENCIES, Unit, unit_of
from rftcore.spelling import closing

LONGEST = 400  # characters of one answer
_DEEPEST = 12  # brackets
_MOST_PARTS = 30
_MOST_EXPONENT = 9999

Part = dict[str, Any]


class UnreadableError(Exception):
    """Why a text is no answer that can be compared."""


def read(text: str) -> Part:
    """The parts of a whole text. Raises: UnreadableError."""
    if len(text) > LONGEST:
        raise UnreadableError(f"longer than {LONGEST} characters")
    text = _bare(plain(text))
    if not text:
        raise UnreadableError("there is no text")
    try:
        return _part(text, 0)
    except RecursionError:
        raise UnreadableError("roots or brackets too deep in one another") from None


# --- characters ---

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₒₓₙ", "0123456789+-aeoxn")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₒₓₙ]+")
_VULGAR = re.compile("(?<![\\d.])(\\d*)\\s?([\u00bc-\u00be\u2150-\u215e\u2189])")
# Characters by what they are written as.
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
_GREEK = {chr(0x3B1 + at): name for at, name in enumerate(_GREEK_NAMES) if name}
_GREEK.update({char.upper(): name.capitalize() for char, name in [*_GREEK.items()]})


def plain(text: str) -> str:
    """The text with one character for each meaning: no invisible ones, no full-width digits.

    Raises: UnreadableError for half a surrogate pair, which is no text.
    """
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UnreadableError("half a surrogate pair is no text")
    text = _SUPERSCRIPT.sub(lambda m: f"^{{{m[0].translate(_SUPERSCRIPTS)}}}", text)
    text = _SUBSCRIPT.sub(lambda m: f"_{{{m[0].translate(_SUBSCRIPTS)}}}", text)
    text = _VULGAR.sub(_vulgar, text.replace("µ", "μ")).translate(_TABLE)
    text = unicodedata.normalize("NFKC", text)
    text = "".join(map(_ascii_digit, text))
    text = _PRIMES.sub(lambda m: "'" * (m[0].count("prime") + m[0].count("\u2032")), text)
    return " ".join(text.split())


def _ascii_digit(char: str) -> str:
    """A digit of any script in ASCII; nothing for a character that nobody sees."""
    category = unicodedata.category(char)
    return str(unicodedata.decimal(char)) if category == "Nd" else char if category != "Cf" else ""


def _vulgar(match: re.Match[str]) -> str:
    whole, (top, _, bottom) = match[1], unicodedata.normalize("NFKC", match[2]).partition("⁄")
    fraction = rf"\frac{{{top}}}{{{bottom}}}"
    return rf"({whole}+{fraction})" if whole else fraction


# --- what is around an answer ---

_MARKS = (
    *(("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")),
    *(("**", "**"), ("__", "__"), ("`", "`"), ("*", "*"), ('"', '"')),
)
_BOXES = re.compile(
    r"\\(?:boxed|fbox|text(?:bf|it|rm|normal)?|math(?:bf|rm|it|sf|bb)?|bm)\s*(?=\{)"
)
_STYLE = re.compile(r"\\(?:left|right|displaystyle|limits|big[lr]?|Big[lr]?)(?![A-Za-z])|\\!")
_ANGLES = ((re.compile(r"\\langle(?![A-Za-z])"), "("), (re.compile(r"\\rangle(?![A-Za-z])"), ")"))
_SPACE = re.compile(r"\\(?:[,;: ]|q?quad(?![A-Za-z]))|~")
_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf)|mbox|operatorname\*?)\s*\{")
_SUBSCRIPT_TEXT = re.compile(r"_\s*\{?\s*\\(?:text|mathrm)\s*\{\s*(\w*)\s*\}\s*\}?")
_THOUSANDS = re.compile(
    r"(?<![\d.,_'])\d{1,3}(?:(?:\\,\d{3})+|(?: \d{3})+|(?:\{,\}\d{3})+|(?:_\d{3})+|(?:'\d{3})+)"
    r"(?![\d,_{'])"
)


def _bare(text: str) -> str:
    """Without the marks and the full stop around an answer."""
    while True:
        before = text
        text = text.strip().removeprefix("=").strip()
        if text.endswith(".") and not re.search(r"\b[ap]\.\s?m\.$", text, re.IGNORECASE):
            text = text[:-1].rstrip("\\").rstrip() if not text.endswith("..") else text
        for start, end in _MARKS:
            inside = text[len(start) : -len(end)]
            if text.startswith(start) and text.endswith(end) and inside.strip():
                text = inside if not (start in inside or end in inside) else text
        box = _BOXES.match(text)
        if box and closing(text, box.end()) == len(text) - 1:
            text = text[box.end() + 1 : -1]
        if text == before:
            return _unstyled(text)


_REPEATING = re.compile(r"(?<![\w.,])(\d{1,30})?\.(\d{0,30})\\overline\s*(?:\{(\d{1,30})\}|(\d))")


def _repeating(match: re.Match[str]) -> str:
    r"""0.1\overline{6} as a fraction: the digits less those before the period, by 90."""
    before, period = (match[1] or "") + match[2], match[3] or match[4]
    top = int(before + period) - int(before or 0)
    return rf"\frac{{{top}}}{{{int('9' * len(period)) * 10 ** len(match[2])}}}"


def _unstyled(text: str) -> str:
    """LaTeX without what only changes how it looks: sizes, spaces, upright letters."""
    text = _REPEATING.sub(_repeating, text)
    text = re.sub(r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset ", text)
    text = _THOUSANDS.sub(lambda m: re.sub(r"\D", "", m[0]), text)
    text = _SUBSCRIPT_TEXT.sub(r"_{\1}", _SPACE.sub(" ", _STYLE.sub(" ", text)))
    for mark, bracket in _ANGLES:
        text = mark.sub(bracket, text)
    while match := _TEXT.search(text):
        end = closing(text, match.end() - 1)
        if end < 0:
            raise UnreadableError("a bracket is open")
        inside = text[match.end() : end]
        gap = "" if inside == "d" else " "  # of dx
        text = f"{text[: match.start()]}{gap}{inside}{gap}{text[end + 1 :]}"
    return " ".join(re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ|\{\s*°\s*\}|°)", "°", text).split())


# --- parts ---

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_WORD_COMMA = re.compile(r"\s*(?:,\s*)?\b(?:and|or)\b\s*", re.IGNORECASE)
_CUP = re.compile(r"\\cup(?![A-Za-z])|(?<=[)\]}])\s*U\s*(?=[(\[\\])")
_MEMBER = re.compile(r"[^\W\d_]\s*\\in(?![A-Za-z])")
_GROUPED = re.compile(r"(?<![\d.,])[+-]?\d{1,3}(?:,\d{3})+(?![\d,])")
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}([/.-])\d{1,2}\1\d{4}|\d{4}([/.])\d{1,2}\2\d{1,2}"
)
_RATIO = re.compile(r"(\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+)\s*(\S.{0,5})?")
_RANGE_END = re.compile(
    rf"(?P<money>(?:US|CA|AU)?\\?[{CURRENCIES}]\s*)?(?P<number>\d+(?:,\d{{3}})*(?:\.\d+)?)(?P<unit>.*)"
)
_NO_EXPRESSION = re.compile(r"\$|`|\\[\[\]()]|\\boxed|\?|\*\*\*")


def _part(text: str, depth: int) -> Part:
    """The part that a text is: several, or one value or words."""
    text = text.strip()
    if depth > _DEEPEST:
        raise UnreadableError(f"more than {_DEEPEST} brackets in one another")
    if member := _MEMBER.match(text):
        return _part(text[member.end() :], depth + 1)
    return (
        _numbers_in_order(text)
        or _compound(text)
        or _in_any_order(text, depth)
        or _bracketed(text, depth)
    )


def _numbers_in_order(text: str) -> Part | None:
    """A date, a ratio or a time of day: numbers that no sign between them computes with."""
    if _DATE.fullmatch(text):
        numbers = [str(int(number)) for number in re.findall(r"\d+", text)]
        return _row(re.sub(r"\d+", "1", text), [_leaf(number) for number in numbers])
    ratio = _RATIO.fullmatch(text)
    if ratio and (not ratio[2] or _is_noon(ratio[2])):
        noon = re.sub(r"[.\s]", "", ratio[2] or "").lower()
        return _row(f":{noon}", [_leaf(each) for each in re.split(r"\s*:\s*", ratio[1])])
    return _range(text)


def _range(text: str) -> Part | None:
    """10-20, 5-10 cm, $5-$10: a range, a result or a number of parts, and no difference.

    A unit or currency that one end lacks is that of the other.
    """
    ends = [_RANGE_END.fullmatch(end) for end in re.split(r"\s*-\s*", text)]
    found = [end for end in ends if end is not None]
    if not 1 < len(found) == len(ends) <= _MOST_PARTS:
        return None
    units = [end["unit"].strip() for end in found]
    if any(unit and unit_of(unit) is None for unit in units):
        return None
    money = next((end["money"] for end in found if end["money"]), "")
    unit = next((unit for unit in reversed(units) if unit), "")
    return _row(
        "-",
        [
            _leaf(f"{end['money'] or money}{end['number']} {own or unit}")
            for end, own in zip(found, units, strict=True)
        ],
    )


def _in_any_order(text: str, depth: int) -> Part | None:
    """A union or a list without brackets."""
    pieces = _split(text, _CUP)
    if len(pieces) > 1:
        return {"kind": "union", "parts": _parts(pieces, depth)}
    items = _items(text, inside=False)
    if len(items) < 2:
        return None
    part = {"kind": "list", "parts": _parts(_without_names(items), depth)}
    joints = {word.lower() for word in re.findall(r"\b(?:and|or)\b", text, re.IGNORECASE)}
    return {**part, "joint": joints.pop()} if len(joints) == 1 else part


def _bracketed(text: str, depth: int) -> Part:
    """What stands in brackets, or a text that stands in none."""
    if text.startswith(r"\{") and text.endswith(r"\}"):
        return {"kind": "set", "parts": _parts(_items(text[2:-2], inside=True), depth)}
    if text[:1] not in _PAIRS or _last_closing(text) != len(text) - 1:
        return _leaf(text)
    items = _items(text[1:-1], inside=True)
    if len(items) > 1:
        parts = _parts(items, depth)
        braces = text[0] == "{" and text[-1] == "}"
        return {"kind": "set", "parts": parts} if braces else _row(text[0] + text[-1], parts)
    if text[0] == "{" or re.fullmatch(r"\(\s*[^\W\d_]\s*\)", text):
        return _part(text[1:-1], depth + 1)
    return _leaf(text)


def _row(marks: str, parts: list[Part]) -> Part:
    return {"kind": "row", "marks": marks, "parts": parts}


def _parts(items: list[str], depth: int) -> list[Part]:
    if len(items) > _MOST_PARTS:
        raise UnreadableError(f"more than {_MOST_PARTS} parts")
    if not items:
        raise UnreadableError("there is nothing between its brackets")
    return [_part(_bare(item), depth + 1) for item in items]


def _is_noon(text: str) -> bool:
    unit = unit_of(text)
    return unit is not None and unit.needed


def _items(text: str, *, inside: bool) -> list[str]:
    """What stands between the commas, semicolons and words of a list, outside brackets.

    1,000 is one number, but between brackets 100,200 are two.
    """
    held = [m.span() for m in _GROUPED.finditer(text) if not inside or ",0" in m[0]]
    text = "".join(
        "" if char == "," and any(start <= at < end for start, end in held) else char
        for at, char in enumerate(text)
    )
    mark = re.compile(r"[,;]") if re.search(r"\d\s*[,;]|[,;]\s*\S", text) else re.compile(";")
    pieces = [piece for big in _split(text, _WORD_COMMA) for piece in _split(big, mark)]
    return [piece for piece in pieces if piece.strip()] if len(pieces) > 1 else pieces


def _without_names(items: list[str]) -> list[str]:
    """x = 1, x = 2 and x = 1, 2 as 1, 2; x = 1, y = 2 as it is."""
    halves = [item.partition("=") for item in items]
    names = {left.strip() for left, equal, _ in halves if equal}
    simple = len(names) == 1 and re.fullmatch(r"\\?[^\W\d_]{1,7}(?:_\w|_\{\w*\})?", min(names))
    if not simple or not halves[0][1]:
        return items
    return [right if equal else left for left, equal, right in halves]


def _split(text: str, mark: re.Pattern[str]) -> list[str]:
    """The pieces between marks that are outside all brackets."""
    depths = _depths(text)
    pieces, start = [], 0
    for match in mark.finditer(text):
        if depths[match.start()] == 0 and match.end() > start:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [*pieces, text[start:]]


def _depths(text: str) -> list[int]:
    """How many brackets are open before each character; (0, 1] closes as well as (0, 1)."""
    depth, depths = 0, []
    for char in text:
        depth -= char in ")]}"
        depths.append(max(depth, 0))
        depth = max(depth, 0) + (char in "([{")
    return depths


def _last_closing(text: str) -> int:
    """Where the bracket that opens a text closes, whatever closes it, or -1."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return at
    return -1


# --- one value ---

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d*)?|\.\d+"
_PLAIN_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<digits>\d[\d]*(?:\.\d*)?|\.\d+)"
    r"(?:[eE](?P<e>[+-]?\d+)|\s*(?:\\cdot|\\times|\*|x)\s*10\s*\^\s*[{(]?\s*(?P<ten>[+-]?\d+)\s*[})]?)?"
)
_BASED = re.compile(r"([+-]?)\s*([0-9A-Za-z]+)\s*_\s*\{?\s*(\d{1,2})\s*\}?")
_MIXED = re.compile(
    r"(?<![\d.^_{(])([+-]?)\s*(\d+)(?:\s+(?:and\s+)?(\d+)\s*/\s*(\d+)"
    r"|\s*\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|\s*\\[dt]?frac\s*(\d)\s*(\d))(?![\d.])"
)
_MONEY = re.compile(rf"([+-]?)\s*(?:US|CA|AU)?\\?([{CURRENCIES}])\s*(?=[\d.])")
_AMOUNT = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*([^\W\d_]{1,12})")
_COMPOUND = re.compile(rf"(?:{_AMOUNT.pattern}[\s,]*(?:and\s+)?){{2,4}}", re.IGNORECASE)
_UNIT_START = re.compile(r"(?<![^\W\d_\\])(?:[^\W\d_]|[°%‰$€£¥₹₩¢])|\\[%$]")
_ANGLE_FUNCTION = re.compile("sin|cos|tan|cot|sec|csc", re.IGNORECASE)
_AFTER_VALUE = re.compile(r"[\d}.)!]\s*$|\\(?:pi|infty)\s*$|(?<![^\W\d_])[^\W\d_]\s+$")
_OPERATORS = re.compile(r"[-+*/^=<>|!_\\]")


def _leaf(text: str) -> Part:
    text = text.strip()
    if _NO_EXPRESSION.search(re.sub(r"\\?\$", "", text) if text.count("$") == 1 else text):
        raise UnreadableError("it holds more than one expression")
    if text.count("$") > 1 or not any(char.isalnum() or char == "\\" for char in text):
        raise UnreadableError("there is no expression")
    value, unit = _value_and_unit(text)
    if "$" in value:
        raise UnreadableError("it holds more than one expression")
    if unit is None and (words := _words(value)):
        return words
    part: Part = {"kind": "value", "text": re.sub(r"\s+", "", value)}
    if number := _PLAIN_NUMBER.fullmatch(value.replace(",", "")):
        part.update(_decimal(number))
    else:
        part["latex"] = _latex(value)
    if unit is not None:
        part["unit"] = _as_json(unit)
    elif tight := re.fullmatch(r"(.*[\d})])([^\W\d_])(?:\^\{?([23])\}?)?", value):
        unit = unit_of(f"{tight[2]}^{tight[3] or 1}")
        if unit is not None:  # 5m is 5 times m, but beside 5 m it is a length
            part["tight"] = {**_leaf(tight[1]), "unit": _as_json(unit)}
    return part


def _compound(text: str) -> Part | None:
    """A value in smaller and smaller units of one kind, 1 h 30 min, as one in the last of them."""
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
            continue  # 5m may be 5 times m, 5 m is a length
        unit = unit_of(name)
        if unit and not ("rad" in unit.powers and _ANGLE_FUNCTION.search(value)):
            return value.strip(), unit
    return text, None


def _decimal(match: re.Match[str]) -> Part:
    """A number as sign, digits without outer zeros, and power of ten: equal if these are."""
    whole, _, after = match["digits"].partition(".")
    exponent = match["e"] or match["ten"] or "0"
    digits = (whole + after).lstrip("0")
    kept = digits.rstrip("0")
    if len(exponent.lstrip("+-0")) > len(str(_MOST_EXPONENT)):
        raise UnreadableError(f"a power of ten beyond {_MOST_EXPONENT}")
    power = int(exponent) - len(after) + len(digits) - len(kept)
    sign = "-" if match["sign"] == "-" and kept else ""
    last = int(exponent) - len(after)
    return {
        "number": [sign, kept or "0", power if kept else 0],
        "digits": len(digits) if len(after) >= 6 else 0,
        "last": last,
    }


# --- words and names ---

_FUNCTIONS = {
    name: rf"\{name}"
    for name in (
        *("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh"),
        *("tanh", "ln", "log", "exp", "gcd", "min", "max", "lcm", "arcsinh", "arccosh", "arctanh"),
    )
}
_FUNCTIONS |= {"asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "lg": r"\log"}
_CONSTANTS = {name: rf"\{name}" for name in (*_GREEK.values(), "pi", "infty")}
_CONSTANTS |= {"inf": r"\infty", "infinity": r"\infty", "oo": r"\infty"}
_SPECIAL = ("sqrt", "cbrt", "abs")
_RUN = re.compile(r"\\[A-Za-z]+|\\.|_\{[^{}]*\}|_\w|[^\W\d_]+")
_ENVIRONMENT = re.compile(
    r"\\(?:begin|end)\s*\{[A-Za-z]+\*?\}(?:\{[lcr|]*\})?|\\mathbb\s*\{?[A-Z]\}?"
)


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM"


def _runs(text: str) -> list[tuple[int, str]]:
    """The runs of letters of any script, with where they start; not commands or subscripts."""
    text = _ENVIRONMENT.sub(lambda m: " " * len(m[0]), text)
    text = re.sub(r"\\[A-Za-z]+|\\.|_\{[^{}]*\}|_\w+", lambda m: " " * len(m[0]), text)
    runs, at = [], 0
    while at < len(text):
        end = at
        while end < len(text) and _is_letter(text[end]):
            end += 1
        if end > at:
            runs.append((at, text[at:end]))
        at = end + 1
    return runs


def _is_name(run: str) -> bool:
    """Whether letters are one name, not a known one and not a product of variables."""
    low = run.casefold()
    known = low in _FUNCTIONS or low in _CONSTANTS or low in _SPECIAL or run in _GREEK
    return not known and len(run) > 1


def _is_product(run: str) -> bool:
    """Whether letters are a product as one writes it, in the order of the alphabet: abc, xy."""
    return run in "abcdefghijklmnopqrstuvwxyz"


def _words(text: str) -> Part | None:
    """A text that is compared as words, or None if it is an expression."""
    runs = _runs(text)
    alone = "".join(run for _, run in runs) == text != ""
    if not (_is_a_word(text) if alone else _is_prose(text, runs)):
        return None
    words = " ".join(text.split()).casefold().strip(" .,;:!'\"")
    part: Part = {"kind": "words", "text": words}
    if alone and len(text) <= 4 and text.isascii():
        part["latex"] = " ".join(text)  # n o as a product, only beside an expression
    return part


def _is_a_word(letters: str) -> bool:
    """One letter, or several that name no constant: the name of a function is a word too."""
    return (len(letters) == 1 and letters not in _GREEK) or (
        _is_name(letters) or letters.casefold() in _FUNCTIONS
    )


def _is_prose(text: str, runs: list[tuple[int, str]]) -> bool:
    """Whether it has words that are no variables: two in a row, or one and no operator."""
    for (at, run), (after, other) in pairwise(runs):
        if _is_name(run) and _is_name(other) and text[at + len(run) : after].isspace():
            return True
    if _OPERATORS.search(text) or not any(
        _is_name(run) and not _is_product(run) for _, run in runs
    ):
        return False
    apart = (len(run) > 2 or text[max(at - 1, 0)].isspace() for at, run in runs if _is_name(run))
    return any(apart) or not any(char.isdigit() for char in text)  # 2ax is a product


# --- LaTeX ---


def _latex(text: str) -> str:
    """An expression in LaTeX, whatever notation it is in."""
    text = text.replace("**", "^")
    if based := _BASED.fullmatch(text):
        return _in_base(based)
    if re.search(r"\d\s+\d", re.sub(r"_\d+", "", _MIXED.sub("", text))):
        raise UnreadableError("two numbers stand side by side")
    text = re.sub(r"(\d)\s*[xX]\s*(?=\d)", r"\1 \\cdot ", text)
    text = re.sub(r"(?<=\d)[eE]([+-]?\d+)(?!\d*\.)", r" \\cdot 10^{\1}", text)
    text = _MIXED.sub(_mixed, text)
    text = re.sub(rf"({_NUMBER})\s*°", r"(\\frac{\1\\pi}{180})", text)
    text = re.sub(r"(?<![\w.})])(\d+)\s*/\s*(\d+)(?![\d.,!])", r"(\\frac{\1}{\2})", text)
    text = _DIVIDED.sub(r"\1 \\cdot ", text)  # x/2y is (x/2)y, as in programs
    text = re.sub(r"\)\s*(?=\()", r") \\cdot ", text)
    text = re.sub(rf"(?<![\w.^_{{}}])({_NUMBER})\s*(?=\()", r"\1 \\cdot ", text)  # 3(4)
    text = text.replace("<=", r" \le ").replace(">=", r" \ge ").replace("!=", r" \ne ")
    text = re.sub(r"(?<!\\)\*", r" \\cdot ", text)
    text = re.sub(r"\\div(?![A-Za-z])", "/", text)
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text)
    return "".join(_Writer(text).all())


_DIVIDED = re.compile(
    r"(/\s*\d+(?:\.\d+)?)(?=\s*(?:[^\W\d_]|\(|\\(?:sqrt|frac|"
    + "|".join([*_FUNCTIONS, *_CONSTANTS])
    + r")(?![A-Za-z])))"
)


def _in_base(match: re.Match[str]) -> str:
    sign, digits, base = match[1], match[2], int(match[3])
    try:
        if not 2 <= base <= 36 or len(digits) > 200:
            raise ValueError
        return f"{sign}{int(digits, base)}"
    except ValueError:
        if digits.isdigit():
            raise UnreadableError(f"{digits} is no number in base {base}") from None
        return match[0].replace(" ", "")


def _mixed(match: re.Match[str]) -> str:
    sign, whole, *parts = match.groups()
    top, bottom = (part for part in parts if part is not None)
    return rf"{sign}({whole}+\frac{{{top}}}{{{bottom}}})"


class _Writer:
    """One pass over an expression that writes names, powers and roots as LaTeX."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def all(self) -> Iterator[str]:
        while self.at < len(self.text):
            yield self.next()

    def next(self) -> str:
        """The next symbol with its arguments."""
        text, at = self.text, self.at
        if environment := _ENVIRONMENT.match(text, at):
            self.at = environment.end()
            return environment[0]
        if text[at] == "^":
            self.at += 1
            return f"^{{{self.argument(signed=True)}}}"
        if text[at] == "°":
            self.at += 1
            return r"\frac{\pi}{180}"
        if subscript := re.compile(r"_\s*(?:(\w)|\{\s*(\w+)\s*\})").match(text, at):
            self.at = subscript.end()
            return f"_{{{_index(subscript[1] or subscript[2])}}}"
        if text[at] == "\\":
            command = re.compile(r"\\(?:[A-Za-z]+|.?)", re.DOTALL).match(text, at)
            assert command is not None
            self.at = command.end()
            return self.command(command[0])
        if _is_letter(text[at]):
            end = at
            while end < len(text) and _is_letter(text[end]):
                end += 1
            self.at = end
            return self.name(text[at:end])
        if (primes := re.compile("'+").match(text, at)) and self._is_primed(at):
            self.at = primes.end()
            return self.symbol(primes[0])
        if number := re.compile(_NUMBER).match(text, at):
            self.at = number.end()
            return _exact(number[0])
        self.at += 1
        return text[at]

    def _is_primed(self, at: int) -> bool:
        """Whether what ends here is no number: math-verify would drop its primes."""
        return re.search(r"(?:[^\W\d]\d*|[)\]}])\s*$", self.text[max(0, at - 40) : at]) is not None

    def command(self, name: str) -> str:
        if name == r"\frac":
            return rf"\frac{{{self.argument()}}}{{{self.argument()}}}"
        if name in (r"\sqrt", r"\cbrt"):
            return self.root("3" if name == r"\cbrt" else "")
        if name[1:] in _CONSTANTS or name[1:] in _FUNCTIONS:
            return self.function(name) if name[1:] in _FUNCTIONS else f"{name} "
        return name + (" " if name[1:].isalpha() else "")

    def name(self, run: str) -> str:
        low = run.casefold()
        if primes := re.compile("'+").match(self.text, self.at):  # which math-verify drops
            self.at = primes.end()
            whole = len(run) > 2 and not _is_product(run)
            first, last = ("", low) if whole else (run[:-1], low[-1])
            return " ".join(first) + self.symbol(last + primes[0])
        if run in _GREEK:
            return rf"\{_GREEK[run]} "
        if low in _SPECIAL:
            if low == "abs":
                return rf"|{self.argument()}|"
            return self.root("3" if low == "cbrt" else "")
        if low in _FUNCTIONS and len(run) > 1:
            return self.function(_FUNCTIONS[low])
        if low in _CONSTANTS:
            return f"{_CONSTANTS[low]} "
        if len(run) > 2 and not _is_product(run):
            return self.symbol(low)
        if not run.isascii():
            return self.symbol(low)
        index = re.compile(r"\d+").match(self.text, self.at)  # x1 is a name, not x times 1
        self.at = index.end() if index else self.at
        return " ".join(run) + (f"_{{{index[0]}}}" if index else "")

    def symbol(self, name: str) -> str:
        """A whole name as one variable; LaTeX has letters only, so its characters are numbers."""
        subscript = re.compile(r"\s*_\s*(\{[^{}]*\}|\w)").match(self.text, self.at)
        if subscript:
            self.at = subscript.end()
            name += subscript[0]
        return f" w_{{{_coded(name)}}} "

    def function(self, name: str) -> str:
        """log_2 8, log2(8) and log10(x) too."""
        base = re.compile(r"\s*_?\s*(\d+)\s*(?=\()").match(self.text, self.at)
        if name == r"\log" and base:
            self.at = base.end()
            return rf"\log_{{{base[1]}}}"
        return f"{name} "

    def root(self, degree: str) -> str:
        index = re.compile(r"\s*\[([^\[\]]*)\]").match(self.text, self.at)
        if index:
            self.at = index.end()
            degree = index[1]
        return (rf"\sqrt[{degree}]" if degree else r"\sqrt") + f"{{{self.argument()}}}"

    def argument(self, *, signed: bool = False) -> str:
        """What follows, without the brackets around it: a group, a number, a letter."""
        text = self.text
        while self.at < len(text) and text[self.at].isspace():
            self.at += 1
        if self.at >= len(text):
            raise UnreadableError("something is missing at its end")
        if text[self.at] in "({":
            end = _last_closing(text[self.at :])
            if end < 0:
                raise UnreadableError("a bracket is open")
            inside = text[self.at + 1 : self.at + end]
            self.at += end + 1
            return "".join(_Writer(inside).all())
        if signed and text[self.at] in "+-":
            sign = text[self.at]
            self.at += 1
            return sign + self.argument()
        if text[self.at].isdigit() and not signed and self._digits_are_arguments():
            self.at += 1
            return text[self.at - 1]
        if text[self.at].isdigit() or text[self.at] == "\\":
            return self.next()
        run = re.compile(r"[^\W\d_]+").match(text, self.at)
        if run and (run[0].casefold() in _CONSTANTS or run[0].casefold() in _SPECIAL):
            return self.next()
        self.at += 1
        return text[self.at - 1]

    def _digits_are_arguments(self) -> bool:
        """Whether we are at the 1 of \\frac12, where each digit is an argument."""
        return re.search(r"\\frac\s*(?:\d|\{[^{}]*\})?\s*$", self.text[: self.at]) is not None


def _index(text: str) -> str:
    return text if text.isdigit() or len(text) == 1 else _coded(text.casefold())


def _coded(name: str) -> str:
    """A name in digits: to the grammar of LaTeX letters are a product, and some a function."""
    return "".join(f"{ord(char):07}" for char in name)


def _exact(number: str) -> str:
    """A decimal as a fraction, so that no digit is lost; any other number as it is."""
    whole, point, after = number.replace(",", "").partition(".")
    after = after.rstrip("0")
    if not point or not after:
        return whole or "0"
    return rf"(\frac{{{int(whole + after)}}}{{{10 ** len(after)}}})"
