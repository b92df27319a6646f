"""The released code's rewards and score of an answer of calls: `function(object, value)`."""

import re
from collections.abc import Iterable, Sequence

from rftcore.rewards.paper.texts import answer_of, block_of, text_of

Call = tuple[str, str, str]  # function, object, value
_CALL = re.compile(r"\b(\w++)\((\w++),\s*+'?(\w++)'?\)")
# Positions of a call that must be equal to match, by stage.
_STAGES = ((0, 1, 2), (0, 1), (0, 2), (0,))
_PARTIAL = (1.0, 0.5, 0.5, 0.25)
_EXACT = (1.0,)
_PENALTY = (1.0, -0.25, -0.25, -0.5)


def func_accuracy_reward(completion: object, solution: object, **_columns: object) -> float:
    """Share of calls that match; a partial match counts 1/2 or 1/4; repeated calls lower it."""
    return _call_reward(completion, solution, _PARTIAL)


def only_full_func_accuracy_reward(
    completion: object, solution: object, **_columns: object
) -> float:
    """Share of calls that match exactly; repeated calls lower it."""
    return _call_reward(completion, solution, _EXACT)


def penalty_func_accuracy_reward(completion: object, solution: object, **_columns: object) -> float:
    """Share of calls that match exactly, minus 1/4 or 1/2 for partial matches; in [-1/2, 1]."""
    return _call_reward(completion, solution, _PENALTY)


def get_score_trance(prediction: object, solution: object) -> float:
    """As `func_accuracy_reward`, but repeats are free, and a multi-line block is not found.

    Then the calls of the whole text count, including those of the reasoning.
    """
    text = text_of(prediction, "prediction")
    block = next(
        (block for line in text.split("\n") if (block := block_of(line)) is not None), text
    )
    return _matched(set(calls_in(block)), _wanted(solution), _PARTIAL)


def _call_reward(completion: object, solution: object, weights: Sequence[float]) -> float:
    calls = calls_in(answer_of(text_of(completion, "completion")))
    if not calls:
        return 0.0
    fresh = len(set(calls)) / len(calls)
    return _matched(set(calls), _wanted(solution), weights, fresh)


def calls_in(text: str) -> list[Call]:
    """Every `function(object, value)`, with or without single quotes around the value."""
    return _CALL.findall(text)


def _wanted(solution: object) -> set[Call]:
    """The calls of a solution; none if it is not text, where the original swallows its error."""
    return set(calls_in(solution)) if isinstance(solution, str) else set()


def _matched(
    given: Iterable[Call], wanted: Iterable[Call], weights: Sequence[float], fresh: float = 1.0
) -> float:
    """Match greedily, stage by stage; in alphabetical order, where the original uses a set's."""
    left, right = sorted(given), sorted(wanted)
    unit = fresh / max(len(left), len(right), 1)
    total = 0.0
    for weight, shared in zip(weights, _STAGES, strict=False):
        for call in tuple(left):
            partner = next((one for one in right if _share(call, one, shared)), None)
            if partner is not None:
                left.remove(call)
                right.remove(partner)
                total += weight * unit
    return total


def _share(call: Call, other: Call, places: Iterable[int]) -> bool:
    return all(call[place] == other[place] for place in places)
