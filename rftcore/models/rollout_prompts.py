"""The prompts of GRPO: the tokens that TRL makes of them are those that evaluation reads.

TRL calls the chat template and the processor itself, with few arguments of its own.
`rollout_template_kwargs` finds what else they need, by trying. `require_equal_prompts` reports a
model for which nothing does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rftcore.errors import ModelError
from rftcore.models.encoding import apply_processor, conversation, render, sentence
from rftcore.models.vision import blank
from rftcore.types import Prompt

Rows = list[list[int]]
TEXTS = ("?", "A longer question?")  # of two lengths
SIZES = ((64, 64), (120, 64))
TOKENS = ("input_ids", "attention_mask")
_AS_THEY_ARE: Mapping[str, Any] = MappingProxyType(
    {
        "processor_kwargs": {
            "text_kwargs": {"padding": False, "return_tensors": None},
            "images_kwargs": {"return_tensors": "pt"},
        }
    }
)


def rollout_template_kwargs(processor: Any) -> dict[str, Any]:
    """What TRL passes to the chat template, so that a rollout has the tokens of its prompt alone.

    - TRL tokenizes a rendered prompt a second time, for the fields beside its tokens, such as
      `token_type_ids`. A start token that the template writes would then be there twice, and
      these fields shifted by one. So the template leaves it out, and the tokenizer adds it both
      times.
    - TRL takes all tokens of a batch as prompts, and batches of different lengths. Some
      processors pad by default (Gemma 4), or make one tensor of all (Pixtral).
    - Some processors read what their image processor makes as tensors (Ovis2).

    Returns: the first of these that gives the tokens of evaluation both times; {} if none does.
    """
    named = "bos_token" in str(processor.chat_template)  # else transformers would warn of it
    starts = ({}, {"bos_token": ""}) if named else ({},)
    for start, batch in product(starts, ({}, _AS_THEY_ARE)):
        try:
            if not any(_differences(processor, {**start, **batch})):
                return copy.deepcopy({**start, **batch})
        except Exception:  # each family raises its own types; `require_equal_prompts` reports it
            continue
    return {}


def require_equal_prompts(source: str | Path, processor: Any) -> None:
    """Raise `ModelError` if GRPO's rollouts or its loss read other tokens than evaluation."""
    try:
        found = next(_differences(processor, rollout_template_kwargs(processor)), None)
    except Exception as error:  # each family raises its own types
        raise ModelError(f"{source}: a prompt of GRPO failed: {sentence(error)}") from error
    if found is not None:
        theirs, shown = found
        raise ModelError(
            f"{source}: a prompt is not the same tokens everywhere: its tokenizer adds tokens of "
            f"its own in GRPO ({len(theirs)} tokens for {len(shown)} in SFT and evaluation). Let "
            "the chat template write them, and the tokenizer add none"
        )


def _differences(
    processor: Any, options: Mapping[str, Any]
) -> Iterator[tuple[list[int], list[int]]]:
    """Prompts that are other tokens in GRPO than in evaluation: first text alone, then images."""
    for prompts in ([Prompt(text) for text in TEXTS], _with_images(processor)):
        shown = [_shown(processor, prompt) for prompt in prompts]
        for rows in _rollout_tokens(processor, prompts, options) if prompts else ():
            yield from (pair for pair in zip(rows, shown, strict=True) if pair[0] != pair[1])


def _with_images(processor: Any) -> list[Prompt]:
    """Prompts with one image each; none if evaluation cannot read them, which is another fault."""
    prompts = [Prompt(t, (blank(size),)) for t, size in zip(TEXTS, SIZES, strict=True)]
    try:
        for prompt in prompts:
            _shown(processor, prompt)
    except ModelError:
        return []
    return prompts


def _shown(processor: Any, prompt: Prompt) -> list[int]:
    """The tokens of a prompt as evaluation reads them."""
    images = [image.open() for image in prompt.images]
    made = apply_processor(processor, [render(processor, prompt)], [images])
    ids: list[int] = made["input_ids"][0].tolist()
    return ids


def _rollout_tokens(
    processor: Any, prompts: Sequence[Prompt], options: Mapping[str, Any]
) -> Iterator[Rows]:
    """The tokens of prompts as TRL makes them with `options`: for rollouts, then for scoring.

    The latter only if the processor makes fields beside them, one number per token.
    """
    turns = [_turns(prompt) for prompt in prompts]
    given = copy.deepcopy(dict(options))  # transformers writes into `processor_kwargs`
    template = partial(processor.apply_chat_template, add_generation_prompt=True, **given)
    made = template(turns, tokenize=True, return_dict=True)["input_ids"]
    yield [[*map(int, row)] for row in made]
    images = [[image.open() for image in prompt.images] for prompt in prompts]
    scored = processor(
        text=[template(each, tokenize=False) for each in turns],
        images=images if any(images) else None,
        padding=True,
        return_tensors="pt",
    )
    ids, masks = scored["input_ids"], scored["attention_mask"].bool()
    shapes = [getattr(scored[name], "shape", ()) for name in {*scored} - {*TOKENS}]
    if any(shape == ids.shape for shape in shapes):  # else TRL uses none of these tokens
        yield [row[mask].tolist() for row, mask in zip(ids, masks, strict=True)]


def _turns(prompt: Prompt) -> list[dict[str, Any]]:
    """A conversation with its images inside, as TRL makes it."""
    (turn,) = conversation(prompt)
    images = iter(prompt.images)
    parts = [
        {**part, "image": next(images).open()} if part["type"] == "image" else part
        for part in turn["content"]
    ]
    return [{**turn, "content": parts}]
