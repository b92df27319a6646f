"""The task `transformation`: which calls turn the first image into the second.

After TRANCE, with the answers of Reason-RFT. In distribution: both images
from the center. Out of distribution: the second from the left or the right.
Importing this module does not import the generator or the renderer.
"""

from collections.abc import Mapping
from typing import Any

import rftcore as rft
from rftcore.types import Dataset, DatasetFactory, Reward, RewardFactory, TaskFactory

MOST_READ = 8  # calls of an answer: twice as many as a gold has, few enough to execute
_LONGEST = 144  # tokens of a completion; nano needs up to 91, other tokenizers more


def transformation_scenes(
    objects_low: int = 3,
    objects_high: int = 5,
    calls_low: int = 1,
    calls_high: int = 4,
    seed: int = 0,
    sft: int = 1600,
    rl: int = 1440,
    val: int = 150,
    test: int = 400,
    ood: int = 200,
) -> Dataset:
    """Scenes of `objects_low` to `objects_high` objects, and how many samples a split has.

    calls_low, calls_high: number of changes between the two images, 1 to 4.
    ood: samples of `ood-left`, and as many of `ood-right`.

    Raises: RecipeError for options that no scene or split can satisfy.
    """
    from rft_transformation.dataset import TransformationScenes

    sizes = {"sft": sft, "rl": rl, "val": val, "test": test, "ood-left": ood, "ood-right": ood}
    return TransformationScenes(
        objects_low=objects_low,
        objects_high=objects_high,
        calls_low=calls_low,
        calls_high=calls_high,
        seed=seed,
        sizes=sizes,
    )


@rft.with_options_of(transformation_scenes)
def transformation(compat: str = "repaired", **options: Any) -> rft.Task:
    """Describe what changed as 1 to 4 calls such as change_size(0, large).

    Rewards as in the paper's scripts: calls that are fully right, and format, weight 1 each.
    With weight 0, a process reward for the reasoning and the other scores of the literature:
    partial credit, and TVR's Acc, LAcc and AD, which execute the calls.

    compat: "paper" uses the rewards of the paper's released code, bug for bug, and also
        measures its score; "repaired" uses rewards without these defects.
    """
    from rft_transformation import rewards
    from rft_transformation.language import FUNCTIONS, INSTRUCTION

    return rft.Task(
        name="transformation",
        dataset=transformation_scenes(**options),
        prompt=rft.prompts.think_then_answer(INSTRUCTION),
        direct_prompt=rft.prompts.direct(INSTRUCTION),
        groups=("calls", "view"),
        parser=rft.parsers.Calls(FUNCTIONS, low=0, high=99, most=MOST_READ),
        rewards=rft.rewards.paper.terms(
            compat,
            {
                "accuracy": rft.Term(rewards.calls_exact, 1.0),
                "format": rft.Term(rft.rewards.tags, 1.0),
                "process": rft.Term(rewards.process, 0.0, required=False),
                "partial": rft.Term(rewards.calls_partial, 0.0, required=False),
                "state": rft.Term(rewards.state, 0.0, required=False),
                "state-loose": rft.Term(rewards.state_loose, 0.0, required=False),
                "state-distance": rft.Term(rewards.state_distance, 0.0, required=False),
            },
            {
                "accuracy": "only_full_func_accuracy_reward",
                "format": "format_reward",
                "score": "get_score_trance",
            },
        ),
        summary="Name the changes between two images of a scene.",
        defaults={
            "grpo": {"max_completion_length": _LONGEST},
            "evaluation": {"max_new_tokens": _LONGEST},
        },
        files={
            "names": ("a1", "spatial transformation"),
            "words": ("spatial", "transformation", "trance"),
            "roles": ("train", "test", "ood-left", "ood-right"),
        },
    )


def _calls_exact() -> Reward:
    """The share of calls that are fully right, in any order; 1 only if all are."""
    from rft_transformation.rewards import calls_exact

    return calls_exact


def _calls_partial() -> Reward:
    """1, 1/2 or 1/4 for each call that is fully or partly right, in the best pairing."""
    from rft_transformation.rewards import calls_partial

    return calls_partial


def _calls_penalized() -> Reward:
    """1 for each call that is fully right, a penalty for every other one."""
    from rft_transformation.rewards import calls_penalized

    return calls_penalized


def _state() -> Reward:
    """1 if executing the calls ends in the second image's state, without overlaps."""
    from rft_transformation.rewards import state

    return state


@rft.hookimpl
def rft_tasks() -> Mapping[str, TaskFactory]:
    """Offer the task."""
    return {"transformation": transformation}


@rft.hookimpl
def rft_datasets() -> Mapping[str, DatasetFactory]:
    """Offer the samples to other tasks."""
    return {"transformation-scenes": transformation_scenes}


@rft.hookimpl
def rft_rewards() -> Mapping[str, RewardFactory]:
    """Offer the rewards to recipes and to other tasks whose answers are calls."""
    return {
        "calls-exact": _calls_exact,
        "calls-partial": _calls_partial,
        "calls-penalized": _calls_penalized,
        "state": _state,
    }
