"""Image marks in a question's text.

A prompt has the images first, then the text. So a mark at the start or end of the text is
removed, and a mark inside it becomes the image's name: "Which of image 1 and image 2 is bigger?"
"""

import re
from collections.abc import Callable, Iterator, Mapping

from rftcore.datasets.rows.faults import Fault

MARK = "<image>"
# Marks of an image, a video or audio for other families of models, and variants.
_FOREIGN = re.compile(
    r"<[|_/\s]*(?:(?:start|begin|end|global|fake_token_around)[_-]?(?:of_)?)?"
    r"(?:images?|img|pic|picture|video|audio|vision|speech|point_?cloud"
    r"|im(?=_(?:patch|start|end)))"
    r"(?:[\s_-]*(?:\d+|pad|bos|eos|start|end|token|soft|placeholder|patch|context|here|break|global"
    r"|content|feature|newline))*[|_/\s]*>"
    r"|<(?:ref-object|bbox)>"
    r"|\[(?:IMG|IMAGE|VIDEO)(?:_?(?:BREAK|END|\d+))?\]",
    re.IGNORECASE,
)
# After a mark that begins a sentence: "<image> shows", "<image>, taken at night"
_GOES_ON = re.compile(
    r"[ \t]*[,;:)'\u2019]|[ \t]+(?:and|or|vs|versus|to|then|is|are|was|were|has|have|shows?"
    r"|contains?|depicts?|displays?|illustrates?|represents?)\b"
)
# Before a mark that ends a sentence: "What is shown in <image>", "Image: <image>"
_WAITS = re.compile(
    r"(?:[:,(=]|\b(?:an?|the|this|that|these|those|in|of|at|on|from|and|or|with|to|into|than|between"
    r"|by|for|is|are|see|vs|like|as|image|picture|figure|photo|diagram))[ \t]*$",
    re.IGNORECASE,
)
_TURN = ("im_start", "im_end")


def foreign(text: str) -> str:
    """The first mark of another family of models, or another spelling of `MARK`; else ""."""
    if "<" not in text and "[" not in text:
        return ""
    return next((found[0] for found in _FOREIGN.finditer(text) if found[0] != MARK), "")


def placed(text: str, page: Callable[[str], bool] | None = None) -> str:
    """The text without its marks, or with names in their places where a word would be missing.

    `page` decides whether the text before all images is a block of instructions, which is
    removed.
    """
    pieces = text.split(MARK)
    full = [at for at, piece in enumerate(pieces) if piece.strip()]
    if page is not None and len(full) == 2 and full[0] == 0 and page(pieces[0]):
        pieces[0], full = "", full[1:]
    if not full:
        return ""
    first, last = pieces[full[0]], pieces[full[-1]]
    before, behind = full[0] > 0, full[-1] < len(pieces) - 1
    if len(full) == 1:
        if not (before and _GOES_ON.match(first)) and not (behind and _WAITS.search(first)):
            return first.strip()
    elif len(full) == 2 and not before and not behind and _apart(first, last):
        return f"{first.strip()}\n{last.strip()}"
    return _named(pieces)


def _apart(before: str, behind: str) -> bool:
    """Whether the marks between two texts are on their own lines and not part of a sentence."""
    line = before.rstrip(" \t")
    return (
        line.endswith("\n") and not line.rstrip().endswith(":") and behind.lstrip(" \t")[:1] == "\n"
    )


def _named(pieces: list[str]) -> str:
    text = pieces[0]
    for number, piece in enumerate(pieces[1:], 1):
        text += f"{' ' * text[-1:].isalnum()}image {number}{' ' * piece[:1].isalnum()}{piece}"
    return text.strip()


def mark_faults(texts: Mapping[str, object], images: int) -> Iterator[Fault]:
    """Image marks whose number differs from that of the images, or of another family of models.

    texts: those of a row as given: question, answer and cot.
    """
    count = str(texts["question"]).count(MARK)
    if count and count != images:
        yield Fault("placeholders", f"{count} {MARK} in the text, but images: {images}")
    for name, text in texts.items():
        mark = foreign(text) if isinstance(text, str) else ""
        if not mark and name != "question" and isinstance(text, str) and MARK in text:
            yield Fault("placeholders", f"{MARK} in the {name}: it belongs in the question")
        elif mark.strip("<|>") in _TURN:
            yield Fault(
                "placeholders", f"{mark!r} in the {name} is a chat template token: remove it"
            )
        elif mark:
            hint = f"write {MARK} in the question where an image belongs; videos are not supported"
            yield Fault(
                "placeholders", f"{mark!r} in the {name} is an image mark of other models: {hint}"
            )
