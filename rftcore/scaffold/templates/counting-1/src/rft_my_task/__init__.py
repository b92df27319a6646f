"""The task my-task: how many triangles are there?

rft imports this module at every start: keep Pillow, torch and the like out of module level.
"""

from collections.abc import Callable, Mapping

import rftcore as rft

from rft_my_task.dataset import SIZES, Triangles


def task(most: int = 5, seed: int = 0) -> rft.Task:
    """Make the task. The arguments are its options: `--set task_options.most=3`."""
    return rft.Task(
        name="my-task",
        summary="How many triangles are there?",
        dataset=Triangles(most=most, seed=seed, sizes=SIZES),
        # The same instruction for every sample, so that it cannot reveal the answer.
        prompt=rft.prompts.think_then_answer("Answer with one number."),
        direct_prompt=rft.prompts.direct("Answer with one number."),
        # A wider range than the answers have, for the same reason.
        parser=rft.parsers.Integer(low=0, high=99),
        rewards={
            "accuracy": rft.Term(rft.rewards.exact, weight=1.0),  # what the table reports
            "format": rft.Term(rft.rewards.tags, weight=0.5),
        },
    )


@rft.hookimpl
def rft_tasks() -> Mapping[str, Callable[..., rft.Task]]:
    """Offer the task to rft by its name."""
    return {"my-task": task}
