"""The released code's rewards and scores of an answer as a whole: text, number or expression."""

import math

from rftcore.rewards import maths
from rftcore.rewards.paper.texts import answer_of, block_of, text_of


def accuracy_reward(completion: object, solution: object, **_columns: object) -> float:
    """1 if Ans(c) == Ans(s) as strings; without an answer block also if math-verify agrees."""
    text, truth = text_of(completion, "completion"), text_of(solution, "solution")
    return float(answer_of(text) == answer_of(truth) or _agrees_untagged(text, truth))


def math_accuracy_reward(completion: object, solution: object, **_columns: object) -> float:
    """1 within 5 % of the solution, 0 beyond 20 %, a cosine ramp between; may be NaN.

    p, g = float(Ans(c)), float(Ans(s)); if either is not a float, 1 for equal strings.
    A right 0 earns 0: the released code swallows its division by zero.
    """
    text, truth = text_of(completion, "completion"), text_of(solution, "solution")
    value = _near(answer_of(text), answer_of(truth))
    return 1.0 if value == 0 and _agrees_untagged(text, truth) else value


def get_score_clevr(prediction: object, solution: object) -> float:
    """1 if the answer block, or the untagged text, equals the solution or math-verify agrees."""
    return _score(prediction, solution)


def get_score_geomath(prediction: object, solution: object, enhance: bool = False) -> float:
    """As `get_score_clevr`; `enhance` also accepts an untagged text that contains the solution."""
    return _score(prediction, solution, enhance)


def get_score_geometry3k(prediction: object, solution: object, enhance: bool = False) -> float:
    """As `get_score_geomath`."""
    return _score(prediction, solution, enhance)


def _score(prediction: object, solution: object, enhance: bool = False) -> float:
    text = text_of(prediction, "prediction")
    block = block_of(text)
    if not isinstance(solution, str):
        return 0.0  # the original swallows its error
    if block is not None:
        return float(block == solution or maths.accepts(block, solution))
    contained = enhance and solution.strip() in text
    return float(contained or text.strip() == solution.strip() or maths.accepts(text, solution))


def _agrees_untagged(text: str, truth: str) -> bool:
    """Whether math-verify accepts any expression of a text without an answer block."""
    return block_of(text) is None and maths.accepts(text, truth)


def _near(answer: str, truth: str) -> float:
    try:
        given, wanted = float(answer), float(truth)
    except ValueError:
        return float(answer == truth)
    distance, size = abs(given - wanted), abs(wanted)
    if distance < 0.05 * size:
        return 1.0
    width = (0.20 - 0.05) * size
    if distance > 0.20 * size or not width:  # the original swallows a division by zero
        return 0.0
    ramp = (distance - 0.05 * size) / width
    return 0.5 * (math.cos(math.pi * ramp) + 1)


def is_right(text: str, truth: str) -> bool:
    """Whether a completion counts as correct for `len_reward`."""
    answer, wanted = answer_of(text), answer_of(truth)
    return answer == wanted or _same_float(answer, wanted) or _agrees_untagged(text, truth)


def _same_float(answer: str, truth: str) -> bool:
    try:
        return float(answer) == float(truth)
    except ValueError:
        return False
