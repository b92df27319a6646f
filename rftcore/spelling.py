"""The characters of an answer: invisible ones, look-alikes, and marks such as bold or boxes.

`trimmed` drops outer characters that a reader cannot see and changes
nothing else. `core` reads as a person does: it takes an answer out of bold type, a box or
a sentence that only announces it. Both are total and take linear time.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence

# Digits, plain or in correct groups (in a pattern with re.ASCII): 0,500 has no group but a decimal
# comma.
DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)"
LONGEST = 20_000  # characters; a longer text is returned as it is by `core`
_MOST_LAYERS = 20
_MOST_NAMED = 3

# Characters without a glyph that change no meaning: zero-width spaces, marks of direction.
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"
_NEVER_SEEN = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))  # joiners mean something
_OUTER = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _UNSEEN
_MINUS = str.maketrans(dict.fromkeys("\u2212\ufe63\uff0d\u2010\u2011\u2012\u2013\u2014", "-"))
_WIDE = str.maketrans({chr(0xFF01 + at): chr(0x21 + at) for at in range(94)} | {"\u3002": "."})

_PAIRS = (
    ("```", "```"),
    *(("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("`", "`"), ('"', '"'), ("'", "'")),
    *(("\u201c", "\u201d"), ("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")),
)
_COMMAND = re.compile(
    r"\\(?:boxed|fbox|mbox|text(?:bf|it|rm|normal)?|math(?:bf|rm|it|sf))\s*+(?=\{)"
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*+\{")
_BOX_TOKENS = re.compile(r"<\|begin_of_box\|>((?:(?!<\|).)*+)<\|end_of_box\|>", re.DOTALL)
_NAMED = (
    r"[\s*_#>-]*(?:(?:so|thus|therefore|hence),?\s+)?(?:(?:the|my)\s+)?"
    r"(?:(?:(?:final|correct)\s+)?(?:answer|result)"
    r"|(?:final|correct|right|best)\s+(?:option|choice|letter))[\s*_]*+"
)
_LABEL = re.compile(_NAMED + r"(?::|\bis\b|=)[\s*_:]*(?P<answer>[^\s*_:].*)", re.IGNORECASE)
_HEADING = re.compile(_NAMED + r"(?::|\bis\b|=)?[\s*_:]*", re.IGNORECASE)  # the answer is below
_HASHES = re.compile(r"\s*####\s+(?P<answer>\S.*)|####(?P<number>[-+.\d]\S*)\s*")  # as in GSM8K
_FENCE = "```"
_LANGUAGE = re.compile(r"[A-Za-z]*\s*\n")
_KEYS = {"answer", "final_answer", "final answer", "result"}  # of an answer as JSON
_OPTION = re.compile(
    r"(?:the\s+)?(?:option|choice)\s*:?\s+(?=[(\[{*_]*[A-Za-z](?![A-Za-z]))", re.IGNORECASE
)
_BRACED = re.compile(r"\{\s*([A-Za-z])\s*\}")
_GROUPS = re.compile(
    r"(?P<sign>[+-]?)(?P<digits>[1-9]\d{0,2}(?:(?:\\,|\{,\}| |')\d{3})+)(?P<rest>\.\d*)?"
)
_LETTER = re.compile(r"(?P<open>[(\[]?)(?P<letter>[A-Za-z])(?:[)\]]?[.:]|[)\]]|\s-)(?:\s+|$)")
_OTHER_LETTER = re.compile(r"(?<!\w)[(\[]?[A-Za-z][)\].:](?=\s|$)")


def trimmed(text: str) -> str:
    """Without leading and trailing white space and invisible characters."""
    return text.strip(_OUTER)


def visible(text: str) -> str:
    """Without invisible characters that no script needs, with accents composed (NFC)."""
    return unicodedata.normalize("NFC", text.translate(_NEVER_SEEN))


def spaced(text: str) -> str:
    """With plain spaces for those of other widths."""
    return "".join(" " if unicodedata.category(char) == "Zs" else char for char in text)


def has_half_a_character(text: str) -> bool:
    """Whether a text contains a lone surrogate, which UTF-8 and tokenizers reject."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def odd(text: str) -> str:
    """The names of characters that are easily taken for others or not seen, or nothing."""
    names = dict.fromkeys(
        f"U+{ord(char):04X} {unicodedata.name(char, 'without a name').lower()}"
        for char in text
        if (not char.isascii() and (char.translate(_MINUS) + char.translate(_WIDE) != char * 2))
        or (unicodedata.category(char) in ("Cf", "Cs", "Zs", "Nd") and not char.isascii())
    )
    return ", ".join([*names][:_MOST_NAMED])


