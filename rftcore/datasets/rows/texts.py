"""Where the texts of a row are: in named fields, or in the turns of a dialogue."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rftcore import tags
from rftcore.datasets.rows.faults import FaultFound, short
from rftcore.datasets.rows.fields import (
    DIALOGUE,
    REASONING_NAMES,
    RESPONSE,
    Form,
    first_given,
    given,
)
from rftcore.datasets.rows.marks import MARK

_USER, _ASSISTANT = ("user", "human"), ("assistant", "gpt")


class Texts(NamedTuple):
    """The values of a row's texts as given, and the names of their fields."""

    question: object
    answer: object
    cot: object
    names: tuple[str, ...]


def texts_of(fields: Mapping[str, Any], form: Form) -> Texts:
    """The texts of a row, where its form looks for them. Raises: FaultFound."""
    dialogue = next((each for each in DIALOGUE if fields.get(each) is not None), "")
    if dialogue and (form.agree or first_given(fields, form.question)[1] is None):
        return _of_dialogue(fields, dialogue, _answers(fields, form))
    return _of_fields(fields, form)


def _answers(fields: Mapping[str, Any], form: Form) -> list[str]:
    """The fields of a row that have an answer."""
    return [each for each in form.answer if fields.get(each) is not None]


def _of_dialogue(fields: Mapping[str, Any], dialogue: str, answers: list[str]) -> Texts:
    cot = fields.get("cot")
    question, answer = _turns(dialogue, fields[dialogue], complete=not answers)
    if not given(cot) and not tags.has_tags(answer or ""):
        _check_no_hidden_reasoning(dialogue, fields[dialogue])
    if answer is None:
        return Texts(question, fields[answers[0]], cot, (dialogue, answers[0]))
    reasoned = answer if tags.has_tags(answer) else cot
    return Texts(question, answer, reasoned, (dialogue, *answers))


def _of_fields(fields: Mapping[str, Any], form: Form) -> Texts:
    name, question = first_given(fields, form.question)
    answers, cot = _answers(fields, form), fields.get("cot")
    plain = [each for each in answers if each != RESPONSE]
    if form.agree and len({_plain(fields[each]) for each in plain}) > 1:
        one, two = (short(fields[each]) for each in plain[:2])
        raise FaultFound("gold", f"answer {one} and solution {two} differ")
    response = fields.get(RESPONSE) if name == "query" else None
    if not given(cot) and isinstance(response, str) and tags.has_tags(response):
        cot = response
    used = plain if form.agree and plain else answers[:1]
    found = fields[answers[0]] if answers else None
    return Texts(question, found, cot, (name, *used, *((RESPONSE,) if response else ())))


def _turns(form: str, turns: object, *, complete: bool) -> tuple[str, str | None]:
    """The texts of the user turn and the assistant turn, None where that is in another field."""
    who, what = DIALOGUE[form]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise FaultFound("wrong field", f"{form} must be a list of turns")
    dialogue = [turn for turn in turns if turn.get(who) != "system"]
    roles = [short(turn.get(who)).strip("'") for turn in dialogue]
    wanted = (_USER, _ASSISTANT) if complete or len(dialogue) != 1 else (_USER,)
    if len(dialogue) != len(wanted) or any(r not in w for r, w in zip(roles, wanted, strict=True)):
        found = f"turns of {', '.join(roles[:5])}" if roles else "no turns"
        hint = "one user turn and one assistant turn, or one user turn and a `solution`"
        raise FaultFound("wrong field", f"{form}: expected {hint}, got {found}")
    texts = [_turn_text(form, what, turn.get(what)) for turn in dialogue]
    return texts[0], texts[1] if len(texts) == 2 else None


def _check_no_hidden_reasoning(form: str, turns: list[dict[str, Any]]) -> None:
    for turn in turns:
        if found := [key for key in turn if key.lower() in REASONING_NAMES and given(turn[key])]:
            write = "write it as 'cot' of the row, or in <think> </think> before the answer"
            raise FaultFound("wrong field", f"{form}: {found[0]!r} of a turn is ignored: {write}")


def _turn_text(form: str, what: str, content: object) -> str:
    """The text of a turn; its parts are joined, with a mark for each image."""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        if any({"image", "image_url", "url", "path"} & {*_filled(part)} for part in content):
            hint = 'list the paths in \'images\', and write {"type": "image"} in their places'
            raise FaultFound("wrong field", f"{form}: an image inside a part is ignored: {hint}")
        texts = [MARK if part.get("type") == "image" else part.get("text") for part in content]
        content = "".join(texts) if all(isinstance(text, str) for text in texts) else None
    if not isinstance(content, str):
        raise FaultFound("wrong field", f"{form}: {what} must be text")
    return content


def _filled(part: Mapping[str, Any]) -> list[str]:
    return [key for key, value in part.items() if value is not None]


def _plain(answer: object) -> str:
    text = answer if isinstance(answer, str) else short(answer)
    try:
        return tags.answers(text)[-1].strip()
    except tags.NoAnswerError:
        return text.strip()


def is_turn(value: object) -> bool:
    """Whether a value has the fields of a turn of a dialogue."""
    return isinstance(value, dict) and any({*names} <= {*value} for names in DIALOGUE.values())
