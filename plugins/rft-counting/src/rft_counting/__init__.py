"""The task `counting`: arithmetic questions about the objects in a rendered scene.

In distribution: plain shapes, after CLEVR-Math. Out of distribution: vehicles,
after Super-CLEVR. Importing this module does not import the generator or the renderer.
"""

from collections.abc import Mapping
from typing import Any

import rftcore as rft
from rftcore.types import Dataset, DatasetFactory, TaskFactory


def counting_scenes(
    objects_low: int = 3,
    objects_high: int = 8,
    seed: int = 0,
    sft: int = 1600,
    rl: int = 1440,
    val: int = 300,
    test: int = 1000,
    ood: int = 500,
    sft_objects_high: int | None = None,
    sft_fuller: float = 0.015,
) -> Dataset:
    """Scenes of `objects_low` to `objects_high` objects, and how many samples a split has.

    sft_objects_high, sft_fuller: most objects of a scene in `sft` (at least `objects_low`),
        except for a share `sft_fuller` of scenes with more. None means `objects_high`. With 5,
        SFT teaches the reasoning on small scenes and shows only few larger ones.

    Raises: RecipeError for options that no scene or split can satisfy.
    """
    from rft_counting.dataset import CountingScenes

    sizes = {"sft": sft, "rl": rl, "val": val, "test": test, "ood-vehicles": ood}
    return CountingScenes(
        objects_low=objects_low,
        objects_high=objects_high,
        seed=seed,
        sizes=sizes,
        sft_objects_high=objects_high if sft_objects_high is None else sft_objects_high,
        sft_fuller=sft_fuller,
    )


@rft.with_options_of(counting_scenes)
def counting(compat: str = "repaired", **options: Any) -> rft.Task:
    """Count the objects of a scene after some are added or removed; answers from 0 to 20.

    Rewards: accuracy and format as in the paper, weight 1 each, and with weight 2 the
    agreement of the reasoning's list with the scene. The parser's range is wider than that of
    the answers, so that it gives no hint about the gold.

    compat: "paper" uses the rewards of the paper's released code, bug for bug, and also
        measures its score; "repaired" uses rewards without these defects.

    Raises: RecipeError for options that no scene or split can satisfy.
    """
    from rft_counting.rewards import process

    return rft.Task(
        name="counting",
        dataset=counting_scenes(**options),
        prompt=rft.prompts.think_then_answer("Answer with one number."),
        direct_prompt=rft.prompts.direct("Answer with one number."),
        groups=("family", "objects"),
        parser=rft.parsers.Integer(low=0, high=99),
        rewards=rft.rewards.paper.terms(
            compat,
            {
                "accuracy": rft.Term(rft.rewards.exact, 1.0),
                "format": rft.Term(rft.rewards.tags, 1.0),
                "process": rft.Term(process, 2.0, required=False),
            },
            {
                "accuracy": "accuracy_reward",
                "format": "format_reward",
                "score": "get_score_clevr",
            },
        ),
        summary="Count the objects of a scene after some are added or removed.",
        files={
            "names": ("a3", "visual counting"),
            "words": ("counting", "clevr", "superclevr"),
            "roles": ("train", "test", "ood-test"),
        },
    )


@rft.hookimpl
def rft_tasks() -> Mapping[str, TaskFactory]:
    """Offer the task."""
    return {"counting": counting}


@rft.hookimpl
def rft_datasets() -> Mapping[str, DatasetFactory]:
    """Offer the samples to other tasks."""
    return {"counting-scenes": counting_scenes}
