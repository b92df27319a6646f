"""Models of the words of a question: a decision tree and naive Bayes.

Both see which words and pairs of adjacent words a question has, and are fitted by counting, so
that the same questions give the same model everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rftcore.guessing.questions import Question

if TYPE_CHECKING:
    import numpy

    Matrix = numpy.ndarray[Any, numpy.dtype[numpy.float32]]
    Counts = numpy.ndarray[Any, numpy.dtype[numpy.float64]]
    Rows = numpy.ndarray[Any, numpy.dtype[numpy.int64]]

LEAF = 10  # questions on either side of a split of the tree
DEPTH = 20  # splits above a leaf
FEATURES, ANSWERS = 500, 200  # the most frequent ones, which the models know

Feature = Hashable
Guess = Callable[[Question], str | None]


@dataclass(frozen=True)
class Table:
    """Questions by features, questions by answers: 1 where a question has it.

    The last column of `answered` is of all answers that are not in `answers`.
    """

    features: Sequence[Feature]
    answers: Sequence[str]
    present: Matrix
    answered: Matrix

    @classmethod
    def of(cls, questions: Sequence[Question], answers: Sequence[str]) -> Table:
        """The table of questions and their answers."""
        import numpy as np

        known = most_common(answers)[:ANSWERS]
        seen = Counter(feature for question in questions for feature in question.features)
        both = (f for f in seen if LEAF <= seen[f] <= len(questions) - LEAF)
        features = sorted(both, key=lambda f: (-seen[f], repr(f)))[:FEATURES]
        column = {feature: at for at, feature in enumerate(features)}
        place = {answer: at for at, answer in enumerate(known)}
        present = np.zeros((len(questions), len(features)), np.float32)
        answered = np.zeros((len(questions), len(known) + 1), np.float32)
        for row, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            present[row, [column[f] for f in question.features if f in column]] = 1
            answered[row, place.get(answer, len(known))] = 1
        return cls(features, known, present, answered)


def most_common(answers: Sequence[str]) -> list[str]:
    """Each answer once, the most frequent first, and those of equal number by their text."""
    counts = Counter(answers)
    return sorted(counts, key=lambda answer: (-counts[answer], answer))


@dataclass(frozen=True)
class Node:
    """A leaf with its `answer`, or a split: `present` is followed if a question has `feature`."""

    answer: str
    feature: Feature = None
    present: Node | None = None
    absent: Node | None = None


def tree(table: Table) -> Guess:
    """A decision tree by Gini impurity, with at least `LEAF` questions in each leaf."""
    import numpy as np

    root = _grown(table, np.arange(len(table.present)), DEPTH)

    def guess(question: Question) -> str:
        node = root
        while node.present is not None and node.absent is not None:
            node = node.present if node.feature in question.features else node.absent
        return node.answer

    return guess


def _grown(table: Table, rows: Rows, depth: int) -> Node:
    """The tree of these rows."""
    counts = table.answered[rows].sum(0).astype("float64")
    leaf = Node(table.answers[int(counts[:-1].argmax())])
    at = _best_split(table, rows, counts) if depth else None
    if at is None:
        return leaf
    has = table.present[rows, at] > 0
    sides = (_grown(table, rows[side], depth - 1) for side in (has, ~has))
    return Node(leaf.answer, table.features[at], *sides)


def _best_split(table: Table, rows: Rows, counts: Counts) -> int | None:
    """The feature whose split lowers the impurity most; None if none does.

    Up to constants, the impurity of a side of n questions is -sum of squared counts / n.
    """
    import numpy as np

    if len(rows) < 2 * LEAF or not table.features:
        return None
    having = (table.present[rows].T @ table.answered[rows]).astype("float64")
    n, size = having.sum(1), float(len(rows))
    allowed = (n >= LEAF) & (size - n >= LEAF)
    purity = (having**2).sum(1) / np.maximum(n, 1)
    purity += ((counts - having) ** 2).sum(1) / np.maximum(size - n, 1)
    purity[~allowed] = -1.0
    at = int(purity.argmax())
    return at if purity[at] > (counts**2).sum() / size + 1e-6 else None


def bayes(table: Table) -> Guess:
    """Naive Bayes: the answer with the highest probability, words taken as independent.

        log p(a) + sum over features of log p(f | a) if the question has f, else log(1 - p(f | a))

    with p(f | a) = (n(f, a) + 1) / (n(a) + 2).
    """
    import numpy as np

    sizes = table.answered[:, :-1].sum(0).astype("float64")
    having = (table.present.T @ table.answered[:, :-1]).astype("float64")
    present, absent = np.log((having + 1) / (sizes + 2)), np.log((sizes - having + 1) / (sizes + 2))
    start = np.log(sizes) + absent.sum(0)
    column = {feature: at for at, feature in enumerate(table.features)}

    def guess(question: Question) -> str:
        rows = sorted(column[f] for f in question.features if f in column)
        logs = start + (present[rows] - absent[rows]).sum(0)
        # equal up to rounding: the first, which is the most frequent, on every machine
        return table.answers[int(np.round(logs, 9).argmax())]

    return guess
