"""The task my-task: which bar is the highest?

rft imports this module at every start: keep Pillow, torch and the like out of module level.
"""

from collections.abc import Callable, Mapping

import rftcore as rft

from rft_my_task.dataset import SIZES, Bars


def task(lead: int = 2, seed: int = 0) -> rft.Task:
    """Make the task. The arguments are its options: `--set task_options.lead=3`."""
    return rft.Task(
        name="my-task",
        summary="Which bar is the highest?",
        dataset=Bars(lead=lead, seed=seed, sizes=SIZES),
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
