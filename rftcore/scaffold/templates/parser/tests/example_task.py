"""A task that uses the parser by its name. Its samples need no images."""

from dataclasses import dataclass

import rftcore as rft

SIZES = {"sft": 60, "rl": 60, "val": 30, "test": 30}


@dataclass(frozen=True, kw_only=True)
class Minutes(rft.GeneratedDataset):
    """Every minute of a day is in one split at most."""

    name = "minutes"
    version = 1

    def make(self, split: str, index: int) -> rft.Sample:
        """Two splits share no minute: each begins where the one before it ends."""
        before = [self.sizes[name] for name in self.splits[: self.splits.index(split)]]
        minute = (sum(before) + index) * 97 % (24 * 60)
        hours, minutes = divmod(minute, 60)
        return rft.Sample(
            id=self.id(split, index),
            question=f"What time is it {minute} minutes after midnight?",
            gold=f"{hours}:{minutes:02}",
            cot=f"{minute} is {hours} times 60 and {minutes}.",
        )


def task() -> rft.Task:
    """A task whose answer is a time."""
    return rft.Task(
        name="example",
        dataset=Minutes(sizes=SIZES),
        prompt=rft.prompts.think_then_answer("Answer with a time such as 7:05."),
        parser="my-task",
        rewards={"accuracy": rft.Term(rft.rewards.exact), "format": rft.Term(rft.rewards.tags)},
    )
