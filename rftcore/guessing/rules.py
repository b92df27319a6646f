"""Rules that guess an answer from the text of a question, fitted on questions and answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rftcore.guessing.questions import Question, ranked
from rftcore.guessing.words import Guess, Table, bayes, most_common, tree

Read = Callable[[str], str | None]  # the answer that a text is, None if it is none


@dataclass(frozen=True)
class Rule:
    """A fitted rule. detail: what it has learned, if a few words can contain that."""

    name: str
    guess: Callable[[Question], str]
    detail: str = ""


def fit(
    questions: Sequence[Question], answers: Sequence[str], read: Read, accepted: str | None = None
) -> list[Rule]:
    """Every rule that applies to these questions, the simplest first.

    answers: the right one of each question. read: what the task's parser makes of a text, so that
    texts which are the same answer are equal. accepted: the answer that is right for most
    questions, where others than the gold can be right.
    Expects: at least one question.
    """
    usual = most_common(answers)[0]
    table = Table.of(questions, answers)
    by_text = _by(lambda question: question.text, questions, answers)
    by_template = _by(lambda question: question.template, questions, answers)
    found: list[tuple[str, str, Guess]] = [
        ("most frequent answer", usual, lambda question: usual),
        *([("most accepted answer", accepted, lambda question: accepted)] if accepted else []),
        ("most frequent answer to the question", "", by_text),
        ("most frequent answer to the template", "", by_template),
        ("naive Bayes on words", "", bayes(table)),
        ("decision tree on words", "", tree(table)),
        *_picks("choice", _choices, questions, answers, read),
        *_picks("from the question", lambda question: question.named, questions, answers, read),
    ]
    return [Rule(name, _or(guess, usual), detail) for name, detail, guess in found]


def _or(guess: Guess, usual: str) -> Callable[[Question], str]:
    return lambda question: guess(question) or usual


def _by(
    key: Callable[[Question], str], questions: Sequence[Question], answers: Sequence[str]
) -> Guess:
    """The most frequent answer to questions with the same key."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for question, answer in zip(questions, answers, strict=True):
        found[key(question)].append(answer)
    usual = {of: most_common(some)[0] for of, some in found.items()}
    return lambda question: usual.get(key(question))


def _picks(
    name: str,
    candidates: Callable[[Question], Mapping[str, str]],
    questions: Sequence[Question],
    answers: Sequence[str],
    read: Read,
) -> Iterator[tuple[str, str, Guess]]:
    """The candidate that is right most often, such as the longest choice; nothing if none is."""
    right: Counter[str] = Counter()
    for question, answer in zip(questions, answers, strict=True):
        right.update(at for at, text in candidates(question).items() if read(text) == answer)
    if right:
        best = max(right, key=lambda at: right[at])  # of equal numbers, the first that was met

        def guess(question: Question) -> str | None:
            text = candidates(question).get(best)
            return None if text is None else read(text)

        yield name, best, guess


def _choices(question: Question) -> dict[str, str]:
    """Label and text of each choice, by what distinguishes it."""
    found = ranked(question.choices)
    labels = {at: choice.label for at, choice in found.items()}
    return labels | {f"the text of {at}": choice.text for at, choice in found.items()}
