"""One row of a file: from its fields to one record, or to all its faults.

Both readers, of one file and of a folder, use this. A row has one of three forms. Question,
answer and reasoning by name:

    {"id": "c-1", "image": "c1.png", "problem": "How many?", "cot": "...", "answer": "3"}

the same for RL, with `solution` for the answer and no `cot`; and a dialogue of one turn
(ShareGPT, ms-swift), whose answer is bare or in tags after the reasoning, or in `solution`:

    {"image": "c1.png", "messages": [{"role": "user", "content": "<image>How many?"},
                                     {"role": "assistant", "content": "<think>..."}]}

A field that is null is absent.
"""

import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from rftcore import tags
from rftcore.datasets.image_paths import is_outside
from rftcore.datasets.marks import MARK, foreign, placed
from rftcore.datasets.streams import DuplicateKey
from rftcore.errors import closest
from rftcore.splits import OOD_PREFIX, RL, SFT, STANDARD, VAL, is_known

DIALOGUE = {"messages": ("role", "content"), "conversations": ("from", "value")}
RESPONSE = "response"  # beside `query`: the answer, after its reasoning if that has tags
DEEPEST = 100  # levels of lists and objects in a row
LONGEST_NAME, LONGEST_PATH = 255, 4000  # bytes: the limits of common file systems
_USER, _ASSISTANT = ("user", "human"), ("assistant", "gpt")
_KNOWN = {"id", "image", "images", "cot", "split", "problem", "problem_no_prompt", "question"}
_KNOWN |= {"query", "answer", "solution", RESPONSE, *DIALOGUE}
_IMAGE_LIKE = re.compile(r"im(a)?ge?s?|pictures?|photos?|pixels?|videos?|audios?|frames?", re.I)
_IMAGE_FILE = re.compile(
    r"[^\n]{1,250}\.(?:png|jpe?g|webp|bmp|gif|tiff?|heic|avif|jp2)|data:image/.*", re.I | re.S
)
_NUMBERED = re.compile(r"(?:im(?:a)?ge?|picture|photo)s?[_ -]?\d+", re.I)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s=-]{200,}")
_SPLITS = dict.fromkeys(("train", "training"), f"{RL}, or {SFT} where there is a cot")
_SPLITS |= dict.fromkeys(("validation", "valid", "dev", "eval"), VAL)
_TURN = ("im_start", "im_end")
_KEEP = "--set dataset.instructions=keep leaves questions unchanged"

# Names of the question and its answer in other trainers and labeling tools
_QUESTION_NAMES = {
    "question",
    "problem",
    "query",
    "prompt",
    "instruction",
    "input",
    "user",
    "human",
}
_ANSWER_NAMES = {
    "answer",
    "answers",
    "solution",
    "output",
    "completion",
    "response",
    "label",
    "target",
}
_ANSWER_NAMES |= {
    "gold",
    "ground_truth",
    "groundtruth",
    "gt",
    "gt_answer",
    "reference",
    "assistant",
}
# Names of the reasoning before the answer
_REASONING_NAMES = {"reasoning", "reasoning_content", "rationale", "explanation", "think"}
_REASONING_NAMES |= {"thinking", "thought", "thoughts", "chain_of_thought", "chainofthought"}
_REASONING_NAMES |= {"reasoning_steps", "cot"}  # cot: in capitals

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60
_repr.maxlevel, _repr.maxdict, _repr.maxlist = 2, 3, 3


