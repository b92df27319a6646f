"""The task `structure`: problems of plane geometry about a drawn figure.

In distribution the text contains the given values, after GeoMath. Out of
distribution only the drawing contains them, after Geometry3K, or theorems are combined
as in no training problem. Importing this module does not import the generator or matplotlib.
"""

from collections.abc import Mapping
from typing import Any

import rftcore as rft
from rftcore.types import (
    Dataset,
    DatasetFactory,
    Parser,
    ParserFactory,
    Reward,
    RewardFactory,
    TaskFactory,
)

_LONGEST = 128  # tokens of a completion; nano needs up to 94, other tokenizers more


def geometry_problems(
    seed: int = 0,
    sft: int = 1600,
    rl: int = 1440,
    val: int = 300,
    test: int = 600,
    ood_diagram: int = 300,
    ood_compose: int = 300,
    choices: float = 0.5,
    angle_step: int = 5,
    image_size: int = 224,
) -> Dataset:
    """Figures with a question, and how many samples a split has.

    choices: share of multiple-choice samples.
    angle_step: angles are multiples of it (1, 2 or 5) where a problem has several.
    image_size: width and height in pixels.

    Raises: RecipeError for options out of range.
    """
    from rft_structure.dataset import GeometryProblems

    sizes = {"sft": sft, "rl": rl, "val": val, "test": test}
    sizes |= {"ood-diagram": ood_diagram, "ood-compose": ood_compose}
    return GeometryProblems(
        seed=seed, sizes=sizes, choices=choices, angle_step=angle_step, image_size=image_size
    )


@rft.with_options_of(geometry_problems)
def structure(compat: str = "repaired", **options: Any) -> rft.Task:
    """Angles, lengths, areas and perimeters, found in one to three steps.

    Accuracy is strict; half of its weight is that of the paper's tolerance reward,
    so that an answer close to the gold earns something. Numbers and choices have the same
    prompt, so that it gives no hint about the gold.

    compat: "paper" uses the rewards of the paper's released code, bug for bug, and also
        measures its score; "repaired" uses rewards without these defects.
    """
    from rft_structure.answers import NearAnswer, NumberOrChoice, same_answer
    from rft_structure.language import INSTRUCTION

    return rft.Task(
        name="structure",
        dataset=geometry_problems(**options),
        prompt=rft.prompts.think_then_answer(INSTRUCTION),
        direct_prompt=rft.prompts.direct(INSTRUCTION),
        groups=("kind", "theorems"),
        parser=NumberOrChoice(),
        rewards=rft.rewards.paper.terms(
            compat,
            {
                "accuracy": rft.Term(same_answer, 0.5),
                "tolerance": rft.Term(NearAnswer(), 0.5),
                "format": rft.Term(rft.rewards.tags, 1.0),
            },
            {
                "accuracy": "accuracy_reward",
                "format": "format_reward",
                "score": "get_score_geomath",
            },
        ),
        summary="Find an angle, a length or an area in a drawn figure.",
        defaults={
            "grpo": {"max_completion_length": _LONGEST},
            "evaluation": {"max_new_tokens": _LONGEST},
        },
        files={
            "names": ("a2", "structure perception"),
            "words": ("structure", "geomath", "geometry3k"),
            "roles": ("train", "test", "ood-test"),
            "rl_rows": "all",  # the paper has few rows for this task
        },
    )


def number_or_choice(letters: str = "ABCD") -> Parser:
    """A parser for a number, or one letter of `letters`."""
    from rft_structure.answers import NumberOrChoice

    return NumberOrChoice(letters)


def _same_answer() -> Reward:
    """1 for the same letter, or for the same number to one decimal, else 0."""
    from rft_structure.answers import same_answer

    return same_answer


def _near_answer(full_within: float = 0.05, zero_beyond: float = 0.20) -> Reward:
    """The cosine ramp of `tolerance` for a number, 1 or 0 for a letter."""
    from rft_structure.answers import NearAnswer

    return NearAnswer(full_within, zero_beyond)


@rft.hookimpl
def rft_tasks() -> Mapping[str, TaskFactory]:
    """Offer the task."""
    return {"structure": structure}


@rft.hookimpl
def rft_datasets() -> Mapping[str, DatasetFactory]:
    """Offer the samples to other tasks."""
    return {"geometry-problems": geometry_problems}


@rft.hookimpl
def rft_parsers() -> Mapping[str, ParserFactory]:
    """Offer the parser for both kinds of answer."""
    return {"number-or-choice": number_or_choice}


@rft.hookimpl
def rft_rewards() -> Mapping[str, RewardFactory]:
    """Offer the rewards for both kinds of answer."""
    return {"same-answer": _same_answer, "near-answer": _near_answer}
