"""Faults of a chat template by which a run trains on other tokens than it evaluates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rftcore import tags
from rftcore.models.encoding import conversation, render, text_ids, with_reply
from rftcore.models.policy import tokenizer_of
from rftcore.types import Prompt


def template_faults(source: str | Path, processor: Any) -> Iterator[str]:
    """What is wrong with the chat template, as far as three tokens show: warnings, one line each.

    SFT, rollouts and evaluation must condition on the same tokens, and a target must end in
    a token that ends generation, or the policy is taught never to stop.
    """
    prompt = Prompt("?")
    text = render(processor, prompt)
    shown = text_ids(processor, text)
    rollout = processor.apply_chat_template(
        conversation(prompt), tokenize=True, add_generation_prompt=True, return_dict=True
    )["input_ids"]
    rollout = rollout[0] if rollout and isinstance(rollout[0], list) else rollout
    if list(rollout) != shown:
        yield (
            f"{source}: a prompt is not the same tokens everywhere: its tokenizer adds tokens of "
            f"its own in GRPO's rollouts ({len(rollout)} tokens for {len(shown)} in SFT and "
            "evaluation). Let the chat template write them, and the tokenizer add none"
        )
    reply = tags.write("1 + 1", "2")
    whole = with_reply(processor, prompt, reply)
    if reply not in whole:
        yield (
            f"{source}: its chat template changes an answer: SFT would teach "
            f"{whole[len(text) :]!r} instead of {reply!r}. Let the template write the assistant's "
            "text as it is, reasoning included"
        )
    elif not whole.startswith(text):
        yield (
            f"{source}: its chat template begins the assistant's turn in one way where an answer "
            f"follows and in another where a completion begins ({text[-40:]!r}), so SFT teaches "
            "another prompt than GRPO and evaluation show"
        )
    elif not _stop_ids(source, processor) & {*text_ids(processor, whole)[len(shown) :]}:
        yield (
            f"{source}: its chat template ends an answer without a token that ends generation, so "
            "SFT teaches the policy never to stop: let the template write the end-of-turn token, "
            "or put the token that it writes into generation_config.json (eos_token_id)"
        )


def _stop_ids(source: str | Path, processor: Any) -> set[int | None]:
    """The tokens that end generation, without the weights."""
    from transformers import AutoConfig, GenerationConfig

    tokenizer = tokenizer_of(processor)
    try:
        config: Any = GenerationConfig.from_pretrained(source)
    except OSError:  # none was saved: transformers makes one of the model's configuration
        config = AutoConfig.from_pretrained(source).get_text_config()
    ends = getattr(config, "eos_token_id", None)
    return {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}
