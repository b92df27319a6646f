"""What a rule sees of a sample, and answers as the task's parser reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rftcore import tags
from rftcore.guessing.questions import Question
from rftcore.prompts import made
from rftcore.scoring.reading import Reader
from rftcore.types import Parser, PromptMaker, Sample

REASONING = "A guess."  # in front of an answer


class Asked(NamedTuple):
    """A sample, and what a rule sees of it."""

    sample: Sample
    question: Question


class Shown:
    """What the task's prompt shows of a sample, without its images.

    The question alone if the rest of the text is that of other samples too; a prompt that adds
    choices from `meta`, for example, is seen whole.
    """

    def __init__(self, prompt: PromptMaker, samples: Iterable[Sample]) -> None:
        self._prompt = prompt
        rests = (_rest(self._text(sample), sample) for sample in samples)
        self._common = next((rest for rest in rests if rest is not None), None)

    def __call__(self, sample: Sample) -> Asked:
        """The sample with what its prompt shows."""
        text = self._text(sample)
        rest = _rest(text, sample)
        alone = rest is not None and rest == self._common
        return Asked(sample, Question(sample.question if alone else text))

    def _text(self, sample: Sample) -> str:
        return made(self._prompt, sample).text


def _rest(text: str, sample: Sample) -> str | None:
    """A prompt's text without the question; None if the question is not in it."""
    question = sample.question.strip()
    return " ".join(text.replace(question, " ", 1).split()) if question in text else None


class Answers:
    """Answers as the task's parser reads them: of texts that are the same answer, one text."""

    def __init__(self, parser: Parser, example: Sample) -> None:
        self._reader, self._example = Reader(parser), example
        self._known: dict[str, str | None] = {}

    def gold(self, sample: Sample) -> str:
        """The right answer of a sample. Raises: SampleError if the parser cannot read it."""
        return self.read(sample.gold, sample) or sample.gold

    def read(self, text: str, sample: Sample | None = None) -> str | None:
        """The answer in a text, None if it is none."""
        if text not in self._known:
            answer = self._reader.read(written(text), sample or self._example)
            self._known[text] = self._reader.shown(answer)
        return self._known[text]


def written(answer: str) -> str:
    """A completion with this answer."""
    return tags.write(REASONING, answer)
