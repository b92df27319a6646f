"""Completions that no honest policy writes: nested, cut, huge, of other scripts, explosive."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence

from rftcore import tags
from rftcore.rewards import attacks
from rftcore.testing.hostile import completions, hostile
from rftcore.testing.properties import NASTY

MOST = 1_000_000  # characters
# Of all but one in a hundred: what a policy can write, so that a campaign tries many
USUAL, LONG = 2_000, 0.01
SIZES = (10, 100, 1_000, 10_000, 50_000)  # the largest ones are rarer
TAGS = (
    *("<think>", "</think>", "<answer>", "</answer>", "<THINK>", "< answer >", "</ answer>"),
    *(
        "<answer",
        "answer>",
        "<answer/>",
        "<think\n>",
        '<answer a="\'>">',
        "<!--",
        "]]>",
        "<|im_end|>",
    ),
    *("</script>", "<script>", "&lt;answer&gt;", "\\boxed{", "```json\n", "#### "),
)
LATEX = (
    *("9^{9^{9^{9}}}", "10^{10^{10}}", "100000!", "((99999!)!)!", "(x+1)^{99999}", "2^{-9^{9^9}}"),
    *(
        r"\binom{10^9}{10^8}",
        r"\sum_{i=1}^{10^{12}} i^{i}",
        r"\prod_{k=1}^{10^9} k",
        r"\int_0^1 x^{x^x} dx",
    ),
    *(
        r"\sqrt[10^9]{10^{10^9}}",
        r"\frac{1}{0}",
        r"\frac{\frac{1}{0}}{0}",
        r"\log_{1}{0}",
        r"\tan(\pi/2)",
    ),
    *(
        r"\begin{pmatrix}1&2\\3\end{pmatrix}",
        r"\def\a{\a\a}\a",
        r"x=x=x",
        r"\left(\left[1\right)\right]",
    ),
    *(r"\text{5}", r"5\%", r"\$5", r"5^\circ", r"\infty-\infty", r"0^{0}", r"e^{i\pi}", r"1{,}000"),
)
NESTED = (
    (r"\frac{1}{", "}"),
    (r"\sqrt{", "}"),
    ("x^{", "}"),
    ("(", ")"),
    ("[", "]"),
    ("-", ""),
    ("|", "|"),
)
# Texts on which a pattern with two ways to match the same piece takes exponential time.
REDOS = (
    *(
        "a",
        "aa ",
        "1",
        "1,",
        "1 ",
        "1.",
        ", ",
        " ",
        "\t",
        "\n",
        "-",
        "- ",
        "+",
        "((",
        "<",
        "< ",
        "<a",
    ),
    *(
        '"',
        "\\",
        "=",
        "x=",
        "f(",
        "f(0, a), ",
        "<answer>1",
        "<answer></answer>",
        "or ",
        "A. ",
        "\u0663",
        "\u0301",
    ),
)


def completion(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    """A name and a completion. golds: canonical answers that right completions have."""
    [make] = rng.choices([make for make, _ in MAKERS], [often for _, often in MAKERS])
    name, text = make(rng, golds)
    return name, text[: MOST if rng.random() < LONG else USUAL]


def _grammar(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    pieces = (*TAGS, *NASTY, *golds, " ", "\n", "So ", "5", "-1.5", "A")
    chosen = rng.choices(pieces, k=rng.randrange(1, 40))
    return "tags and pieces in any order", "".join(chosen)


def _mutated(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    text = tags.write("I see a cube, so " * rng.randrange(1, 4), rng.choice(golds))
    names = []
    for _ in range(rng.randrange(1, 7)):
        change = rng.choice(CHANGES)
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.choice((0, 1, 1, 2, 5, 20)))
        text = (text[:at] + change(rng, text[at:to]) + text[to:])[:MOST]
        names.append(change.__name__.strip("_"))
    return f"a right completion, changed: {', '.join(names)}", text


def _library(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    name, text = rng.choice(list(hostile(rng.sample(list(golds), 1))))
    return rng.choice(list(completions(name, text)))


def _attack(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    right, *wrong = rng.sample(list(golds), min(len(golds), 6))
    return rng.choice(list(attacks.library(f"How many? {tags.REQUEST}", right, wrong)))


def _latex(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    inner = "".join(rng.choices((*LATEX, "+", "=", " ", *golds), k=rng.randrange(1, 6)))
    start, end = rng.choice(NESTED)
    depth = rng.choice((0, 0, 1, 10, 200, 5_000))
    text = start * depth + inner + end * (depth if rng.random() < 0.8 else 0)
    return f"LaTeX {inner[:60]!r} within {depth} times {start}", _placed(rng, text)


def _redos(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    piece, size = rng.choice((*REDOS, *TAGS)), rng.choice(SIZES)
    text = piece * (size // len(piece) + 1) + rng.choice(
        ("", "!", "\x00", "x", ">", rng.choice(golds))
    )
    return f"{size:,} characters of {piece!r}", _placed(rng, text)


def _number(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    digits = rng.choice("0123456789\u0663\uff13\u00b2") * rng.choice((1, 17, 400, 5_000, 100_000))
    forms = ("{}", "-{}", "{}.{}", "1e{}", "1e-{}", "{}/{}", "0x{}", "{}%", "1_{}", "{},{}", "{}.")
    return f"a number of {len(digits):,} digits", _placed(
        rng, rng.choice(forms).format(digits, digits)
    )


def _long(rng: random.Random, golds: Sequence[str]) -> tuple[str, str]:
    piece = rng.choice((*TAGS, *NASTY, *golds, "word ", "\n"))
    text = piece * (MOST // len(piece))
    return f"1 MB of {piece!r}", _placed(rng, text)


def _placed(rng: random.Random, text: str) -> str:
    """The text alone, as the answer, in the reasoning, or in an answer that never ends."""
    forms: tuple[Callable[[str], str], ...] = (
        lambda t: t,
        lambda t: tags.write("So.", t),
        lambda t: tags.write(t, "5"),
        lambda t: f"<think>So.</think><answer>{t}",
    )
    return rng.choice(forms)(text)


def _cut(rng: random.Random, piece: str) -> str:
    return ""


def _twice(rng: random.Random, piece: str) -> str:
    return piece * 2


def _many_times(rng: random.Random, piece: str) -> str:
    return piece * rng.choice((10, 1_000))


def _nasty(rng: random.Random, piece: str) -> str:
    return piece + rng.choice(NASTY)


def _tag(rng: random.Random, piece: str) -> str:
    return rng.choice(TAGS) + piece


def _random_characters(rng: random.Random, piece: str) -> str:
    return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x11_0000)))) for _ in piece)


def _other_form(rng: random.Random, piece: str) -> str:
    form = rng.choice(("NFC", "NFD", "NFKC", "NFKD"))
    return unicodedata.normalize(form, piece.translate(_WIDE if rng.random() < 0.5 else _BOLD))


def _other_case(rng: random.Random, piece: str) -> str:
    return piece.swapcase()


def _bidi(rng: random.Random, piece: str) -> str:
    return (
        rng.choice("\u202e\u202d\u2066\u2067\u200f") + piece + rng.choice(("", "\u202c", "\u2069"))
    )


_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_BOLD = {ord("0") + n: 0x1D7CE + n for n in range(10)}
CHANGES = (
    _cut,
    _twice,
    _many_times,
    _nasty,
    _tag,
    _random_characters,
    _other_form,
    _other_case,
    _bidi,
)
MAKERS = (
    *((_grammar, 12), (_mutated, 15), (_attack, 6), (_library, 4), (_latex, 8), (_redos, 8)),
    *((_number, 6), (_long, 1)),  # a completion of 1 MB takes about half a minute
)