class Fault(NamedTuple):
    """What is wrong with a row: its kind, and a text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Form:
    """Names of fields by precedence: a reader uses the first that a row has.

    `agree`: `answer` and `solution` must not differ, and a dialogue takes precedence over named
    fields. Otherwise the fields that are not used go into `meta`.
    """

    question: tuple[str, ...]
    answer: tuple[str, ...] = ("answer", "solution", RESPONSE)
    agree: bool = False
    splits: bool = False  # a row may name its split


FOLDER = Form(("problem", "problem_no_prompt", "question", "query"), agree=True)
FILE = Form(("question", "problem", "problem_no_prompt", "query"), splits=True)


@dataclass(frozen=True)
class Record:
    """One row, whatever its form: gold and reasoning without tags.

    `images` are paths as the row gives them; `concluded` is the answer at the end of the
    reasoning, None if there is none; `split` is "" if the row names none.
    """

    id: str | None
    question: str
    gold: str
    images: tuple[str, ...]
    cot: str | None = None
    concluded: str | None = None
    split: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


class _FaultFound(Exception):  # noqa: N818 - caught in this module
    def __init__(self, kind: str, text: str) -> None:
        self.fault = Fault(kind, text)


def record(
    fields: object, *, form: Form = FOLDER, strip: bool = True
) -> tuple[Record | None, list[Fault]]:
    """The record of a row, or None and every fault of the row.

    `strip`: leave out of the question what only requests think and answer tags. The task's
    prompt requests them, in the same words in every phase; the paper's data uses one wording
    in SFT and another in RL.
    """
    if not isinstance(fields, dict):
        return None, [Fault("wrong field", f"{_short(fields)}, but a row must be a JSON object")]
    if unfit := next(_unfit(fields), None):
        return None, [unfit]
    if fields and not _KNOWN & {*fields} and all(map(_are_rows, fields.values())):
        text = (
            f"{_names(fields)} contain lists of rows: write one row per line, each with its `split`"
        )
        return None, [Fault("wrong field", f"{text}, or one file per split")]
    faults: list[Fault] = []
    parts: dict[str, Any] = {}
    try:
        texts = _texts_of(fields, form)
    except _FaultFound as bad:
        return None, [bad.fault]
    steps: dict[str, Callable[[], object]] = {
        "id": lambda: _id(fields),
        "images": lambda: _images(fields),
        "question": lambda: _question(texts.question, fields, form, strip=strip),
        "gold": lambda: _gold(texts.answer, fields),
        "cot": lambda: _cot(texts.cot),
        "split": lambda: _split(fields) if form.splits else "",
    }
    for name, step in steps.items():
        try:
            parts[name] = step()
        except _FaultFound as bad:
            faults.append(bad.fault)
    if "images" in parts and isinstance(texts.question, str):
        faults += _marks(texts, len(parts["images"]))
    if faults:
        return None, faults
    own = {"id", "image", "images", "cot", *texts.names, *(("split",) if form.splits else ())}
    meta = {key: value for key, value in fields.items() if key not in own}
    return Record(**parts, concluded=_conclusion(texts.cot), meta=meta), []


def reasoning_hint(meta: Mapping[str, Any]) -> str:
    """A hint if a row without `cot` has its reasoning under another name; else ""."""
    for key, value in meta.items():
        known = isinstance(key, str) and re.sub(r"[ -]", "_", key.lower()) in _REASONING_NAMES
        if known and isinstance(value, str | list) and _given(value) and value != []:
            return f"{key!r} is not read as the reasoning: rename it to 'cot'"
    return ""


def _unfit(fields: dict[str, Any]) -> Iterator[Fault]:
    """Values that JSON cannot represent or that are ambiguous: lone surrogates, NaN, deep nesting,
    duplicate keys.
    """
    stack: list[tuple[str, Any, int]] = [("", fields, 0)]
    while stack:
        where, value, depth = stack.pop()
        if isinstance(value, str):
            if not value.isascii() and (bad := lone_surrogate(value)):
                yield Fault("wrong field", f"{where or 'a key'} contains a lone surrogate, {bad}")
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield Fault("wrong field", f"{where} is {value}: JSON has no such number, use null")
        elif depth > DEEPEST:
            yield Fault("wrong field", f"{where} is nested more than {DEEPEST} levels deep")
        elif isinstance(value, dict):
            if isinstance(value, DuplicateKey):
                yield Fault("wrong field", f"{value.name!a:.40} occurs twice in one object")
            stack += [("", key, depth) for key in value]
            named = ((where or f"{key!a:.40}", item) for key, item in value.items())
            stack += [(name, item, depth + 1) for name, item in reversed(list(named))]
        elif isinstance(value, list):
            stack += [(where, item, depth + 1) for item in reversed(value)]


def lone_surrogate(text: str) -> str:
    """The first lone surrogate (half of a surrogate pair) in a text, escaped; else ""."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[error.start].encode("ascii", "backslashreplace").decode()
    return ""


class _Texts(NamedTuple):
    """The values of a row's texts as given, and the names of their fields."""

    question: object
    answer: object
    cot: object
    names: tuple[str, ...]


