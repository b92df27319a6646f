"""The answer of a row and the reasoning before it: both without tags."""

import json
from collections.abc import Mapping
from typing import Any

from rftcore import tags
from rftcore.datasets.rows.faults import FaultFound, short
from rftcore.datasets.rows.fields import alias, given


def gold_of(answer: object, fields: Mapping[str, Any]) -> str:
    """The gold of an answer; `fields` are those of its row. Raises: FaultFound."""
    if not given(answer):
        like = alias(fields, "answer")
        hint = f". Rename {like!r} to 'answer'" if like else ""
        raise FaultFound("missing field", f"no 'answer' and no 'solution'{hint}")
    if isinstance(answer, list) and (_is_box(answer) or all(map(_is_box, answer))):
        return json.dumps(answer)
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise FaultFound("wrong field", f"answer {short(answer)} must be text or a number")
    try:
        found = {text.strip() for text in tags.answers(str(answer))}
    except tags.NoAnswerError as reason:
        raise FaultFound("gold", f"answer {short(answer)}: {reason}") from None
    if len(found) > 1:
        raise FaultFound(
            "gold", f"answer {short(answer)} has answer blocks with different contents"
        )
    gold = found.pop()
    if not gold:
        raise FaultFound("missing field", f"answer {short(answer)} is empty")
    return gold


def _is_box(value: object) -> bool:
    """Whether a value is a list of four numbers."""
    if not isinstance(value, list) or len(value) != 4:
        return False
    return all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)


def cot_of(cot: object) -> str | None:
    """The reasoning without its tags, None if there is none. Raises: FaultFound."""
    if not given(cot):
        return None
    if not isinstance(cot, str):
        raise FaultFound("wrong field", f"cot {short(cot)} must be text")
    try:
        reasoning = tags.reasoning(cot)
    except tags.NoAnswerError as reason:
        raise FaultFound("cot", f"cot {short(cot)}: {reason}") from None
    if tag := tags.foreign_tag(reasoning):
        remove = "remove it, or write <think> and </think> instead"
        raise FaultFound(
            "cot", f"cot {short(cot)}: {tag!r:.60} is a tag of another format: {remove}"
        )
    return reasoning or None


def conclusion_of(cot: object) -> str | None:
    """The answer in tags at the end of the reasoning, None if there is none."""
    if not isinstance(cot, str) or not tags.has_tags(cot):
        return None
    try:
        return tags.answers(cot)[-1].strip()
    except tags.NoAnswerError:
        return None
