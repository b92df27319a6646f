"""The rewards and scores of the paper's released code, bug for bug: `compat="paper"`.

They reproduce published numbers; docs/papers.md lists their defects and what to use
instead. Each takes a completion and a solution as text and returns a number; `FUNCTIONS`
maps the names of the released code to them.

    Ans(x)   the stripped content of the first answer block, else the whole stripped x

Departures, all where the released code has no reproducible number: where it raises, a
SampleError; where its result depends on the hash seed, one of its results; where it returns
0.0 after 5 s, a TimeoutError.

Source: arXiv:2503.20752 and its released code, described in our own words.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from rftcore.errors import PluginError, RecipeError, SampleError, closest
from rftcore.rewards import maths
from rftcore.rewards.declare import reward as declare
from rftcore.types import Reward, RewardInput, Term

COMPAT = ("repaired", "paper")
LENIENT = ("get_score_geomath", "get_score_geometry3k")  # functions with the option `enhance`
SYMBOLIC = ("accuracy_reward", "math_accuracy_reward", "len_reward", "get_score_clevr", *LENIENT)

Call = tuple[str, str, str]  # function, object, value

_CALL = re.compile(r"\b(\w++)\((\w++),\s*+'?(\w++)'?\)")
_STEP = re.compile(r"Step \d+:|\A\d+\.|\n[-*]|First,|Second,|Next,|Finally,")

# Positions of a call that must be equal to match, by stage.
_STAGES = ((0, 1, 2), (0, 1), (0, 2), (0,))
_PARTIAL = (1.0, 0.5, 0.5, 0.25)
_EXACT = (1.0,)
_PENALTY = (1.0, -0.25, -0.25, -0.5)


def reward(function: str, enhance: bool = False) -> Reward:
    """One of `FUNCTIONS` as a reward on the completion and the sample's gold text.

    `enhance` is the lenient mode of two functions. `len_reward` compares the
    completions of one prompt and does not apply outside training.

    Raises: PluginError for an unknown name, or if math-verify is needed and not installed.
    """
    if function not in FUNCTIONS:
        raise PluginError(
            f"the paper has no reward {function!r}.{closest(function, FUNCTIONS)} "
            f"Offered: {', '.join(FUNCTIONS)}"
        )
    if enhance and function not in LENIENT:
        raise PluginError(f"{function} has no enhance=True: only {' and '.join(LENIENT)} do")
    if function in SYMBOLIC:
        maths.require()
    if function == "len_reward":
        return _length_among_siblings
    return partial(_of_one, function=function, options={"enhance": True} if enhance else {})


def terms(
    compat: str, repaired: Mapping[str, Term], paper: Mapping[str, str]
) -> Mapping[str, Term]:
    """The reward terms of a task: `repaired`, or those of the paper if compat="paper".

    `paper` maps term names to names in `FUNCTIONS`. They have weight 1, except those that the
    paper only evaluates with, `get_score_...`: weight 0, and their means are its numbers.

    Raises: RecipeError unless compat is "repaired" or "paper".
    """
    if compat not in COMPAT:
        raise RecipeError(
            f"compat={compat!r}: choose {' or '.join(COMPAT)}.{closest(compat, COMPAT)}"
        )
    return repaired if compat == "repaired" else {n: _term(f) for n, f in paper.items()}


def _term(function: str) -> Term:
    scores = _only_evaluates(function)
    return Term(reward(function), 0.0 if scores else 1.0, required=not scores)


def _only_evaluates(function: str) -> bool:
    return function.startswith("get_score_")


@declare(uses=("completion", "sample"))
def _of_one(x: RewardInput, /, *, function: str, options: Mapping[str, Any]) -> float:
    gold = x.sample.gold if x.sample else None
    return float(FUNCTIONS[function](x.completion, gold, **options))


@declare(uses=("completion", "sample", "step", "siblings"))
def _length_among_siblings(x: RewardInput) -> float | None:
    if x.step is None or x.siblings is None or x.sample is None:
        return None
    group = [x.completion, *x.siblings]
    return len_reward(group, [x.sample.gold] * len(group), current_step=x.step)[0]


# --- rewards in training ---


def accuracy_reward(completion: object, solution: object, **_columns: object) -> float:
    """1 if Ans(c) == Ans(s) as strings; without an answer block also if math-verify agrees."""
    text, truth = _text(completion, "completion"), _text(solution, "solution")
    return float(_answer(text) == _answer(truth) or _agrees_untagged(text, truth))


def math_accuracy_reward(completion: object, solution: object, **_columns: object) -> float:
    """1 within 5 % of the solution, 0 beyond 20 %, a cosine ramp between; may be NaN.

    p, g = float(Ans(c)), float(Ans(s)); if either is not a float, 1 for equal strings.
    A right 0 earns 0: the released code swallows its division by zero.
    """
    text, truth = _text(completion, "completion"), _text(solution, "solution")
    value = _near(_answer(text), _answer(truth))
    return 1.0 if value == 0 and _agrees_untagged(text, truth) else value


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


def format_reward(completion: object, solution: object = None, **_columns: object) -> float:
    """1 if the whole text is a think and an answer block, with any contents."""
    return _is_blocks(completion, ("think", "answer"))


def caption_format_reward(completion: object, solution: object = None, **_columns: object) -> float:
    """1 if the whole text is a summary, a caption, a think and an answer block."""
    return _is_blocks(completion, ("summary", "caption", "think", "answer"))


def reasoning_steps_reward(
    completion: object, solution: object = None, **_columns: object
) -> float:
    """min(1, n / 3) for n markers of a step, anywhere in the text."""
    return min(1.0, len(_STEP.findall(_text(completion, "completion"))) / 3)


def len_reward(
    completion: Sequence[object],
    solution: Sequence[object],
    current_step: object = None,
    **_columns: object,
) -> list[float]:
    """Up to 0.025 for short correct completions, down to -0.025 for long ones; 0 before step 800.

    lambda = 1/2 - (len - min) / (max - min), in characters; 0.05 lambda if
    correct, else 0.05 min(0, lambda).
    """
    if not isinstance(current_step, int | float):
        raise SampleError(f"len_reward needs current_step, a number, not {current_step!r}")
    texts = [_text(one, "completion") for one in completion]
    lengths = [len(text) for text in texts]
    if current_step < 800 or len(set(lengths)) < 2:
        return [0.0] * len(lengths)
    low, high = min(lengths), max(lengths)
    shares = [0.5 - (length - low) / (high - low) for length in lengths]
    truths = [_text(one, "solution") for one in solution]
    return [
        0.05 * (share if _is_right(text, truth) else min(0.0, share))
        for text, truth, share in zip(texts, truths, shares, strict=True)
    ]


# --- scores in evaluation ---


def get_score_clevr(prediction: object, solution: object) -> float:
    """1 if the answer block, or the untagged text, equals the solution or math-verify agrees."""
    return _score(prediction, solution)


def get_score_geomath(prediction: object, solution: object, enhance: bool = False) -> float:
    """As `get_score_clevr`; `enhance` also accepts an untagged text that contains the solution."""
    return _score(prediction, solution, enhance)


def get_score_geometry3k(prediction: object, solution: object, enhance: bool = False) -> float:
    """As `get_score_geomath`."""
    return _score(prediction, solution, enhance)


def get_score_trance(prediction: object, solution: object) -> float:
    """As `func_accuracy_reward`, but repeats are free, and a multi-line block is not found.

    Then the calls of the whole text count, including those of the reasoning.
    """
    text = _text(prediction, "prediction")
    block = next((block for line in text.split("\n") if (block := _block(line)) is not None), text)
    return _matched(set(_calls(block)), _wanted(solution), _PARTIAL)


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            accuracy_reward,
            math_accuracy_reward,
            func_accuracy_reward,
            only_full_func_accuracy_reward,
            penalty_func_accuracy_reward,
            format_reward,
            caption_format_reward,
            reasoning_steps_reward,
            len_reward,
            get_score_clevr,
            get_score_geomath,
            get_score_geometry3k,
            get_score_trance,
        )
    }
)


# --- shared by these functions ---


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise SampleError(f"the {what} is {value!r}, but the paper's functions need text")
    return value


def _answer(text: str) -> str:
    block = _block(text)
    return text.strip() if block is None else block


def _block(text: str) -> str | None:
    """The stripped content of the first answer block, or None."""
    _, opened, rest = text.partition("<answer>")
    content, closed, _ = rest.partition("</answer>")
    return content.strip() if opened and closed else None


def _agrees_untagged(text: str, truth: str) -> bool:
    """Whether math-verify accepts any expression of a text without an answer block."""
    return _block(text) is None and maths.accepts(text, truth)


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


def _is_right(text: str, truth: str) -> bool:
    answer, wanted = _answer(text), _answer(truth)
    return answer == wanted or _same_float(answer, wanted) or _agrees_untagged(text, truth)


def _same_float(answer: str, truth: str) -> bool:
    try:
        return float(answer) == float(truth)
    except ValueError:
        return False


def _calls(text: str) -> list[Call]:
    """Every `function(object, value)`, with or without single quotes around the value."""
    return _CALL.findall(text)


def _call_reward(completion: object, solution: object, weights: Sequence[float]) -> float:
    calls = _calls(_answer(_text(completion, "completion")))
    if not calls:
        return 0.0
    fresh = len(set(calls)) / len(calls)
    return _matched(set(calls), _wanted(solution), weights, fresh)


def _wanted(solution: object) -> set[Call]:
    """The calls of a solution; none if it is not text, where the original swallows its error."""
    return set(_calls(solution)) if isinstance(solution, str) else set()


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


def _is_blocks(completion: object, names: Sequence[str]) -> float:
    return float(_blocks(*names).fullmatch(_text(completion, "completion")) is not None)


def _blocks(*names: str) -> re.Pattern[str]:
    """Lazy blocks with white space between them, in linear time.

    Each pair of tags between blocks is matched at its first place: a later place would
    never make the rest match, so this accepts the same texts as lazy blocks do.
    """
    between = [f"(?>.*?</{a}>\\s*+<{b}>)" for a, b in pairwise(names)]
    return re.compile(f"<{names[0]}>{''.join(between)}.*</{names[-1]}>", re.DOTALL)


def _score(prediction: object, solution: object, enhance: bool = False) -> float:
    text = _text(prediction, "prediction")
    block = _block(text)
    if not isinstance(solution, str):
        return 0.0  # the original swallows its error
    if block is not None:
        return float(block == solution or maths.accepts(block, solution))
    contained = enhance and solution.strip() in text
    return float(contained or text.strip() == solution.strip() or maths.accepts(text, solution))
