"""Check every row with the policy's processor before weights load.

A question may spell a special token and break the turn in two, an image may have sides
that the processor rejects, a prompt may be longer than the model's context. Each is found
here with the processor alone, in training and in `rft eval`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rftcore import tags
from rftcore.config import PolicyRecipe
from rftcore.errors import DataError, ModelError, SampleError
from rftcore.images import Image
from rftcore.models.configs import read_context
from rftcore.models.encoding import (
    apply_processor,
    placeholders,
    render,
    special_tokens,
    text_ids,
    text_tokens,
)
from rftcore.models.image_fields import lost
from rftcore.models.processors import load_processor
from rftcore.models.sources import PLAIN
from rftcore.models.vision import blank, check_placeholder
from rftcore.splits import SFT
from rftcore.types import Prompt, PromptMaker, Sample

TAGS = tags.tags_of(tags.write("", ""))


class Length(NamedTuple):
    """A number of tokens, and the row that has it."""

    tokens: int
    origin: str


@dataclass
class Shown:
    """One split so far: the lengths of its prompts, and its first row of each kind."""

    prompts: list[Length] = field(default_factory=list)
    images: int = 0  # rows that have any
    with_images: str = ""
    without_images: str = ""


class ProcessorCheck:
    """Checks samples one by one, and keeps the lengths of their prompts in tokens.

    sft_prompt: the prompt of samples of split sft, if it differs.

    Raises: `ModelError` for a processor that cannot show and read a task's samples.
    """

    def __init__(
        self,
        source: str | Path,
        prompt: PromptMaker,
        settings: PolicyRecipe = PLAIN,
        *,
        sft_prompt: PromptMaker | None = None,
    ) -> None:
        self.processor = load_processor(source, settings)
        self.context = read_context(source, self.processor, settings)
        self.splits: dict[str, Shown] = {}
        self.lost: set[str] = set()  # fields that the loss of GRPO does not read
        self._source, self._prompt, self._sft_prompt = str(source), prompt, sft_prompt or prompt
        self._specials = special_tokens(self.processor)
        self._image_tokens: dict[tuple[int, int], int] = {}
        self._counts: set[int] = {0}  # of images, for which the template has been checked
        if special := [tag for tag in TAGS if self._special_in(tag)]:
            raise ModelError(
                f"the tokenizer of {self._source} treats {special[0]} as a special token, which "
                "decoding leaves out, so no answer could be read: add it to the tokenizer with "
                "special=False"
            )

    def see(self, sample: Sample, split: str) -> int:
        """Check one sample. Returns how many tokens its prompt is, those of images included.

        Raises: `SampleError` naming the row; `ModelError` for a template that fails, and
        `VisionError` for one that leaves images out.
        """
        maker = self._sft_prompt if split == SFT else self._prompt
        where, prompt = sample.where, maker(sample)
        self.require_no_special_token(sample)
        shown = self.splits.setdefault(split, Shown())
        if prompt.images:
            shown.images, shown.with_images = shown.images + 1, shown.with_images or where
        else:
            shown.without_images = shown.without_images or where
        tokens = self._tokens(prompt, where)
        shown.prompts.append(Length(tokens, where))
        return tokens

    def require_no_special_token(self, sample: Sample) -> None:
        """Raise `SampleError` if a text of the sample, or its prompt, spells a special token."""
        where, prompt = sample.where, self._prompt(sample)
        for name, text in (
            ("question", sample.question),
            ("cot", sample.cot or ""),
            ("gold", sample.gold),
            ("task's prompt", prompt.text),
        ):
            if token := self._special_in(text):
                raise SampleError(f"{where}: {self._fault(name, token)}")

    def require_prompts_fit(self) -> None:
        """Raise `DataError` if a prompt alone is longer than the model's context."""
        faults, most = [], self.context.largest
        for split, shown in self.splits.items():
            over = [one for one in shown.prompts if most and one.tokens > most]
            if over:
                longest = max(over)
                faults.append(
                    f"{len(over)} of {len(shown.prompts)} prompts of split {split} are longer than "
                    f"the {most} tokens that {self._source} reads: the longest, "
                    f"{longest.origin}, takes {longest.tokens}, images included. Shorten these "
                    "rows, or leave them out"
                )
        if faults:
            raise DataError("\n".join(faults))

    def crowded(self, split: str, setting: str, tokens: int) -> Iterator[str]:
        """A warning if prompts of `split` leave no room for `tokens` more in the context."""
        prompts, context = self.splits[split].prompts, self.context.smallest
        over = [one for one in prompts if context and one.tokens + tokens > context]
        if over:
            longest = max(over)
            yield (
                f"{len(over)} of {len(prompts)} prompts of split {split} and {setting} = {tokens} "
                f"are together longer than the {context} tokens that {self._source} is made for: "
                f"the longest prompt, {longest.origin}, takes {longest.tokens}. Shorten these "
                f"rows, or lower {setting}"
            )

    def require_one_kind(self, split: str) -> None:
        """Check that all rows of a split have images, or none.

        Raises: `DataError` naming a row of each kind.
        """
        shown = self.splits.get(split, Shown())
        if shown.with_images and shown.without_images:
            raise DataError(
                f"split {split} has rows with and without images, which GRPO cannot train "
                f"together: {shown.with_images} has images, {shown.without_images} has none "
                f"({shown.images} of {len(shown.prompts)} rows have any). Leave out one kind, "
                "or train each in its own run"
            )

    def _special_in(self, text: str) -> str:
        """A special token or placeholder that `text` would be read as, or ""."""
        marks = (mark for mark in placeholders(self.processor) if mark in text)
        ids = text_ids(self.processor, text)
        return next((self._specials[i] for i in ids if i in self._specials), next(marks, ""))

    def _fault(self, name: str, token: str) -> str:
        if token in placeholders(self.processor):
            return (
                f"the {name} contains {token!r}, where this model puts an image: remove it, since "
                "rft itself puts the images, in order, before the text"
            )
        return (
            f"the {name} contains {token!r}, a special token of {self._source}, which would break "
            "the turn in two or be lost in decoding: remove it or spell it differently"
        )

    def _tokens(self, prompt: Prompt, where: str) -> int:
        if (count := len(prompt.images)) not in self._counts:
            check_placeholder(self.processor, self._source, count)
            self._counts.add(count)
        text = text_tokens(self.processor, render(self.processor, prompt))
        return text + sum(self._extra(image, where) for image in prompt.images)

    def _extra(self, image: Image, where: str) -> int:
        """How many tokens an image takes besides its placeholder; by its size alone."""
        size = image.size()
        if size not in self._image_tokens:
            shown = Prompt("?", (blank(size),))  # Idefics2 puts a space between image and text
            text = render(self.processor, shown)
            try:
                inputs = apply_processor(self.processor, [text], [[blank(size).open()]])
            except ModelError as error:
                raise SampleError(
                    f"{where}: image of {size[0]} x {size[1]} pixels: {error}"
                ) from error
            self.lost |= lost(inputs)
            whole = int(inputs["input_ids"].shape[1])
            self._image_tokens[size] = whole - text_tokens(self.processor, text)
        return self._image_tokens[size]
