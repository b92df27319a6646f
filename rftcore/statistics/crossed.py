"""Shares, and differences of shares, over runs of several seeds that answered the same questions.

Both vary: another seed trains another policy, and another draw of questions has others that are
hard. An interval over questions alone is too narrow, and so is a bootstrap of two or three seeds
(docs/compare.md has the coverage of each). Seeds and questions are therefore two crossed random
factors, as readers and cases are in studies of diagnostic imaging. With y[s, q] for S seeds and Q
questions and the mean squares of the two-way analysis of variance,

    V  = (A + max(MS_q - MS_sq, 0)) / (S Q),   A = max(MS_s, MS_sq)
    df = (S - 1) ((A + max(MS_q - MS_sq, 0)) / A)^2

is the variance of the mean over all y and its degrees of freedom: between S - 1, where seeds
decide, and many, where questions do. Sources: Dorfman, Berbaum and Metz 1992,
doi:10.1097/00004424-199209000-00015; df of Hillis 2007, doi:10.1002/sim.2532. Ours: MS_s counts
as no less than MS_sq, its expectation without differences between seeds, because two or three
seeds that happen to agree would give an interval that is too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rftcore.errors import RecipeError
from rftcore.intervals import paired, wilson

if TYPE_CHECKING:
    import numpy

    Matrix = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

LEVEL = 0.975  # the upper quantile of a 95 % interval


@dataclass(frozen=True)
class Share:
    """A share of right answers over `seeds` runs of the same `questions`, and its 95 % interval.

    df: degrees of freedom; None for one seed, whose interval covers the questions alone.
    """

    value: float
    low: float
    high: float
    seeds: int
    questions: int
    df: float | None = None


@dataclass(frozen=True)
class Change(Share):
    """A difference of two shares on the same questions, its 95 % interval, and a test of zero.

    p: two-sided. test: its name. For several seeds test and interval agree: the interval
    contains zero exactly if p > 0.05.
    """

    p: float = 1.0
    test: str = ""


def share(right: Sequence[Sequence[float]]) -> Share:
    """The share of right answers. right: one row per seed, one column per question, 0 or 1.

    One seed: the Wilson interval over questions. Several: the Wilson interval with the effective
    number of answers p (1 - p) / V and the quantile of t, so that it stays within 0 and 1; p, V
    and df with one more question that all seeds got right and one that all got wrong, so that
    they are defined where every answer is right or none.
    Expects: at least one question.
    """
    y = _matrix(right)
    seeds, questions = y.shape
    value = float(y.mean())
    if seeds == 1:
        return Share(value, *wilson(float(y.sum()), questions), seeds, questions)
    center, variance, df = _with_two_more(y, 1.0, 0.0)
    effective = min(center * (1 - center) / variance, seeds * questions)
    low, high = wilson(value * effective, effective, float(scipy_stats().t.ppf(LEVEL, df)))
    return Share(value, low, high, seeds, questions, df)


def change(after: Sequence[Sequence[float]], before: Sequence[Sequence[float]]) -> Change:
    """What `after` has more than `before`, as a share; rows are the same seeds, columns questions.

    One seed: the interval of Bonett and Price (`rftcore.intervals.paired`), and McNemar's exact
    test. Several: t with the V and df of the differences, to which, as in that interval, one
    question is added that all seeds won and one that all lost. So the interval has a width even
    if no answer changed. Expects: equal shapes, at least one question.
    """
    d = _matrix(after) - _matrix(before)
    seeds, questions = d.shape
    value = float(d.mean())
    if seeds == 1:
        won, lost = int((d > 0).sum()), int((d < 0).sum())
        p = float(scipy_stats().binomtest(won, won + lost).pvalue) if won + lost else 1.0
        interval = paired(won, lost, questions)
        return Change(value, *interval, seeds, questions, None, p, "McNemar's exact test")
    center, variance, df = _with_two_more(d, 1.0, -1.0)
    root = math.sqrt(variance)
    half = float(scipy_stats().t.ppf(LEVEL, df)) * root
    p = float(2 * scipy_stats().t.sf(abs(center) / root, df))
    low, high = max(-1.0, center - half), min(1.0, center + half)
    return Change(value, low, high, seeds, questions, df, p, "crossed t test")


def _with_two_more(y: Matrix, one: float, other: float) -> tuple[float, float, float]:
    """The mean of y and two more questions with these values in all seeds, its variance, df."""
    import numpy as np

    more = np.ones((y.shape[0], 1))
    padded = np.hstack([y, one * more, other * more])
    return (float(padded.mean()), *_variance(padded))


def _variance(y: Matrix) -> tuple[float, float]:
    """V and df of the mean of y, shape (S, Q), S > 1; (0, S - 1) if nothing varies."""
    seeds, questions = y.shape
    by_seed, by_question, mean = y.mean(1, keepdims=True), y.mean(0, keepdims=True), y.mean()
    ms_s = questions * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    between = max(questions - 1, 1)  # one question: nothing varies between questions
    ms_q = seeds * float(((by_question - mean) ** 2).sum()) / between
    rest = float(((y - by_seed - by_question + mean) ** 2).sum())
    ms_sq = rest / ((seeds - 1) * between)
    least = max(ms_s, ms_sq)
    total = least + max(ms_q - ms_sq, 0.0)
    # without any difference between seeds the t distribution is a normal one: df is capped
    df = (seeds - 1) * min((total / least) ** 2, 1e9) if least else 1e9 if total else seeds - 1.0
    return total / (seeds * questions), df


def _matrix(rows: Sequence[Sequence[float]]) -> Matrix:
    import numpy as np

    return np.asarray(rows, dtype=np.float64)


def scipy_stats() -> Any:
    """`scipy.stats`. Raises: RecipeError if scipy is missing."""
    try:
        from scipy import stats
    except ImportError as error:
        raise RecipeError(
            "a comparison needs the package scipy: pip install 'rftcore[compare]'"
        ) from error
    return stats
