"""Laws of a prompt: it shows the sample, all of it and nothing more, and asks for what fits."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rftcore.config import load_recipe, model_defaults
from rftcore.errors import RftError, describe
from rftcore.testing.digests import shown
from rftcore.testing.law import BrokenError, NotApplicableError, law
from rftcore.testing.subject import Subject
from rftcore.types import Prompt, Sample

WHOLE = ("samples-whole",)
ASKS = ("prompt-sure",)
_BEFORE = 8  # characters in front of an answer that tell its place
_OFTEN = 0.9


@law(
    "prompt-sure",
    "prompt",
    "Every sample has a prompt, with text, and always the same one.",
    why="SFT, GRPO and evaluation each ask: what is measured must be what was trained.",
    cause="a wording drawn at random, or a number that counts calls",
    fix="draw wordings in the dataset, by the sample's own random numbers",
    needs=WHOLE,
)
def prompt_sure(subject: Subject) -> None:
    """All that were read; made twice."""
    for sample in subject.every:
        try:
            one, two = subject.task.prompt(sample), subject.task.prompt(sample)
        except Exception as error:
            raise BrokenError(
                f"{_named(sample)}: {describe(error)}",
                cause="the prompt reads what some samples do not have, such as a key of meta",
                fix="give it to every sample, or ask without it",
            ) from error
        if not isinstance(one, Prompt) or not one.text.strip():
            raise BrokenError(
                f"{_named(sample)}: the prompt is {shown(one)}",
                cause="the text is returned by itself, or a question is blank",
                fix="return rft.Prompt(text, sample.images)",
            )
        if one.text != two.text:
            raise BrokenError(f"{_named(sample)}: first {shown(one.text)}, then {shown(two.text)}")


@law(
    "prompt-shows-pictures-once",
    "prompt",
    "A prompt shows the sample's pictures, each once and in their order.",
    why="A picture that is missing or doubled trains a model that does not look.",
    cause="rft.Prompt(text) without images, or only the first of several",
    fix="rft.Prompt(text, sample.images), or rft.prompts.think_then_answer",
    needs=ASKS,
)
def prompt_shows_pictures_once(subject: Subject) -> None:
    """By the pictures' keys."""
    if not any(sample.images for sample in subject.every):
        raise NotApplicableError("the samples have no pictures")
    for sample in subject.few:
        wanted = [image.key for image in sample.images]
        seen = [image.key for image in subject.task.prompt(sample).images]
        if seen != wanted:
            raise BrokenError(
                f"{_named(sample)} has {shown(wanted)}, its prompt shows {shown(seen)}"
            )


@law(
    "prompt-blind-to-gold",
    "prompt",
    "A prompt does not depend on the gold or the chain of thought.",
    why="A model learns to read the answer, or its type, from the question.",
    cause="the instruction is chosen by the answer: 'answer with a letter' if it is one",
    fix="one instruction for all samples; what differs belongs into the question",
    needs=ASKS,
)
def prompt_blind_to_gold(subject: Subject) -> None:
    """Asked again with the gold of every other sample."""
    golds = list(dict.fromkeys(sample.gold for sample in subject.few))
    for sample in subject.few:
        text = subject.task.prompt(sample).text
        for gold in [*golds, f"{sample.gold}{sample.gold}"]:
            other = subject.task.prompt(replace(sample, gold=gold, cot="Otherwise.")).text
            if other != text:
                raise BrokenError(
                    f"{_named(sample)}: with the gold {shown(gold)} for {shown(sample.gold)} the "
                    f"prompt is {shown(other)} instead of {shown(text)}"
                )


@law(
    "question-tells-nothing",
    "prompt",
    "The answer has no fixed place in the question.",
    why="A model that reads it there never looks at the picture, and scores highest.",
    cause="a file whose questions end in their answers, or a template filled in too far",
    fix="look at `rft tasks preview`; cut the answer off",
    needs=("prompt-blind-to-gold",),
)
def question_tells_nothing(subject: Subject) -> None:
    """What stands before the gold in nearly every prompt, and does not before other golds."""
    samples = subject.every
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
    "limits-fit",
    "prompt",
    "What SFT teaches fits into what the policy may write.",
    why="A completion that is cut off has no answer, and earns nothing however good it is.",
    cause="long reasoning, and the limits of another task",
    fix="set max_completion_length and max_new_tokens in the task's defaults",
    needs=WHOLE,
)
def limits_fit(subject: Subject) -> None:
    """In tokens of the default model, or in words, which are fewer, where it is not installed."""
    from rftcore import prompts

    reasoned = [sample for sample in subject.every if sample.cot and sample.cot.strip()]
    if not reasoned:
        raise NotApplicableError("no sample has a chain of thought")
    folder = _model(subject)
    layers = [*model_defaults(folder), subject.catalogue.defaults_of(subject.name, subject.task)]
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
                raise BrokenError(f"{name} is {limit}, and {_named(sample)} takes {tokens} {unit}")


def _named(sample: Sample) -> str:
    return sample.origin or f"sample {sample.id}"


def _places(text: str, gold: str) -> set[str]:
    """What stands before each mention of a gold, as a word of its own."""
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
