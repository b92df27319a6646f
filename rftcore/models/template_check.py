"""Faults of a chat template by which a run trains on other tokens than it evaluates."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from rftcore.config import PolicyRecipe
from rftcore.errors import ModelError
from rftcore.models.adapters import base_of, is_adapter
from rftcore.models.configs import model_config
from rftcore.models.encoding import (
    apply_processor,
    end_of_turn,
    processor_start,
    stops_of,
    template_end,
    text_ids,
)
from rftcore.models.policy import tokenizer_of
from rftcore.models.sources import PLAIN


def unpassed(source: str | Path, fields: Collection[str]) -> str:
    """A line for fields of tokens that TRL leaves out of the loss of GRPO; "" for none.

    Some families do without them. Of others the first step fails, or the log-probabilities of
    the first rollouts differ from those in the loss: either ends the run.
    """
    if not fields:
        return ""
    return (
        f"{source}: its processor makes {', '.join(sorted(fields))}, which TRL does not pass to "
        "the loss of GRPO. If GRPO fails for that, SFT can be run alone: --set grpo.enabled=false"
    )


def require_plain_targets(source: str | Path, processor: Any) -> None:
    """Raise `ModelError` if the processor adds tokens to a target of SFT, but a start token.

    That one SFT leaves out (`rftcore.training.starts`).
    """
    text = "Seven."
    try:
        read = apply_processor(processor, [text], [()])["input_ids"][0].tolist()
    except ModelError as error:
        raise ModelError(
            f"{source}: a target of SFT, which is text without images, failed: {error}. Leave out "
            "SFT (--set sft.enabled=false), or take a model of another family"
        ) from error
    if read != text_ids(processor, processor_start(processor) + text):
        added = tokenizer_of(processor).decode(read)
        raise ModelError(
            f"{source}: its processor reads {text!r} as {added!r}, so SFT would teach tokens that "
            "no answer has. Leave out SFT (--set sft.enabled=false), or take a model of another "
            "family"
        )


def replaced_end(source: str | Path, processor: Any, settings: PolicyRecipe = PLAIN) -> str:
    """A line if SFT ends its targets otherwise than the chat template ends an answer, or "".

    Raises: `ModelError` if no token ends generation.
    """
    written, end = (
        template_end(processor),
        end_of_turn(processor, declared_stops(source, processor, settings)),
    )
    if end == written:
        return ""
    return (
        f"{source}: its chat template ends an answer with {written!r}, which does not end "
        f"generation, so the targets of SFT end with {end!r} instead"
    )


def declared_stops(source: str | Path, processor: Any, settings: PolicyRecipe) -> set[int]:
    """The tokens that end generation, without the weights."""
    from transformers import GenerationConfig

    whole = base_of(source) if is_adapter(source) else source
    try:
        config: Any = GenerationConfig.from_pretrained(whole)
    except OSError:  # none was saved: transformers makes one of the model's configuration
        config = model_config(source, settings).get_text_config()
    return stops_of(getattr(config, "eos_token_id", None), processor)
