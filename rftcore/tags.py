"""The think and answer tags: the request for them, and how they are written, checked and found.

The only module with their syntax, so that the targets of SFT, the format reward and the
parsers cannot differ.
"""

import re
from collections.abc import Sequence
from functools import cache

from rftcore import spelling

THINK, ANSWER = "think", "answer"
REQUEST = "Think in <think> </think>, then answer in <answer> </answer>."


@cache
def _tag(*names: str) -> re.Pattern[str]:
    """Any spelling of a tag counts as a tag: upper case, spaces, attributes.

    Possessive quantifiers, because completions may be long and hostile: no
    backtracking, linear time.
    """
    return re.compile(
        rf"<\s*+(?P<close>/?)\s*+(?P<name>{'|'.join(names)})\b[^<>]*+>", re.IGNORECASE
    )


_TAG = _tag(THINK, ANSWER)
_FOREIGN = re.compile(
    r"<\s*+/?\s*+(?:thinking|thoughts?|reasoning|rationale|scratchpad|conclusion)\b[^<>]*+>"
    r"|<\|(?:begin|end)_of_(?:thought|solution|box)\|>|\[/?THINK\]",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"<\s*+/?\s*+(?P<name>[A-Za-z]*+)[^<>]*+\Z")


class NoAnswerError(Exception):
    """Why a text contains no answer; the parsers return it as a parse error."""


def write(reasoning: str, answer: str) -> str:
    """The target of SFT. Expects: no tags in the pieces (see `has_tags`)."""
    return f"<think>\n{reasoning}\n</think>\n<answer>\n{answer}\n</answer>"


def has_tags(text: str) -> bool:
    """Whether `text` contains a think or answer tag in any spelling."""
    return _TAG.search(text) is not None


def foreign_tag(text: str) -> str:
    """The first tag of `text` by which other formats mark reasoning, such as <thinking>; or ""."""
    found = _FOREIGN.search(text)
    return found[0] if found else ""


def tags_of(text: str) -> list[str]:
    """Every think and answer tag of `text`, in order and as written there."""
    return [tag[0] for tag in _TAG.finditer(text)]


def is_well_formed(text: str, blocks: Sequence[str] = (THINK, ANSWER)) -> bool:
    """Whether `text` is one block of each name, in this order, each with content.

    White space around the blocks is ignored, and invisible characters count as white space.
    Anything else outside the blocks, a further or nested tag of these names, and any other
    spelling of such a tag make the text ill-formed.
    """
    tags = list(_tag(*blocks).finditer(text))
    if [tag[0] for tag in tags] != [f"<{end}{name}>" for name in blocks for end in ("", "/")]:
        return False
    edges = [0, *(edge for tag in tags for edge in tag.span()), len(text)]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    pieces = [spelling.trimmed(text[start:end]) for start, end in pairs]
    outside, inside = pieces[::2], pieces[1::2]
    return all(inside) and not any(outside)


def answers(text: str) -> list[str]:
    """The contents of the answer blocks after the reasoning, in order; at least one.

    Reasoning ends with the last closing think tag, so nothing in it is read as
    an answer, wherever it was opened. The text after it, if without tags, is
    a single answer, and so is a text without any tag: only the format reward
    scores the form.
    Raises: NoAnswerError for reasoning left open and for answer tags that are
    missing, nested or unclosed.
    """
    tags = list(_TAG.finditer(text))
    if not tags:
        return [text]
    thinks = [at for at, tag in enumerate(tags) if tag["name"].lower() == THINK]
    if thinks and not tags[thinks[-1]]["close"]:
        raise NoAnswerError("the reasoning is not closed")
    after = tags[thinks[-1] + 1 :] if thinks else tags
    if not after:
        rest = text[tags[-1].end() :]
        if not spelling.trimmed(rest) or _is_cut_off(rest):
            raise NoAnswerError("no answer after the reasoning")
        return [rest]
    if any(bool(tag["close"]) != bool(at % 2) for at, tag in enumerate(after)) or len(after) % 2:
        raise NoAnswerError("answer tags are nested or unclosed")
    return [
        text[start.end() : end.start()] for start, end in zip(after[::2], after[1::2], strict=True)
    ]


def _is_cut_off(text: str) -> bool:
    """Whether a text ends in the middle of a think or answer tag."""
    start = _UNFINISHED.search(text)
    name = start["name"].lower() if start else None
    return name is not None and (THINK.startswith(name) or ANSWER.startswith(name))


def opened(prompt: str) -> str:
    """The tag that a rendered prompt leaves open at its end, with the white space after it.

    Chat templates of thinking models end with it: "<|assistant|><think>\\n". Without it: "".
    """
    tags = list(_TAG.finditer(prompt))
    last = tags[-1] if tags else None
    if last is None or last["close"] or prompt[last.end() :].strip():
        return ""
    return prompt[last.start() :]


def after_prompt(opening: str, completion: str) -> str:
    """A completion with the tag that its prompt has `opened`, unless it opens its own.

    So the same text is scored, stored and scored again.
    """
    first = _TAG.match(completion.lstrip())
    return completion if first and not first["close"] else opening + completion


def without_opening(opening: str, completion: str) -> str:
    """A completion without the tag that its prompt has `opened`: the rest is what follows it."""
    for start in (opening, opening.strip()):
        if start and completion.startswith(start):
            return completion[len(start) :]
    return completion


def reasoning(text: str) -> str:
    """The reasoning in a chain of thought that may or may not have been written with tags.

    Without tags: all of it. With them: the one think block, wherever it was
    opened and even if the answer block alone ends it.
    Raises: NoAnswerError for several think blocks and for tags inside the reasoning.
    """
    tags = list(_TAG.finditer(text))
    thinks = [tag for tag in tags if tag["name"].lower() == THINK]
    opened = [tag for tag in thinks if not tag["close"]]
    closed = [tag for tag in thinks if tag["close"]]
    if len(opened) > 1 or len(closed) > 1:
        raise NoAnswerError("several think blocks")
    start = opened[0].end() if opened else 0
    ends = closed or [tag for tag in tags if tag.start() >= start]
    inner = text[start : ends[0].start()] if ends else text[start:]
    if has_tags(inner) or (ends and ends[0].start() < start):
        raise NoAnswerError("tags inside the reasoning, or a think block closed before it opens")
    return inner.strip()
