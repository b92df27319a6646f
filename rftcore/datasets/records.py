"""What a row of Reason-RFT-CoT and its kin says: fields in, one shape or all its faults out.

Three forms of a row are read. Problem, answer and reasoning by name:

    {"id": "c-1", "image": "c1.png", "problem": "How many?", "cot": "...", "answer": "3"}

the same for RL, with `solution` for the answer and no `cot`; and a dialogue
of one turn (ShareGPT), whose answer is bare or stands in tags after the reasoning:

    {"image": "c1.png", "messages": [{"role": "user", "content": "<image>How many?"},
                                     {"role": "assistant", "content": "<think>..."}]}
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rftcore import markup
from rftcore.datasets.pictures import leaves
from rftcore.errors import closest

PLACEHOLDER = "<image>"
QUESTION = ("problem", "problem_no_prompt", "question")  # the first that a row has
ANSWER = ("answer", "solution")
DIALOGUE = {"messages": ("role", "content"), "conversations": ("from", "value")}
_USER, _ASSISTANT = ("user", "human"), ("assistant", "gpt")
_OWN = {"id", "image", "images", "cot", *QUESTION[::2], *ANSWER, *DIALOGUE}  # the rest is meta
_SENTENCES = re.compile(r"((?<=[.!?])\s+|\s*\n\s*)")


class Fault(NamedTuple):
    """What is wrong with a row: its kind, and the words for it."""

    kind: str
    text: str


@dataclass(frozen=True)
class Record:
    """One row, whatever its form: the gold without tags, the reasoning without tags.

    `images` are paths as the row gives them; `said` is the answer that the
    reasoning came with, None if it came without.
    """

    id: str | None
    question: str
    gold: str
    images: tuple[str, ...]
    cot: str | None = None
    said: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


class _Bad(Exception):  # noqa: N818 - not an error: a fault on its way into the list
    def __init__(self, kind: str, text: str) -> None:
        self.fault = Fault(kind, text)


def record(fields: object, *, strip: bool = True) -> tuple[Record | None, list[Fault]]:
    """A row in one shape, or None and everything that is wrong with it.

    `strip`: leave out of the question what only asks for think and answer
    tags. The task's own prompt asks for them, in the same words in every
    phase; the paper's data asks in other words in SFT than in RL.
    """
    if not isinstance(fields, dict):
        kind = type(fields).__name__
        return None, [Fault("wrong field", f"a {kind}, but a row is a JSON object")]
    faults: list[Fault] = []
    parts: dict[str, Any] = {}
    try:
        said = _said(fields)
    except _Bad as bad:
        return None, [bad.fault]
    steps: dict[str, Callable[[], object]] = {
        "id": lambda: _id(fields),
        "images": lambda: _images(fields),
        "question": lambda: _question(said.question, strip=strip),
        "gold": lambda: _gold(said.answer),
        "cot": lambda: _cot(said.cot),
    }
    for name, step in steps.items():
        try:
            parts[name] = step()
        except _Bad as bad:
            faults.append(bad.fault)
    if "images" in parts and isinstance(said.question, str):
        faults += _placeholders(said, len(parts["images"]))
    if faults:
        return None, faults
    meta = {key: value for key, value in fields.items() if key not in _OWN}
    return Record(**parts, said=_conclusion(said.cot), meta=meta), []


class _Said(NamedTuple):
    """The texts of a row as they stand in it."""

    question: object
    answer: object
    cot: object
    dialogue: bool


def _said(fields: Mapping[str, Any]) -> _Said:
    form = next((name for name in DIALOGUE if name in fields), None)
    if form:
        asked, said = _turns(form, fields[form])
        return _Said(asked, said, said if markup.has_tags(said) else None, True)
    question = _present(fields, QUESTION)
    answers = [fields[name] for name in ANSWER if fields.get(name) is not None]
    if len({_plain(answer) for answer in answers}) > 1:
        raise _Bad("gold", f"answer {answers[0]!r} and solution {answers[1]!r} differ")
    return _Said(question, _present(fields, ANSWER), fields.get("cot"), False)


def _turns(form: str, turns: object) -> tuple[str, str]:
    """What the user asks and what the assistant answers."""
    who, what = DIALOGUE[form]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise _Bad("wrong field", f"{form} is not a list of turns")
    said = [turn for turn in turns if turn.get(who) != "system"]
    roles = [str(turn.get(who)) for turn in said]
    if len(said) != 2 or roles[0] not in _USER or roles[1] not in _ASSISTANT:
        told = ", ".join(roles) or "nobody"
        raise _Bad("wrong field", f"{form}: turns of {told}; use one user's, then one assistant's")
    question, answer = (turn.get(what) for turn in said)
    if not isinstance(question, str) or not isinstance(answer, str):
        raise _Bad("wrong field", f"{form}: {what} is not text")
    return question, answer


def _present(fields: Mapping[str, Any], names: tuple[str, ...]) -> object:
    for name in names:
        if fields.get(name) is not None:
            return fields[name]
    return None


def _plain(answer: object) -> str:
    text = str(answer)
    try:
        return markup.answers(text)[-1].strip()
    except markup.NoAnswerError:
        return text.strip()


def _id(fields: Mapping[str, Any]) -> str | None:
    name = fields.get("id")
    if name is None:
        return None
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise _Bad("wrong field", f"id {name!r} is neither text nor a number")
    return str(name)


def _images(fields: Mapping[str, Any]) -> tuple[str, ...]:
    given = [fields[name] for name in ("image", "images") if fields.get(name) is not None]
    if not given:
        raise _Bad("missing field", f"no 'image'.{closest('image', fields)}")
    if len(given) > 1 and _listed(given[0]) != _listed(given[1]):
        raise _Bad("wrong field", "'image' and 'images' differ: give one of them")
    names = _listed(given[0])
    if not names:
        raise _Bad("missing field", "'image' is an empty list")
    for name in names:
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise _Bad("wrong field", f"image {name!r} is not a path")
        if leaves(name):
            raise _Bad("path", f"image {name!r} leaves the folder: use a relative path without ..")
    return tuple(names)


def _listed(images: Any) -> list[Any]:
    return images if isinstance(images, list) else [images]


def _question(text: object, *, strip: bool) -> str:
    if text is None:
        raise _Bad("missing field", "no 'problem'")
    if not isinstance(text, str):
        raise _Bad("wrong field", f"problem {text!r} is not text")
    pieces = text.split(PLACEHOLDER)
    if strip and pieces[-1].strip() and any(map(markup.has_tags, pieces[:-1])):
        pieces = pieces[-1:]  # a page of instructions, the pictures, then the question
    question = "\n".join(piece.strip() for piece in pieces if piece.strip())
    question = _without_request(question) if strip else question
    if not question:
        raise _Bad("missing field", f"problem {text!r} asks nothing")
    return question


def _without_request(text: str) -> str:
    """The text without its sentences that name think or answer tags."""
    if not markup.has_tags(text):
        return text
    parts = ["", *_SENTENCES.split(text)]  # each sentence after the space before it
    pairs = zip(parts[::2], parts[1::2], strict=True)
    kept = [space + sentence for space, sentence in pairs if not markup.has_tags(sentence)]
    return "".join(kept).strip()


def _gold(answer: object) -> str:
    if answer is None:
        raise _Bad("missing field", "no 'answer' and no 'solution'")
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise _Bad("wrong field", f"answer {answer!r} is neither text nor a number")
    try:
        found = {text.strip() for text in markup.answers(str(answer))}
    except markup.NoAnswerError as reason:
        raise _Bad("gold", f"answer {_short(answer)}: {reason}") from None
    if len(found) > 1:
        raise _Bad("gold", f"answer {_short(answer)} has answer blocks that say different things")
    gold = found.pop()
    if not gold:
        raise _Bad("missing field", f"answer {_short(answer)} is empty")
    return gold


def _cot(cot: object) -> str | None:
    if cot is None:
        return None
    if not isinstance(cot, str):
        raise _Bad("wrong field", f"cot {cot!r} is not text")
    try:
        return markup.reasoning(cot) or None
    except markup.NoAnswerError as reason:
        raise _Bad("cot", f"cot {_short(cot)}: {reason}") from None


def _conclusion(cot: object) -> str | None:
    if not isinstance(cot, str) or not markup.has_tags(cot):
        return None
    try:
        return markup.answers(cot)[-1].strip()
    except markup.NoAnswerError:
        return None


def _placeholders(said: _Said, images: int) -> list[Fault]:
    """A dialogue says where its pictures stand; elsewhere it may."""
    marks = str(said.question).count(PLACEHOLDER)
    if marks == images or not (marks or said.dialogue):
        return []
    text = f"{marks} {PLACEHOLDER} in the text, but images: {images}"
    return [Fault("placeholders", text)]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