def _texts_of(fields: Mapping[str, Any], form: Form) -> _Texts:
    name, question = _first_given(fields, form.question)
    answers = [each for each in form.answer if fields.get(each) is not None]
    found = fields[answers[0]] if answers else None
    cot = fields.get("cot")
    dialogue = next((each for each in DIALOGUE if fields.get(each) is not None), "")
    if dialogue and (form.agree or question is None):
        question, answer = _turns(dialogue, fields[dialogue], complete=not answers)
        if not _given(cot) and not tags.has_tags(answer or ""):
            _check_no_hidden_reasoning(dialogue, fields[dialogue])
        if answer is None:
            return _Texts(question, found, cot, (dialogue, answers[0]))
        reasoned = answer if tags.has_tags(answer) else cot
        return _Texts(question, answer, reasoned, (dialogue, *answers))
    plain = [each for each in answers if each != RESPONSE]
    if form.agree and len({_plain(fields[each]) for each in plain}) > 1:
        one, two = (_short(fields[each]) for each in plain[:2])
        raise _FaultFound("gold", f"answer {one} and solution {two} differ")
    response = fields.get(RESPONSE) if name == "query" else None
    if not _given(cot) and isinstance(response, str) and tags.has_tags(response):
        cot = response
    used = plain if form.agree and plain else answers[:1]
    return _Texts(question, found, cot, (name, *used, *((RESPONSE,) if response else ())))


def _turns(form: str, turns: object, *, complete: bool) -> tuple[str, str | None]:
    """The texts of the user turn and the assistant turn, None where that is in another field."""
    who, what = DIALOGUE[form]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise _FaultFound("wrong field", f"{form} must be a list of turns")
    dialogue = [turn for turn in turns if turn.get(who) != "system"]
    roles = [_short(turn.get(who)).strip("'") for turn in dialogue]
    wanted = (_USER, _ASSISTANT) if complete or len(dialogue) != 1 else (_USER,)
    if len(dialogue) != len(wanted) or any(r not in w for r, w in zip(roles, wanted, strict=True)):
        found = f"turns of {', '.join(roles[:5])}" if roles else "no turns"
        hint = "one user turn and one assistant turn, or one user turn and a `solution`"
        raise _FaultFound("wrong field", f"{form}: expected {hint}, got {found}")
    texts = [_turn_text(form, what, turn.get(what)) for turn in dialogue]
    return texts[0], texts[1] if len(texts) == 2 else None


def _check_no_hidden_reasoning(form: str, turns: list[dict[str, Any]]) -> None:
    for turn in turns:
        if found := [key for key in turn if key.lower() in _REASONING_NAMES and _given(turn[key])]:
            write = "write it as 'cot' of the row, or in <think> </think> before the answer"
            raise _FaultFound("wrong field", f"{form}: {found[0]!r} of a turn is ignored: {write}")


def _turn_text(form: str, what: str, content: object) -> str:
    """The text of a turn; its parts are joined, with a mark for each image."""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        if any({"image", "image_url", "url", "path"} & {*_filled(part)} for part in content):
            hint = 'list the paths in \'images\', and write {"type": "image"} in their places'
            raise _FaultFound("wrong field", f"{form}: an image inside a part is ignored: {hint}")
        texts = [MARK if part.get("type") == "image" else part.get("text") for part in content]
        content = "".join(texts) if all(isinstance(text, str) for text in texts) else None
    if not isinstance(content, str):
        raise _FaultFound("wrong field", f"{form}: {what} must be text")
    return content


def _filled(part: Mapping[str, Any]) -> list[str]:
    return [key for key, value in part.items() if value is not None]


def _first_given(fields: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, object]:
    for name in names:
        if fields.get(name) is not None:
            return name, fields[name]
    return "", None