def core(text: str) -> str:
    """The answer itself, as a person reads it: 5 of **5**, $5$, \\boxed{5}, "The answer is 5."

    Also of `#### 5`, a heading "Answer" with 5 below, a code block at the end, and of the JSON
    {"answer": 5}; A of {A} and "Option A".

    What is boxed or announced as the answer several times must be the same each time.
    """
    if len(text) > LONGEST:
        return text
    text = plain(text)
    for found in (_boxed(text), _announced(text)):
        different = {unmarked(one) for one in found}
        if len(different) == 1:
            return _bare(different.pop())
    fenced = _fenced(text)
    inner = text if fenced is None else fenced
    value = _json_answer(inner)
    return _bare(unmarked(inner if value is None else value))


def leading_letter(text: str) -> str | None:
    """The letter of a choice that its text follows: C of "C. Mixed", if no other has one too."""
    match = _LETTER.match(text)
    if match is None or _OTHER_LETTER.search(text, match.end()):
        return None
    return match["letter"]


def plain(text: str) -> str:
    """ASCII for spaces, minus signs, digits and full-width characters; no unseen characters."""
    return "".join(map(_plain, text.translate(_MINUS).translate(_WIDE)))


def _plain(char: str) -> str:
    if char.isascii():
        return char
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return " " if category == "Zs" else "" if category == "Cf" else char


def unmarked(text: str) -> str:
    """Without the marks around a whole text, its full stop, and spaces in a number."""
    for _ in range(_MOST_LAYERS):
        before = text
        text = trimmed(text)
        text = text[:-1] if text.endswith(".") and not text.endswith("..") else text
        text = _without_pair(trimmed(text))
        if text == before:
            break
    groups = _GROUPS.fullmatch(text)
    if groups is None:
        return text
    return groups["sign"] + re.sub(r"\D", "", groups["digits"]) + (groups["rest"] or "")


def _without_pair(text: str) -> str:
    command = _COMMAND.match(text)
    if command and closing(text, command.end()) == len(text) - 1:
        return text[command.end() + 1 : -1]
    for start, end in _PAIRS:
        inside = text[len(start) : len(text) - len(end)]
        if text.startswith(start) and text.endswith(end) and trimmed(inside):
            return text if start in inside or end in inside else inside
    return text


def _bare(text: str) -> str:
    """The letter of "Option A" and {A}, unless there is another option."""
    option = _OPTION.match(text)
    if option and len(_OPTION.findall(text)) == 1:
        text = unmarked(_without_stars(text[option.end() :]))
    braced = _BRACED.fullmatch(text)
    return braced[1] if braced else text


def _fenced(text: str) -> str | None:
    """The content of the one code block that a text ends with."""
    parts = trimmed(text).split(_FENCE)
    if len(parts) != 3 or parts[2]:
        return None
    language = _LANGUAGE.match(parts[1])
    return parts[1][language.end() :] if language else parts[1]


def _json_answer(text: str) -> str | None:
    """The answer of an object such as {"answer": 5}, as it is written there."""
    text = trimmed(text)
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        pairs = json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    found = [value for key, value in pairs if key.lower() in _KEYS]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else None


def _boxed(text: str) -> Iterator[str]:
    """The contents of all boxes that are closed."""
    yield from (match[1] for match in _BOX_TOKENS.finditer(text))
    at = 0
    while match := _BOX.search(text, at):
        end = closing(text, match.end() - 1)
        if end < 0:
            return
        yield text[match.end() : end]
        at = end


def _announced(text: str) -> Iterator[str]:
    """What the lines that announce an answer name, and the line below such a heading."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if match := _LABEL.fullmatch(line):
            yield _without_stars(match["answer"])
        elif _HEADING.fullmatch(line):
            if below := _paragraph(lines[at + 1 : at + 5]):
                yield _without_stars(below)
        elif match := _HASHES.fullmatch(line):
            yield _without_stars(match["answer"] or match["number"])


def _paragraph(lines: Sequence[str]) -> str:
    """The first line that is not blank, if the next one is; else ""."""
    first = next((at for at, line in enumerate(lines) if trimmed(line)), None)
    if first is None or any(map(trimmed, lines[first + 1 : first + 2])):
        return ""
    return lines[first]


def _without_stars(text: str) -> str:
    return text.strip(" *_").removesuffix(".").strip(" *_")


def closing(text: str, start: int) -> int:
    """Where the brace that opens at `start` closes, or -1."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    return -1
