"""The question of a row: its text without image marks and without requests for tags."""

import re
from collections.abc import Mapping
from typing import Any

from rftcore import tags
from rftcore.datasets.rows.faults import FaultFound, names_of, short
from rftcore.datasets.rows.fields import (
    ANSWER_NAMES,
    KNOWN,
    QUESTION_NAMES,
    REASONING_NAMES,
    Form,
    given,
)
from rftcore.datasets.rows.marks import placed
from rftcore.datasets.rows.texts import is_turn
from rftcore.errors import closest

_KEEP = "--set dataset.instructions=keep leaves questions unchanged"
# Ends of sentences. A letter may follow "?" at once; after "." only a capital, for 3.5 and e.g.
_SENTENCES = re.compile(
    r"((?<=[.!?])\s+|\s*\n\s*|(?<=[\u3002\uff1f\uff01\uff1b])\s*|(?<=[!?])(?=[^\W\d_])|(?<=[a-z0-9][.])(?=[A-Z]))"
)


def question_of(text: object, fields: Mapping[str, Any], form: Form, *, strip: bool) -> str:
    """The text of a question. Raises: FaultFound for one that is missing or no text."""
    if not given(text):
        raise FaultFound("missing field", _no_question(fields, form))
    if not isinstance(text, str):
        hint = "; write one object per row, not a list per column"
        if isinstance(text, list) and text and all(map(is_turn, text)):
            hint = ", but it is a list of turns: name the field 'messages'"
        elif not isinstance(text, list | dict):
            hint = ""
        raise FaultFound("wrong field", f"{form.question[0]} {short(text)} must be text{hint}")
    question = placed(text, page=tags.has_tags if strip else None)
    if not question:
        raise FaultFound("missing field", f"the question {short(text)} is empty")
    return _without_request(question) if strip else question


def _no_question(fields: Mapping[str, Any], form: Form) -> str:
    unknown = [key for key in fields if key not in KNOWN]
    for key in unknown:
        if key.lower() in QUESTION_NAMES:
            turns = isinstance(fields[key], list) and all(map(is_turn, fields[key]))
            wanted = "messages" if turns else form.question[0]
            return f"no {form.question[0]!r}. Rename {key!r} to {wanted!r}"
    unknown = [key for key in unknown if key.lower() not in ANSWER_NAMES | REASONING_NAMES]
    hints = (closest(name, unknown) for name in form.question)
    found = f" The row has {names_of(fields)}." if fields else ""
    return f"no {form.question[0]!r}.{next(filter(None, hints), found)}"


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
        raise FaultFound("missing field", f"the question {short(text)} is empty: {every}. {_KEEP}")
    if any(map(_is_question, cut)) and not _is_question(kept):
        reason = (
            "the sentence with the question also mentions think or answer tags and would be removed"
        )
        raise FaultFound("wrong field", f"the question {short(text)}: {reason}. {_KEEP}")
    return kept


def _is_question(text: str) -> bool:
    return "?" in text or "\uff1f" in text
