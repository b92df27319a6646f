"""Turn prompts into what a model reads: chat template, then processor, then token ids and pixels.

Training, rollouts and evaluation build their inputs with `conversation` and `encode`, so all
three show the policy the same tokens and the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rftcore import tags
from rftcore.errors import ModelError, one_line
from rftcore.models.policy import Policy, tokenizer_of
from rftcore.types import Prompt

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage
    from transformers import BatchFeature

Turn = dict[str, Any]  # of a chat: a role and its content


def conversation(prompt: Prompt) -> list[Turn]:
    """A prompt as one user message: images first, then the text."""
    images = [{"type": "image"} for _ in prompt.images]
    return [{"role": "user", "content": [*images, {"type": "text", "text": prompt.text}]}]


def encode(
    policy: Policy, prompts: Sequence[Prompt], targets: Sequence[str] | None = None
) -> BatchFeature:
    """Model inputs for a batch of B prompts, padded on the left to T tokens.

    With `targets`, each prompt is followed by its answer and the end of turn,
    as the chat template writes them.
    Shape: `input_ids` and `attention_mask` (B, T); pixels as the family's processor returns them.
    Raises: `ModelError` if the chat template or the processor fails for a prompt.
    """
    if targets is None:
        texts = [render(policy.processor, prompt) for prompt in prompts]
    else:
        pairs = zip(prompts, targets, strict=True)
        texts = [with_reply(policy.processor, prompt, reply) for prompt, reply in pairs]
    images = [[image.open() for image in prompt.images] for prompt in prompts]
    inputs = apply_processor(policy.processor, texts, images)
    return inputs.to(policy.model.device, policy.model.dtype)  # Swin does not cast pixels itself


def apply_processor(
    processor: Any, texts: Sequence[str], images: Sequence[Sequence[PilImage]]
) -> BatchFeature:
    """What the processor returns for rendered texts and the images of each, padded on the left.

    Raises: `ModelError` if it fails for them.
    """
    try:
        inputs: BatchFeature = processor(
            text=list(texts),
            images=[list(each) for each in images] if any(images) else None,
            padding=True,
            padding_side="left",
            return_tensors="pt",
            add_special_tokens=False,  # the chat template has written them
        )
    except Exception as error:  # each family raises its own types
        name = type(processor).__name__
        raise ModelError(f"{name} cannot process it: {sentence(error)}") from error
    return inputs


def sentence(error: Exception) -> str:
    """The text of an exception as one line without a full stop, whatever its length."""
    return one_line(error, most=10**6).rstrip(".") or type(error).__name__


def render(processor: Any, prompt: Prompt) -> str:
    """The prompt as the chat template writes it, up to where the completion begins.

    Raises: `ModelError` if the template fails.
    """
    return _templated(processor, conversation(prompt), add_generation_prompt=True)


def with_reply(processor: Any, prompt: Prompt, reply: str) -> str:
    """The prompt and one assistant turn, as the chat template writes them.

    Raises: `ModelError` if the template fails.
    """
    content = [{"type": "text", "text": reply}]
    return _templated(processor, [*conversation(prompt), {"role": "assistant", "content": content}])


def _templated(processor: Any, turns: Sequence[Mapping[str, Any]], **options: Any) -> str:
    try:
        text: str = processor.apply_chat_template(list(turns), tokenize=False, **options)
    except Exception as error:  # a template is a program and may raise anything
        raise ModelError(
            f"the chat template of {type(processor).__name__} failed: {sentence(error)}. rft "
            "writes one user turn (images, then text) and one assistant turn."
        ) from error
    return text


def opening(policy: Policy, prompt: Prompt) -> str:
    """The tag that the chat template leaves open where the completion begins, or ""."""
    return tags.opened(render(policy.processor, prompt))


def opens_think(processor: Any, prompt: Prompt) -> bool:
    """Whether the chat template ends the rendered prompt in an opening think tag.

    Then a completion begins inside the reasoning, and only closes it.
    """
    return bool(tags.opened(render(processor, prompt)))


def reply_tokens(processor: Any, text: str) -> int:
    """How many tokens a completion of `text` has, its end of turn included."""
    return text_tokens(processor, text) + 1


def text_tokens(processor: Any, text: str) -> int:
    """How many tokens a text has, an image placeholder counted as written."""
    return len(text_ids(processor, text))


def text_ids(processor: Any, text: str) -> list[int]:
    """The tokens of a text by id, without any that the tokenizer would add."""
    ids: list[int] = tokenizer_of(processor)(text, add_special_tokens=False)["input_ids"]
    return ids


def placeholders(processor: Any) -> list[str]:
    """The texts that the processor replaces by images, videos or sound."""
    names = ("image_token", "video_token", "audio_token")
    found = (getattr(processor, name, None) for name in names)
    return [str(token) for token in found if token]


def special_tokens(processor: Any) -> dict[int, str]:
    """Tokens that text must not spell, by id: all special ones but the one for unknown text."""
    tokenizer: Any = tokenizer_of(processor)
    added = getattr(tokenizer, "added_tokens_decoder", {}).items()
    found = {number: str(token) for number, token in added if token.special}
    texts = tokenizer.all_special_tokens
    found |= dict(zip(tokenizer.convert_tokens_to_ids(texts), texts, strict=True))
    found.pop(tokenizer.unk_token_id, None)
    return found
