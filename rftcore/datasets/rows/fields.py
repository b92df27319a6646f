"""Names of the fields of a row: those that are read, and those of other programs for hints."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DIALOGUE = {"messages": ("role", "content"), "conversations": ("from", "value")}
RESPONSE = "response"  # beside `query`: the answer, after its reasoning if that has tags
KNOWN = {"id", "image", "images", "cot", "split", "problem", "problem_no_prompt", "question"}
KNOWN |= {"query", "answer", "solution", RESPONSE, *DIALOGUE}
# Names of the question and its answer in other trainers and labeling tools
QUESTION_NAMES = {"question", "problem", "query", "prompt", "instruction", "input", "user", "human"}
ANSWER_NAMES = {"answer", "answers", "solution", "output", "completion", "response", "label"}
ANSWER_NAMES |= {"target", "gold", "ground_truth", "groundtruth", "gt", "gt_answer", "reference"}
ANSWER_NAMES |= {"assistant"}
# Names of the reasoning before the answer
REASONING_NAMES = {"reasoning", "reasoning_content", "rationale", "explanation", "think"}
REASONING_NAMES |= {"thinking", "thought", "thoughts", "chain_of_thought", "chainofthought"}
REASONING_NAMES |= {"reasoning_steps", "cot"}  # cot: in capitals


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


def given(value: object) -> bool:
    """Whether a value is neither null nor blank text."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def first_given(fields: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, object]:
    """The first of some fields that is not null, and its value; ("", None) if there is none."""
    for name in names:
        if fields.get(name) is not None:
            return name, fields[name]
    return "", None


def alias(names: Iterable[str], field: str) -> str:
    """The first of some names that other trainers use for the question or the answer, or ""."""
    known = QUESTION_NAMES if field == "question" else ANSWER_NAMES
    return next((name for name in names if name.lower() in known and name not in KNOWN), "")


def reasoning_hint(meta: Mapping[str, Any]) -> str:
    """A hint if a row without `cot` has its reasoning under another name; else ""."""
    for key, value in meta.items():
        known = isinstance(key, str) and re.sub(r"[ -]", "_", key.lower()) in REASONING_NAMES
        if known and isinstance(value, str | list) and given(value) and value != []:
            return f"{key!r} is not read as the reasoning: rename it to 'cot'"
    return ""
