"""The task my-task: which shape changed?

rft imports this module at every start: keep Pillow, torch and the like out of module level.
"""

from collections.abc import Callable, Mapping

import rftcore as rft

from rft_my_task.dataset import SIZES, Changes


def task(seed: int = 0) -> rft.Task:
    """Make the task. The arguments are its options: `--set task_options.seed=1`."""
    return rft.Task(
        name="my-task",
        summary="Which shape changed?",
        dataset=Changes(seed=seed, sizes=SIZES),
        # The same instruction for every sample, so that it cannot reveal the answer.
        prompt=rft.prompts.think_then_answer("Answer with one letter."),
        direct_prompt=rft.prompts.direct("Answer with one letter."),
        parser=rft.parsers.Choice("ABCD"),
        rewards={
            "accuracy": rft.Term(rft.rewards.exact, weight=1.0),  # what the table reports
            "format": rft.Term(rft.rewards.tags, weight=0.5),
        },
    )


@rft.hookimpl
def rft_tasks() -> Mapping[str, Callable[..., rft.Task]]:
    """Offer the task to rft by its name."""
    return {"my-task": task}
