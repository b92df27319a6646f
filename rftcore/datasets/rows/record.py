"""The record of a row, or all its faults.

Both readers, of one file and of a folder, use this. A row has one of three forms. Question,
answer and reasoning by name:

    {"id": "c-1", "image": "c1.png", "problem": "How many?", "cot": "...", "answer": "3"}

the same for RL, with `solution` for the answer and no `cot`; and a dialogue of one turn
(ShareGPT, ms-swift), whose answer is bare or in tags after the reasoning, or in `solution`:

    {"image": "c1.png", "messages": [{"role": "user", "content": "<image>How many?"},
                                     {"role": "assistant", "content": "<think>..."}]}

A field that is null is absent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rftcore.datasets.rows.answer import conclusion_of, cot_of, gold_of
from rftcore.datasets.rows.faults import Fault, FaultFound, names_of, short
from rftcore.datasets.rows.fields import FOLDER, KNOWN, Form, given
from rftcore.datasets.rows.images import images_of
from rftcore.datasets.rows.json_values import unfit
from rftcore.datasets.rows.marks import mark_faults
from rftcore.datasets.rows.question import question_of
from rftcore.datasets.rows.texts import Texts, texts_of
from rftcore.errors import closest
from rftcore.jsontext import BOM
from rftcore.splits import OOD_PREFIX, RL, SFT, STANDARD, VAL, is_known

_SPLITS = dict.fromkeys(("train", "training"), f"{RL}, or {SFT} where there is a cot")
_SPLITS |= dict.fromkeys(("validation", "valid", "dev", "eval"), VAL)


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


def record(
    fields: object, *, form: Form = FOLDER, strip: bool = True
) -> tuple[Record | None, list[Fault]]:
    """The record of a row, or None and every fault of the row.

    `strip`: leave out of the question what only requests think and answer tags. The task's
    prompt requests them, in the same words in every phase; the paper's data uses one wording
    in SFT and another in RL.
    """
    if not isinstance(fields, dict):
        return None, [Fault("wrong field", f"{short(fields)}, but a row must be a JSON object")]
    if fault := _fault_of_all(fields):
        return None, [fault]
    try:
        texts = texts_of(fields, form)
    except FaultFound as bad:
        return None, [bad.fault]
    parts, faults = _parts(fields, texts, form, strip=strip)
    if "images" in parts and isinstance(texts.question, str):
        given_texts = {"question": texts.question, "answer": texts.answer, "cot": texts.cot}
        faults += mark_faults(given_texts, len(parts["images"]))
    if faults:
        return None, faults
    own = {"id", "image", "images", "cot", *texts.names, *(("split",) if form.splits else ())}
    meta = {key: value for key, value in fields.items() if key not in own}
    return Record(**parts, concluded=conclusion_of(texts.cot), meta=meta), []


def _fault_of_all(fields: dict[str, Any]) -> Fault | None:
    """Why an object is not a row: a value is not JSON, or it is a whole table."""
    if fault := next(unfit(fields), None):
        return fault
    if marked := next((key for key in fields if key.startswith(BOM)), ""):
        text = f"{marked!a:.40} begins with a byte order mark: name it {marked.lstrip(BOM)!r:.40}"
        return Fault("wrong field", text)
    if fields and not KNOWN & {*fields} and all(map(_are_rows, fields.values())):
        text = f"{names_of(fields)} contain lists of rows: write one row per line, each with its"
        return Fault("wrong field", f"{text} `split`, or one file per split")
    return None


def _parts(
    fields: Mapping[str, Any], texts: Texts, form: Form, *, strip: bool
) -> tuple[dict[str, Any], list[Fault]]:
    """Those parts of the record that are right, by name, and the faults of the others."""
    steps: dict[str, Callable[[], object]] = {
        "id": lambda: _id(fields),
        "images": lambda: images_of(fields),
        "question": lambda: question_of(texts.question, fields, form, strip=strip),
        "gold": lambda: gold_of(texts.answer, fields),
        "cot": lambda: cot_of(texts.cot),
        "split": lambda: _split(fields) if form.splits else "",
    }
    parts: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, step in steps.items():
        try:
            parts[name] = step()
        except FaultFound as bad:
            faults.append(bad.fault)
    return parts, faults


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _id(fields: Mapping[str, Any]) -> str | None:
    name = fields.get("id")
    if not given(name):
        return None
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise FaultFound("wrong field", f"id {short(name)} must be text or a number")
    return str(name)


def _split(fields: Mapping[str, Any]) -> str:
    split = fields.get("split")
    if not given(split):
        return ""
    if isinstance(split, str) and is_known(split):
        return split
    hint = ""
    if isinstance(split, str):
        other = _SPLITS.get(split.strip().lower())
        hint = f". For {split!r} use {other}" if other else closest(split, STANDARD)
    offered = f"use {', '.join(STANDARD)} or {OOD_PREFIX}...{hint}"
    raise FaultFound("wrong field", f"split {short(split)}: {offered}")
