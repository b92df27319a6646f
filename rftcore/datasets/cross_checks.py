"""Checks across samples that are each valid: warnings of a run, findings of `rft data check`.

Contradictory golds, one id for different samples, options that the prompt does not show, one
prompt for different questions.
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rftcore import spelling
from rftcore.datasets.rows.fields import reasoning_hint
from rftcore.splits import is_training
from rftcore.types import Parser, Prompt, Sample

_OPTIONS = {"options", "choices", "candidates", "answerchoices", "answeroptions", "mcoptions"}
_OPTION = re.compile(r"\(?([A-H])[).]?|(?i:(?:option|choice)s?[ _-]?)\(?([A-Ha-h1-8])[).]?")
_LABEL = re.compile(r"\s*[(\[]?[A-Za-z0-9][)\].:]+\s+")
_FILE = re.compile(r"\S{1,250}\.(?:png|jpe?g|webp|bmp|gif|tiff?)", re.IGNORECASE)
_LONGEST_LIST = 5000  # characters of a list that is written as text


class CrossChecks:
    """Compares each sample with those before it, which are kept as hashes.

    same: whether two gold texts are the same answer.
    """

    def __init__(self, same: Callable[[str, str], bool]) -> None:
        self._same = same
        self._golds: dict[bytes, tuple[str, str]] = {}
        self._ids: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._prompt: tuple[str, str] | None = None  # the first question and its prompt
        self._questions_differ = self._prompts_differ = False

    def contradiction(
        self, sample: Sample, pixels: Sequence[str], where: str
    ) -> Iterator[tuple[str, str]]:
        """A finding if an earlier sample has the same question and images but another gold."""
        key = _digest([sample.question, list(pixels)])
        gold, first = self._golds.setdefault(key, (sample.gold, where))
        if gold != sample.gold and not self._same(gold, sample.gold):
            yield (
                "contradiction",
                f"gold {sample.gold!r:.60}, but {first} has {gold!r:.60} for the same question and "
                "the same images: one of them is wrong, or the question lacks what distinguishes "
                "them",
            )

    def duplicate_id(self, sample: Sample, split: str, content: bytes) -> Iterator[tuple[str, str]]:
        """A finding if a different sample of the split has the same id."""
        where = sample.where
        other, first = self._ids.setdefault((split, sample.id), (content, where))
        if other != content:
            yield (
                "duplicate id",
                f"{sample.id!r} is also the id of another sample of {split!r} ({first}): results "
                "are stored and compared by id, so make ids unique",
            )

    def unread_reasoning(self, sample: Sample, split: str) -> Iterator[tuple[str, str]]:
        """A finding if a training sample without `cot` has its reasoning under another name."""
        if is_training(split) and not sample.cot and (hint := reasoning_hint(sample.meta)):
            yield "no cot", hint

    def hidden_options(self, sample: Sample, prompt: Prompt) -> Iterator[tuple[str, str]]:
        """A finding if the sample has options that its prompt does not show."""
        self._compare(sample, prompt)
        found = list(_options(sample.meta))
        text = _plain(prompt.text) if found else ""
        for name, options in found:
            hidden = [one for one in options if _plain(one) not in text and _bare(one) not in text]
            if hidden:
                yield (
                    "options",
                    f"the row has {name} with {hidden[0]!r:.60}, but the prompt does not show it: "
                    "add the options to the question",
                )
                return

    def _compare(self, sample: Sample, prompt: Prompt) -> None:
        question, text = self._prompt = self._prompt or (sample.question, prompt.text)
        self._questions_differ |= sample.question.split() != question.split()
        # a prompt with its own images may show the question in them
        self._prompts_differ |= prompt.text != text or not (
            {image.key for image in prompt.images} <= {image.key for image in sample.images}
        )

    def constant_prompt(self) -> Iterator[tuple[str, str]]:
        """A finding if all prompts so far have the same text although the questions differ."""
        if self._questions_differ and not self._prompts_differ and self._prompt:
            yield (
                "prompt",
                f"the text of the prompt is the same for every sample ({self._prompt[1]!r:.60}) "
                "although the questions differ: the task's prompt leaves out `sample.question`",
            )


def same_answer(parser: Parser) -> Callable[[str, str], bool]:
    """Whether a parser reads two golds as the same answer."""

    def same(one: str, other: str) -> bool:
        try:
            return bool(parser.gold(one).value == parser.gold(other).value)
        except Exception:  # a plugin's values that cannot be compared; the texts differ
            return False

    return same


def _options(meta: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The texts of a row's options, by the name of their field."""
    single: dict[str, str] = {}
    for key, value in meta.items():
        if not isinstance(key, str):
            continue
        name = re.sub(r"[\W_]", "", key.lower())
        letter = _OPTION.fullmatch(key)
        if name in _OPTIONS and (texts := _texts(value)):
            yield f"{key!r}", texts
        elif letter and (texts := _texts([value])):
            single[(letter[1] or letter[2]).upper()] = texts[0]
    if {"A", "B"} <= {*single} or {"1", "2"} <= {*single}:
        yield "options " + ", ".join(single), [*single.values()]


def _texts(value: object) -> list[str]:
    """The options in a field: a list, a mapping by letter, `{"text": [...]}`, or text."""
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"} and len(value) < _LONGEST_LIST:
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return []
    if isinstance(value, str):
        value = value.splitlines()
    if isinstance(value, Mapping):
        value = value["text"] if isinstance(value.get("text"), list) else list(value.values())
    if not isinstance(value, list | tuple):
        return []
    texts = [
        str(one).strip()
        for one in value
        if isinstance(one, str | int | float) and not isinstance(one, bool)
    ]
    return [one for one in texts if one and not _FILE.fullmatch(one)]


def _plain(text: str) -> str:
    return " ".join(spelling.plain(text).casefold().split())


def _bare(option: str) -> str:
    """An option without its letter: "dog" of "(B) dog"."""
    label = _LABEL.match(option)
    return _plain(option[label.end() :] if label else option)


def _digest(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value).encode()).digest()
