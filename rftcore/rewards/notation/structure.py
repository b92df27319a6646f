"""The parts of an answer: lists, sets, rows, ranges, unions. `values` reads each item."""

import re

from rftcore.rewards.notation.brackets import last_closing, split
from rftcore.rewards.notation.characters import plain
from rftcore.rewards.notation.markup import bare
from rftcore.rewards.notation.part import Part, UnreadableError
from rftcore.rewards.notation.values import compound, leaf
from rftcore.spelling import DIGITS
from rftcore.units import CURRENCIES, unit_of

LONGEST = 400  # characters of one answer
_DEEPEST = 12  # nested brackets
_MOST_PARTS = 30

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_WORD_COMMA = re.compile(r"\s*(?:,\s*)?\b(?:and|or)\b\s*", re.IGNORECASE)
_UNION = re.compile(r"\\cup(?![A-Za-z])|(?<=[)\]}])\s*U\s*(?=[(\[\\])")
_MEMBER = re.compile(r"[^\W\d_]\s*\\in(?![A-Za-z])")
_GROUPED = re.compile(r"(?<![\d.,])[+-]?[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}([/.-])\d{1,2}\1\d{4}|\d{4}([/.])\d{1,2}\2\d{1,2}"
)
_RATIO = re.compile(r"(\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+)\s*(\S.{0,5})?")
_RANGE_END = re.compile(
    rf"(?P<money>(?:US|CA|AU)?\\?[{CURRENCIES}]\s*)?(?P<number>{DIGITS}(?:\.\d+)?)(?P<unit>.*)"
)


def read(text: str) -> Part:
    """Read a whole text as one answer.

    Raises: UnreadableError if it cannot be compared as an answer.
    """
    if len(text) > LONGEST:
        raise UnreadableError(f"it is longer than {LONGEST} characters")
    text = bare(plain(text))
    if not text:
        raise UnreadableError("it is empty")
    try:
        return _part(text, 0)
    except RecursionError:
        raise UnreadableError("its roots or brackets are nested too deeply") from None


def _part(text: str, depth: int) -> Part:
    """Read a text as several parts, or as one value or words."""
    text = text.strip()
    if depth > _DEEPEST:
        raise UnreadableError(f"its brackets are nested more than {_DEEPEST} deep")
    if member := _MEMBER.match(text):
        return _part(text[member.end() :], depth + 1)
    return (
        _numbers_in_order(text)
        or compound(text)
        or _in_any_order(text, depth)
        or _bracketed(text, depth)
    )


def _numbers_in_order(text: str) -> Part | None:
    """A date, a ratio or a time of day: numbers whose separators are not operators."""
    if _DATE.fullmatch(text):
        numbers = [str(int(number)) for number in re.findall(r"\d+", text)]
        return _row(re.sub(r"\d+", "1", text), [leaf(number) for number in numbers])
    ratio = _RATIO.fullmatch(text)
    if ratio and (not ratio[2] or _is_am_or_pm(ratio[2])):
        half = re.sub(r"[.\s]", "", ratio[2] or "").lower()
        return _row(f":{half}", [leaf(each) for each in re.split(r"\s*:\s*", ratio[1])])
    return _range(text)


def _range(text: str) -> Part | None:
    """10-20, 5-10 cm, $5-$10: a range or a score, not a difference.

    An end without a unit or currency has that of the other end.
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
            leaf(f"{end['money'] or money}{end['number']} {own or unit}")
            for end, own in zip(found, units, strict=True)
        ],
    )


def _in_any_order(text: str, depth: int) -> Part | None:
    """A union or a list without brackets."""
    pieces = split(text, _UNION)
    if len(pieces) > 1:
        return {"kind": "union", "parts": _parts(pieces, depth)}
    items = _items(text, inside=False)
    if len(items) < 2:
        return None
    part = {"kind": "list", "parts": _parts(_without_names(items), depth)}
    joints = {word.lower() for word in re.findall(r"\b(?:and|or)\b", text, re.IGNORECASE)}
    return {**part, "joint": joints.pop()} if len(joints) == 1 else part


def _bracketed(text: str, depth: int) -> Part:
    """The contents of brackets, or a text without brackets as one item."""
    if text.startswith(r"\{") and text.endswith(r"\}"):
        return {"kind": "set", "parts": _parts(_items(text[2:-2], inside=True), depth)}
    if text[:1] not in _PAIRS or last_closing(text) != len(text) - 1:
        return leaf(text)
    items = _items(text[1:-1], inside=True)
    if len(items) > 1:
        parts = _parts(items, depth)
        braces = text[0] == "{" and text[-1] == "}"
        return {"kind": "set", "parts": parts} if braces else _row(text[0] + text[-1], parts)
    if text[0] == "{" or re.fullmatch(r"\(\s*[^\W\d_]\s*\)", text):
        return _part(text[1:-1], depth + 1)
    return leaf(text)


def _row(marks: str, parts: list[Part]) -> Part:
    return {"kind": "row", "marks": marks, "parts": parts}


def _parts(items: list[str], depth: int) -> list[Part]:
    if len(items) > _MOST_PARTS:
        raise UnreadableError(f"it has more than {_MOST_PARTS} parts")
    if not items:
        raise UnreadableError("its brackets are empty")
    return [_part(bare(item), depth + 1) for item in items]


def _is_am_or_pm(text: str) -> bool:
    unit = unit_of(text)
    return unit is not None and unit.needed


def _items(text: str, *, inside: bool) -> list[str]:
    """Split a list at its commas, semicolons, "and" and "or" outside brackets.

    1,000 is one number, but inside brackets 100,200 is two.
    """
    thousands = [m.span() for m in _GROUPED.finditer(text) if not inside or ",0" in m[0]]
    text = "".join(
        "" if char == "," and any(start <= at < end for start, end in thousands) else char
        for at, char in enumerate(text)
    )
    mark = re.compile(r"[,;]") if re.search(r"\d\s*[,;]|[,;]\s*\S", text) else re.compile(";")
    pieces = [piece for big in split(text, _WORD_COMMA) for piece in split(big, mark)]
    return [piece for piece in pieces if piece.strip()] if len(pieces) > 1 else pieces


def _without_names(items: list[str]) -> list[str]:
    """x = 1, x = 2 and x = 1, 2 as 1, 2; x = 1, y = 2 as it is."""
    halves = [item.partition("=") for item in items]
    names = {left.strip() for left, equal, _ in halves if equal}
    simple = len(names) == 1 and re.fullmatch(r"\\?[^\W\d_]{1,7}(?:_\w|_\{\w*\})?", min(names))
    if not simple or not halves[0][1]:
        return items
    return [right if equal else left for left, equal, right in halves]
