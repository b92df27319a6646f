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

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from rftcore.errors import PluginError, RecipeError, closest
from rftcore.rewards import maths
from rftcore.rewards.declare import reward as declare
from rftcore.rewards.paper.answers import (
    accuracy_reward,
    get_score_clevr,
    get_score_geomath,
    get_score_geometry3k,
    math_accuracy_reward,
)
from rftcore.rewards.paper.calls import (
    func_accuracy_reward,
    get_score_trance,
    only_full_func_accuracy_reward,
    penalty_func_accuracy_reward,
)
from rftcore.rewards.paper.forms import (
    caption_format_reward,
    format_reward,
    len_reward,
    reasoning_steps_reward,
)
from rftcore.types import Reward, RewardInput, Term

COMPAT = ("repaired", "paper")
LENIENT = ("get_score_geomath", "get_score_geometry3k")  # functions with the option `enhance`
SYMBOLIC = ("accuracy_reward", "math_accuracy_reward", "len_reward", "get_score_clevr", *LENIENT)
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