def _given(value: object) -> bool:
    """Whether a value is neither null nor blank text."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def _plain(answer: object) -> str:
    text = answer if isinstance(answer, str) else _short(answer)
    try:
        return tags.answers(text)[-1].strip()
    except tags.NoAnswerError:
        return text.strip()


def _id(fields: Mapping[str, Any]) -> str | None:
    name = fields.get("id")
    if not _given(name):
        return None
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise _FaultFound("wrong field", f"id {_short(name)} must be text or a number")
    return str(name)


def _split(fields: Mapping[str, Any]) -> str:
    split = fields.get("split")
    if not _given(split):
        return ""
    if isinstance(split, str) and is_known(split):
        return split
    hint = ""
    if isinstance(split, str):
        other = _SPLITS.get(split.strip().lower())
        hint = f". For {split!r} use {other}" if other else closest(split, STANDARD)
    offered = f"use {', '.join(STANDARD)} or {OOD_PREFIX}...{hint}"
    raise _FaultFound("wrong field", f"split {_short(split)}: {offered}")


# --- images -------------------------------------------------------------------


def _images(fields: Mapping[str, Any]) -> tuple[str, ...]:
    given = [fields[name] for name in ("image", "images") if fields.get(name) not in (None, [])]
    if not given:
        _no_images(fields)
        return ()
    if len(given) > 1 and _listed(given[0]) != _listed(given[1]):
        raise _FaultFound("wrong field", "'image' and 'images' differ: use one of them")
    numbered = [key for key, value in fields.items() if _NUMBERED.fullmatch(key) and value]
    if numbered and any(map(_holds_image, (fields[key] for key in numbered))):
        text = f"the image in {_short(numbered[0])} is ignored: list all paths in 'images'"
        raise _FaultFound("wrong field", text)
    return tuple(map(_checked_path, _listed(given[0])))


def _no_images(fields: Mapping[str, Any]) -> None:
    """Raise unless the row has no image at all, so that its question is text only."""
    others = [
        key
        for key, value in fields.items()
        if key not in _KNOWN and isinstance(value, str | list | dict) and value
    ]
    like = [key for key in others if any(map(_IMAGE_LIKE.fullmatch, re.split(r"\W|_", key)))]
    like += [key for key in others if _holds_image(fields[key])]
    hint = closest("image", others) or (f" Did you mean {like[0]!r}?" if like else "")
    if hint:
        raise _FaultFound("missing field", f"no 'image'.{hint}")


def _holds_image(value: object) -> bool:
    """Whether a value is the path of an image file, its bytes, or a list of those."""
    if isinstance(value, list):
        return bool(value) and all(map(_holds_image, value))
    if isinstance(value, dict):
        return {*value} == {"bytes", "path"}
    return isinstance(value, str) and _IMAGE_FILE.fullmatch(value) is not None


def _listed(images: object) -> list[object]:
    """The paths of images; `datasets` writes one as {"path": PATH, "bytes": null}."""
    names = images if isinstance(images, list) else [images]
    return [_path(name) if isinstance(name, dict) else name for name in names]


def _path(name: dict[str, Any]) -> object:
    given = {key: value for key, value in name.items() if value is not None}
    return given["path"] if {*given} == {"path"} else name


def _checked_path(name: object) -> str:
    if isinstance(name, dict):
        raise _FaultFound("wrong field", f"image {_short(name)} is not a path{_TO_FILE}")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise _FaultFound("wrong field", f"image {_short(name)} is not a path")
    if name[:5].lower() == "data:":
        raise _FaultFound("wrong field", f"image {_short(name)} is a data URI{_TO_FILE}")
    if _URL.match(name):
        fetch = ": images must be files; download it and give the path of its file"
        raise _FaultFound("wrong field", f"image {_short(name)} is a URL{fetch}")
    if _BASE64.fullmatch(name):
        raise _FaultFound("wrong field", f"image {_short(name)} appears to be base64{_TO_FILE}")
    sizes = [len(part.encode()) for part in PurePosixPath(name).parts]
    if sum(sizes) > LONGEST_PATH or max(sizes, default=0) > LONGEST_NAME:
        raise _FaultFound("wrong field", f"image {_short(name)} is too long for a path")
    if is_outside(name):
        inside = "use a relative path inside it"
        raise _FaultFound("path", f"image {name!r} is outside the folder: {inside}")
    return name


_TO_FILE = ": images must be files; write the bytes to a file and give its path"


# --- texts --------------------------------------------------------------------


def _question(text: object, fields: Mapping[str, Any], form: Form, *, strip: bool) -> str:
    if not _given(text):
        raise _FaultFound("missing field", _no_question(fields, form))
    if not isinstance(text, str):
        hint = "; write one object per row, not a list per column"
        if isinstance(text, list) and text and all(map(_is_turn, text)):
            hint = ", but it is a list of turns: name the field 'messages'"
        elif not isinstance(text, list | dict):
            hint = ""
        raise _FaultFound("wrong field", f"{form.question[0]} {_short(text)} must be text{hint}")
    question = placed(text, page=tags.has_tags if strip else None)
    if not question:
        raise _FaultFound("missing field", f"the question {_short(text)} is empty")
    return _without_request(question) if strip else question


def _no_question(fields: Mapping[str, Any], form: Form) -> str:
    unknown = [key for key in fields if key not in _KNOWN]
    for key in unknown:
        if key.lower() in _QUESTION_NAMES:
            turns = isinstance(fields[key], list) and all(map(_is_turn, fields[key]))
            wanted = "messages" if turns else form.question[0]
            return f"no {form.question[0]!r}. Rename {key!r} to {wanted!r}"
    unknown = [key for key in unknown if key.lower() not in _ANSWER_NAMES | _REASONING_NAMES]
    hints = (closest(name, unknown) for name in form.question)
    found = f" The row has {_names(fields)}." if fields else ""
    return f"no {form.question[0]!r}.{next(filter(None, hints), found)}"


def _is_turn(value: object) -> bool:
    return isinstance(value, dict) and any({*names} <= {*value} for names in DIALOGUE.values())


def _names(keys: Iterable[str]) -> str:
    return ", ".join(key[:30] if key.isprintable() else _short(key) for key in [*keys][:8])


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


# Ends of sentences. A letter may follow "?" at once; after "." only a capital, for 3.5 and e.g.
_SENTENCES = re.compile(
    r"((?<=[.!?])\s+|\s*\n\s*|(?<=[\u3002\uff1f\uff01\uff1b])\s*|(?<=[!?])(?=[^\W\d_])|(?<=[a-z0-9][.])(?=[A-Z]))"
)


def _without_request(text: str) -> str:
    """The text without the sentences that mention think or answer tags."""
    if not tags.has_tags(text):
        return text
    parts = ["", *_SENTENCES.split(text)]  # each sentence after the space before it
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    kept = "".join(s + sentence for s, sentence in pairs if not tags.has_tags(sentence)).strip()
    cut = [sentence for _, sentence in pairs if tags.has_tags(sentence)]
    if not kept:
        every = "every sentence mentions think or answer tags, and such sentences are removed"
        raise _FaultFound(
            "missing field", f"the question {_short(text)} is empty: {every}. {_KEEP}"
        )
    if any(map(_is_question, cut)) and not _is_question(kept):
        reason = (
            "the sentence with the question also mentions think or answer tags and would be removed"
        )
        raise _FaultFound("wrong field", f"the question {_short(text)}: {reason}. {_KEEP}")
    return kept


def _is_question(text: str) -> bool:
    return "?" in text or "\uff1f" in text


def alias(names: Iterable[str], field: str) -> str:
    """The first of some names that other trainers use for the question or the answer, or ""."""
    known = _QUESTION_NAMES if field == "question" else _ANSWER_NAMES
    return next((name for name in names if name.lower() in known and name not in _KNOWN), "")


def _gold(answer: object, fields: Mapping[str, Any]) -> str:
    if not _given(answer):
        like = alias(fields, "answer")
        hint = f". Rename {like!r} to 'answer'" if like else ""
        raise _FaultFound("missing field", f"no 'answer' and no 'solution'{hint}")
    if isinstance(answer, list) and (_is_box(answer) or all(map(_is_box, answer))):
        return json.dumps(answer)
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise _FaultFound("wrong field", f"answer {_short(answer)} must be text or a number")
    try:
        found = {text.strip() for text in tags.answers(str(answer))}
    except tags.NoAnswerError as reason:
        raise _FaultFound("gold", f"answer {_short(answer)}: {reason}") from None
    if len(found) > 1:
        raise _FaultFound(
            "gold", f"answer {_short(answer)} has answer blocks with different contents"
        )
    gold = found.pop()
    if not gold:
        raise _FaultFound("missing field", f"answer {_short(answer)} is empty")
    return gold


def _is_box(value: object) -> bool:
    """Whether a value is a list of four numbers."""
    if not isinstance(value, list) or len(value) != 4:
        return False
    return all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)


def _cot(cot: object) -> str | None:
    if not _given(cot):
        return None
    if not isinstance(cot, str):
        raise _FaultFound("wrong field", f"cot {_short(cot)} must be text")
    try:
        reasoning = tags.reasoning(cot)
    except tags.NoAnswerError as reason:
        raise _FaultFound("cot", f"cot {_short(cot)}: {reason}") from None
    if tag := tags.foreign_tag(reasoning):
        remove = "remove it, or write <think> and </think> instead"
        raise _FaultFound(
            "cot", f"cot {_short(cot)}: {tag!r:.60} is a tag of another format: {remove}"
        )
    return reasoning or None


def _conclusion(cot: object) -> str | None:
    if not isinstance(cot, str) or not tags.has_tags(cot):
        return None
    try:
        return tags.answers(cot)[-1].strip()
    except tags.NoAnswerError:
        return None


def _marks(texts: _Texts, images: int) -> Iterator[Fault]:
    """Image marks whose number differs from that of the images, or of another family of models."""
    count = str(texts.question).count(MARK)
    if count and count != images:
        yield Fault("placeholders", f"{count} {MARK} in the text, but images: {images}")
    fields = {"question": texts.question, "answer": texts.answer, "cot": texts.cot}
    for name, text in fields.items():
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


def _short(value: object) -> str:
    text = _repr.repr(value)
    return text if len(text) <= 90 else f"{text[:87]}..."
