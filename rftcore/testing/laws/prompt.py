"""Laws of a prompt: it shows the whole sample and nothing else, and its targets fit."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rftcore.config import load_recipe, model_defaults
from rftcore.errors import RftError, describe
from rftcore.testing.digests import shown
from rftcore.testing.errors import BrokenError, NotApplicableError
from rftcore.testing.law import law
from rftcore.testing.subject import Subject
from rftcore.types import Prompt

WHOLE = ("samples-valid",)
DETERMINISTIC = ("prompt-deterministic",)
_BEFORE = 8  # characters in front of an answer that identify its place
_OFTEN = 0.9


@law(
    "prompt-deterministic",
    "prompt",
    "Every sample has a prompt with text, the same each time.",
    why="SFT, GRPO and evaluation each make the prompt: evaluation must measure what was trained.",
    cause="a random wording, or a counter of calls",
    fix="choose wordings in the dataset, with a generator seeded per sample",
    needs=WHOLE,
)
def prompt_deterministic(subject: Subject) -> None:
    """All that were read; made twice."""
    for sample in subject.all_samples:
        try:
            one, two = subject.task.prompt(sample), subject.task.prompt(sample)
        except Exception as error:
            raise BrokenError(
                f"{sample.where}: {describe(error)}",
                cause="the prompt reads what some samples do not have, such as a key of meta",
                fix="give it to every sample, or do not use it",
            ) from error
        if not isinstance(one, Prompt) or not one.text.strip():
            raise BrokenError(
                f"{sample.where}: the prompt is {shown(one)}",
                cause="the text is returned by itself, or a question is blank",
                fix="return rft.Prompt(text, sample.images)",
            )
        if one.text != two.text:
            raise BrokenError(f"{sample.where}: first {shown(one.text)}, then {shown(two.text)}")


@law(
    "prompt-shows-images-once",
    "prompt",
    "A prompt shows the sample's images, each once and in their order.",
    why="With a missing or repeated image the model learns to ignore images.",
    cause="rft.Prompt(text) without images, or only the first of several",
    fix="rft.Prompt(text, sample.images), or rft.prompts.think_then_answer",
    needs=DETERMINISTIC,
)
def prompt_shows_images_once(subject: Subject) -> None:
    """By the images' keys."""
    if not any(sample.images for sample in subject.all_samples):
        raise NotApplicableError("the samples have no images")
    for sample in subject.sample_subset:
        wanted = [image.key for image in sample.images]
        seen = [image.key for image in subject.task.prompt(sample).images]
        if seen != wanted:
            raise BrokenError(f"{sample.where} has {shown(wanted)}, its prompt shows {shown(seen)}")


@law(
    "prompt-blind-to-gold",
    "prompt",
    "A prompt does not depend on the gold or the chain of thought.",
    why="The model would learn to read the answer, or its type, from the question.",
    cause="the instruction is chosen by the answer: 'answer with a letter' if it is one",
    fix="use one instruction for all samples; what differs belongs in the question",
    needs=DETERMINISTIC,
)
def prompt_blind_to_gold(subject: Subject) -> None:
    """Made again with the gold of every other sample."""
    golds = list(dict.fromkeys(sample.gold for sample in subject.sample_subset))
    for sample in subject.sample_subset:
        text = subject.task.prompt(sample).text
        for gold in [*golds, f"{sample.gold}{sample.gold}"]:
            other = subject.task.prompt(replace(sample, gold=gold, cot="Otherwise.")).text
            if other != text:
                raise BrokenError(
                    f"{sample.where}: with the gold {shown(gold)} for {shown(sample.gold)} the "
                    f"prompt is {shown(other)} instead of {shown(text)}"
                )


@law(
    "question-hides-answer",
    "prompt",
    "The answer is not at a fixed place in the question.",
    why="A model that copies it from there scores highest without using the image.",
    cause="a file whose questions end in their answers, or a template filled in too far",
    fix="look at `rft tasks preview`; remove the answer from the question",
    needs=("prompt-blind-to-gold",),
)
def question_hides_answer(subject: Subject) -> None:
    """The text before the gold in nearly every prompt, if it is not before other golds."""
    samples = subject.all_samples
    golds = list(dict.fromkeys(sample.gold for sample in samples))
    if len(samples) < 8 or len(golds) < 3:
        raise NotApplicableError("it takes eight samples with three different golds to see")
    texts = [subject.task.prompt(sample).text for sample in samples]
    rows = list(zip(samples, texts, strict=True))
    places = Counter(place for sample, text in rows for place in _places(text, sample.gold))
    for place, count in places.most_common(5):
        if count >= _OFTEN * len(rows):
            shifted = [*golds[1:], golds[0]]
            other = dict(zip(golds, shifted, strict=True))
            foreign = sum(place in _places(text, other[sample.gold]) for sample, text in rows)
            if foreign < count / 2:
                raise BrokenError(
                    f"{count} of {len(rows)} prompts have their gold after {place!r}, such as "
                    f"{shown(texts[0])}"
                )


@law(
    "targets-fit-limits",
    "prompt",
    "SFT targets fit the limits on completions.",
    why="A truncated completion has no answer and earns no reward, however good it is.",
    cause="long reasoning with limits set for another task",
    fix="set max_completion_length and max_new_tokens in the task's defaults",
    needs=WHOLE,
)
def targets_fit_limits(subject: Subject) -> None:
    """In tokens of the default model, or in words, which are fewer, where it is not installed."""
    from rftcore import prompts

    reasoned = [sample for sample in subject.all_samples if sample.cot and sample.cot.strip()]
    if not reasoned:
        raise NotApplicableError("no sample has a chain of thought")
    folder = _model(subject)
    layers = [
        *model_defaults(folder, subject.name),
        subject.catalogue.defaults_of(subject.name, subject.task),
    ]
    recipe = load_recipe(*layers, subject.layer)
    count, unit = _counter(folder, subject.recipe.model)
    extra = recipe.grpo.model_extra or {}
    limits = {
        "evaluation.max_new_tokens": recipe.evaluation.max_new_tokens,
        "grpo.max_completion_length": extra.get("max_completion_length"),
    }
    for sample in sorted(reasoned, key=lambda s: -len(s.cot or ""))[:100]:
        tokens = count(prompts.sft_target(sample)) + 1  # the end of turn
        for name, limit in limits.items():
            if limit is not None and tokens > limit:
                raise BrokenError(f"{name} is {limit}, and {sample.where} takes {tokens} {unit}")


def _places(text: str, gold: str) -> set[str]:
    """The text before each mention of a gold, as a word of its own."""
    found = re.finditer(rf"(?<!\w){re.escape(gold)}(?!\w)", text)
    return {text[max(0, match.start() - _BEFORE) : match.start()] for match in found}


def _model(subject: Subject) -> Path:
    """The folder of the model that the recipe trains, if it is there."""
    try:
        return Path(subject.catalogue.model(subject.recipe.model))
    except RftError:
        return Path("no such model")


def _counter(folder: Path, model: str) -> tuple[Callable[[str], int], str]:
    file = folder / "tokenizer.json"
    if not file.is_file():
        return lambda text: len(re.findall(r"\w+|[^\w\s]", text)), "words and marks"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text).ids), f"tokens of {model}"
