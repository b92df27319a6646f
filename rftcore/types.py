"""The values that plugins and the core exchange: `Sample`, `Prompt`, `Parsed`, `Task`.

Frozen data with next to no behavior; nothing here imports a heavy package,
so a plugin that builds a `Task` costs nothing until the task is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rftcore.images import Image

TASK_SECTIONS = ("sft", "grpo", "evaluation")  # of a recipe: what `Task.defaults` may set
SUITE_RESERVED = ("blind", "about")  # the other keys of a suite's report


@dataclass(frozen=True)
class Sample:
    """One dataset row.

    `gold` is canonical text that the task's parser reads; `cot` is the
    reasoning shown in SFT, without tags; `origin` names where the row came
    from ("train.json row 17") and goes into every error about it.
    """

    id: str
    question: str
    gold: str
    images: tuple[Image, ...] = ()
    cot: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""

    @property
    def where(self) -> str:
        """Where it came from, for messages: its origin, else "sample ID"."""
        return self.origin or f"sample {self.id}"

    def content_hash(self) -> str:
        """Hash of question, gold and the images' keys. Reads no image.

        `rftcore.datasets.checks.check` compares the pixels themselves: a key may depend on how
        a path is written, and one image may be in two files.
        """
        parts = [self.question, self.gold, *(image.key for image in self.images)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Prompt:
    """What the policy is shown: the images first, then the text."""

    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """An answer read from text, or the `error` that explains why there is none."""

    value: Any = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.error is None


@runtime_checkable
class Parser(Protocol):
    """Reads answers. Total: any text gives a `Parsed`, none raises."""

    def parse(self, completion: str) -> Parsed:
        """Read the answer a policy gave in a whole completion."""

    def gold(self, text: str) -> Parsed:
        """Read a sample's canonical gold text."""

    def show(self, value: Any) -> str:
        """Write a value as canonical text: `gold(show(v)).value == v`."""


@dataclass(frozen=True)
class RewardInput:
    """The input of a reward.

    `answer` is None if the completion has none. The rest is None unless the
    reward declares that it uses it (`rftcore.rewards.reward(uses=...)`), so
    a reward that declares only the answer gets nothing else.

    `correct` is whether the task's accuracy term is exactly 1; `tokens` is the
    length of the completion in tokens of the policy, `sibling_tokens` that of its
    siblings. What the caller of the scorer does not have is None even then.
    """

    answer: Any
    gold: Any
    completion: str | None = None
    sample: Sample | None = None
    step: int | None = None
    siblings: tuple[str, ...] | None = None
    tokens: int | None = None
    sibling_tokens: tuple[int, ...] | None = None
    correct: bool | None = None


@dataclass(frozen=True)
class RewardResult:
    """A reward with an explanation for the logs."""

    value: float
    note: str = ""


RewardOutput = float | RewardResult | None


class Reward(Protocol):
    """A pure function of one completion. None means "does not apply"."""

    def __call__(self, x: RewardInput, /) -> RewardOutput:
        """Reward one completion."""


@dataclass(frozen=True)
class Term:
    """One reward in a task's weighted sum; `required` terms must succeed."""

    reward: Reward | str
    weight: float = 1.0
    required: bool = True


@runtime_checkable
class Dataset(Protocol):
    """Samples by split and index. `sample` is pure: same index, same sample, everywhere."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits it has, e.g. ("sft", "rl", "val", "test", "ood-vehicles")."""

    def size(self, split: str) -> int:
        """How many samples `split` has."""

    def sample(self, split: str, index: int) -> Sample:
        """The sample at `index`. Raises `IndexError` outside [0, size)."""


@runtime_checkable
class PreparedDataset(Dataset, Protocol):
    """A dataset that can make many images at once, faster than one by one."""

    def prepare(self, split: str, indices: Sequence[int]) -> None:
        """Make the images of these samples now, with a progress bar; reuse what exists."""


PromptMaker = Callable[[Sample], Prompt]
TargetMaker = Callable[[Sample], str]


@dataclass(frozen=True)
class Task:
    """A problem whose answers a program can check.

    `prompt` is what training and evaluation show. `direct_prompt`, if given,
    requests the answer alone: a fair prompt for a model that was not trained to
    reason, used for the zero-shot row and for ANS-SFT. `target` is what SFT teaches for a
    sample, by default its reasoning and gold in tags. `groups` are keys of `Sample.meta` by whose
    values accuracy is also reported (a list counts by its length), `metrics` names of rewards whose
    mean is reported with its interval. `defaults` is like a
    recipe with the sections of `TASK_SECTIONS` alone, such as
    `{"grpo": {"max_completion_length": 128}}`: what the task's answers need,
    whatever the model. A recipe can change it. `files` are options of the dataset
    `reason-rft` for a folder of this task's data, such as `{"words": ["cubes"]}`.
    """

    name: str
    dataset: Dataset | str
    prompt: PromptMaker
    parser: Parser | str
    rewards: Mapping[str, Term]
    summary: str = ""
    direct_prompt: PromptMaker | None = None
    target: TargetMaker | None = None
    groups: Sequence[str] = ()
    metrics: Sequence[str] = ()
    accuracy: str = "accuracy"
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)


def same_text(completion: str, gold: str) -> tuple[int, int]:
    """1 of 1 part is right if the completion is the gold, space around both aside; else 0 of 1."""
    return int(completion.strip() == gold.strip()), 1


@dataclass(frozen=True)
class Measure:
    """One thing that a suite measures: samples, their questions shown word for word.

    `score` takes a completion and the gold, and returns how many parts of the answer are
    right and how many there are, at least one: a list of four objects may be (3, 4).
    """

    samples: Sequence[Sample]
    score: Callable[[str, str], tuple[int, int]] = same_text


@dataclass(frozen=True)
class Suite:
    """Fixed questions that measure a model independent of a task, such as what it sees in images.

    `measures` makes them by key, in the order of the table. It is called when the suite is
    run, so it may be slow and render images. No key is one of `SUITE_RESERVED`.
    """

    name: str
    measures: Callable[[], Mapping[str, Measure]]
    summary: str = ""
    max_new_tokens: int = 64
    batch_size: int = 64


TaskFactory = Callable[..., Task]
DatasetFactory = Callable[..., Dataset]
ParserFactory = Callable[..., Parser]
RewardFactory = Callable[..., Reward]
ModelFactory = Callable[..., Path]
SuiteFactory = Callable[..., Suite]
