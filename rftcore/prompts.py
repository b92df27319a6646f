"""Turn a sample into the policy's prompt, and into the target of SFT.

Training, rollouts and evaluation call the same maker. `PromptHash` covers every
prompt of a run during the data check, and its result goes into the manifest.
"""

import hashlib
import json
from dataclasses import dataclass, replace

from rftcore import tags
from rftcore.errors import RftError, SampleError, describe
from rftcore.images.decoding import pixel_hash
from rftcore.types import Prompt, PromptMaker, Sample, TargetMaker, Task


@dataclass(frozen=True)
class _Ask:
    """The question, then the same few words for every sample. A class, so that it pickles.

    A question of several lines keeps them: the words begin a line of their own, and do not
    become part of the last one, which may be a choice.
    """

    instruction: str

    def __call__(self, sample: Sample) -> Prompt:
        question = sample.question
        gap = "\n" if "\n" in question else " "
        start = question.rstrip(" ") if question.rstrip(" ").endswith("\n") else question + gap
        return Prompt(f"{start}{self.instruction}".strip(), sample.images)


def think_then_answer(instruction: str) -> PromptMaker:
    """A prompt that requests reasoning and an answer in tags; `instruction` describes the answer.

    It must not depend on the sample: a prompt chosen by the gold answer leaks it.
    """
    return _Ask(f"{tags.REQUEST} {instruction}".strip())


def direct(instruction: str = "") -> PromptMaker:
    """A prompt that requests the answer alone, e.g. for the zero-shot row."""
    return _Ask(instruction)


def direct_of(task: Task) -> PromptMaker:
    """The prompt that requests the answer alone: the task's, or else the question as it is."""
    return task.direct_prompt or direct()


def answer_target(sample: Sample) -> str:
    """The target of ANS-SFT: the gold alone.

    Raises: SampleError if it contains tags, with which no parser could read the target.
    """
    if tags.has_tags(sample.gold):
        raise SampleError(f"{sample.where}: gold contains think or answer tags: remove them")
    return sample.gold


def has_reasoning(sample: Sample) -> bool:
    """Whether the sample has a chain of thought that SFT can teach."""
    return bool(sample.cot and sample.cot.strip())


@dataclass(frozen=True)
class _PromptByReasoning:
    """The task's prompt for samples with reasoning, else the one that requests the answer alone."""

    prompt: PromptMaker
    direct: PromptMaker

    def __call__(self, sample: Sample) -> Prompt:
        return (self.prompt if has_reasoning(sample) else self.direct)(sample)


@dataclass(frozen=True)
class _TargetByReasoning:
    """The task's target for samples with reasoning, else the bare answer."""

    target: TargetMaker

    def __call__(self, sample: Sample) -> str:
        return (self.target if has_reasoning(sample) else answer_target)(sample)


def with_bare_answers(task: Task) -> Task:
    """The task for SFT on data of which only a part has reasoning.

    A sample without reasoning has the prompt and the target of ANS-SFT. So no target has an
    empty think block, and no prompt requests reasoning that its target lacks.
    """
    prompt = _PromptByReasoning(task.prompt, direct_of(task))
    return replace(task, prompt=prompt, target=_TargetByReasoning(target_of(task)))


def target_of(task: Task) -> TargetMaker:
    """What SFT teaches for a sample of the task."""
    return task.target or sft_target


def sft_target(sample: Sample) -> str:
    """The target of SFT: the sample's chain of thought and gold in tags.

    Raises: SampleError if there is no chain of thought, or if it or the gold contains tags, with
    which no parser could read the target.
    """
    where = sample.where
    if sample.cot is None or not has_reasoning(sample):
        raise SampleError(f"{where}: no reasoning (cot) to learn from; SFT needs it")
    for name, text in (("cot", sample.cot), ("gold", sample.gold)):
        if tags.has_tags(text):
            raise SampleError(
                f"{where}: {name} contains think or answer tags, which are added here: remove them"
            )
    if tag := tags.foreign_tag(sample.cot):
        raise SampleError(f"{where}: cot has {tag!r:.60}, a tag of another format: remove it")
    return tags.write(sample.cot, sample.gold)


def made(maker: PromptMaker, sample: Sample) -> Prompt:
    """The prompt that a task makes of a sample.

    Raises: SampleError naming the sample if the maker fails, or returns anything but a prompt.
    """
    where = sample.where
    try:
        prompt = maker(sample)
    except RftError:
        raise
    except (Exception, SystemExit) as error:  # a plugin's code, on data its author has not seen
        raise SampleError(f"{where}: the task's prompt failed: {describe(error)}") from error
    if not isinstance(prompt, Prompt) or not isinstance(prompt.text, str):
        raise SampleError(
            f"{where}: the task's prompt returned {prompt!r:.60}: return rft.Prompt(text, images)"
        )
    return prompt


class PromptHash:
    """A hash of prompts in order: their texts, and which images each shows.

    An image of the sample counts by its place among the sample's images, whose pixels the
    data fingerprint covers; an image that the maker adds or changes counts by its pixels.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, maker: PromptMaker, sample: Sample) -> Prompt:
        """The prompt that `maker` makes of `sample`, which is counted.

        Raises: SampleError naming the sample if the maker fails, or an added image does not open.
        """
        places = {image.key: place for place, image in enumerate(sample.images)}
        prompt = made(maker, sample)
        try:
            shown = [
                places[image.key] if image.key in places else pixel_hash(image.open())
                for image in prompt.images
            ]
            line = json.dumps([prompt.text, shown])
        except RftError:
            raise
        except Exception as error:  # a plugin's code, on data its author has never seen
            where = sample.where
            raise SampleError(f"{where}: the task's prompt failed: {describe(error)}") from error
        self._digest.update(line.encode() + b"\n")
        return prompt

    def hexdigest(self) -> str:
        """The hash of all prompts so far: hex SHA-256."""
        return self._digest.hexdigest()
