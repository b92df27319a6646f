"""Texts on which readers fail: nested thousands deep, huge, cut, of other scripts.

An untrained policy writes such texts, and a `json.loads` whose ValueError is caught raises
RecursionError on 1,200 brackets.
"""

import re
from collections.abc import Iterator, Sequence

from rftcore import tags

DEPTHS = (2_000, 60_000)
_OPENING = ("[", '{"a":', "(", "<think>")  # tried at both depths
_MORE = ("{", '[{"a": ', "f(", "((", "\\frac{", "<answer>", "</answer>", "<", "-", "**", "!")
_CLOSED = (("[", "]"), ("(", ")"), ("{", "}"), ('{"a":', "}"), ("<think>", "</think>"))
_LONG = 100_000
_ODD = {
    "5,000 digits": "1" * 5_000,
    "5,000 digits after the point": "0." + "1" * 5_000,
    "5,000 zeros": "0" * 5_000,
    "a huge exponent": "1e" + "9" * 5_000,
    "an overflow": "1e999",
    "a minus overflow": "-1e999",
    "a NaN": "NaN",
    "an infinity": "-Infinity",
    "5,000 digits over another": "1" * 5_000 + "/" + "0" * 5_000,
    "a division by zero": "1/0",
    "a lone surrogate": "\ud83d",
    "the other half": "\udc00",
    "5,000 halves of pairs": "\ud83d" * 5_000,
    "a NUL": "\x00",
    "5,000 NULs": "\x00" * 5_000,
    "a line of 100,000 characters": "x" * _LONG,
    "100,000 spaces": " " * _LONG,
    "100,000 line ends": "\n" * _LONG,
    "Arabic digits": "\u0663\u0664",
    "full-width digits": "\uff13\uff14",
    "a superscript": "\u00b2",
    "a circled digit": "\u2460",
    "5,000 combining marks": "e" + "\u0301" * 5_000,
    "a quote that is not closed": '"' + "a" * 5_000,
    "an escape that is cut": '"\\u12',
    "a lone backslash": "\\",
}


def hostile(golds: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Named texts of answers: by themselves, and in the place of a number or word of `golds`."""
    for piece in _OPENING:
        yield from ((f"{depth:,} times {piece}", piece * depth) for depth in DEPTHS)
    yield from ((f"{DEPTHS[0]:,} times {piece}", piece * DEPTHS[0]) for piece in _MORE)
    for start, end in _CLOSED:
        nested = start * DEPTHS[0] + "1" + end * DEPTHS[0]
        yield f"1 within {DEPTHS[0]:,} times {start} {end}", nested
    yield from _ODD.items()
    for gold in golds:
        yield from within(gold)


def within(gold: str) -> Iterator[tuple[str, str]]:
    """The text of an answer with its first number, and its first word, replaced by odd ones."""
    odd = {**_ODD, **{f"{DEPTHS[0]:,} times {piece}": piece * DEPTHS[0] for piece in _OPENING}}
    for pattern in (r"\d+(?:\.\d+)?", r"[^\W\d_]+"):
        found = re.search(pattern, gold)
        if found and found[0] != gold.strip():
            for name, text in odd.items():
                yield f"{gold!r} with {name}", gold[: found.start()] + text + gold[found.end() :]


def completions(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Completions that hold a text: alone, as the answer, and in an answer that never ends."""
    yield name, text
    yield f"{name} as the answer", tags.write("So.", text)
    yield f"{name} in an open answer", f"<think>So.</think><answer>{text}"
