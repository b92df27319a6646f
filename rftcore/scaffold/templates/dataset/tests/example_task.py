"""A task that uses the dataset as others will: by its name."""

import rftcore as rft


def task() -> rft.Task:
    """A task whose answer is a number."""
    return rft.Task(
        name="example",
        dataset="my-task",
        prompt=rft.prompts.think_then_answer("Answer with one number."),
        parser=rft.parsers.Integer(low=0, high=99),
        rewards={"accuracy": rft.Term(rft.rewards.exact), "format": rft.Term(rft.rewards.tags)},
    )
