"""Turn prompts into what a model reads: chat template, then processor, then token ids and pixels.

SFT, rollouts and evaluation show the policy the same tokens and the same pixels, in every family:

- `render` writes the token that some tokenizers put before a text by themselves (`<s>`), because
  rollouts have it. `rftcore.models.rollout_prompts` keeps rollouts from having it
  twice.
- The completion of SFT is the target itself and the end of turn, not what the template makes of
  them. If a template's end of turn does not end generation, `end_of_turn` is a token that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

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

    With `targets`, each prompt is followed by its answer and the end of turn, as in SFT.
    Shape: `input_ids` and `attention_mask` (B, T); pixels as the family's processor returns them.
    Raises: `ModelError` if the chat template or the processor fails for a prompt.
    """
    if targets is None:
        texts = [render(policy.processor, prompt) for prompt in prompts]
    else:
        end = end_of_turn(policy.processor, stop_ids(policy))
        pairs = zip(prompts, targets, strict=True)
        texts = [with_reply(policy.processor, prompt, reply, end) for prompt, reply in pairs]
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

    It begins with the token that the tokenizer would add, unless the template writes it.
    Raises: `ModelError` if the template fails.
    """
    text: str = templated(processor, conversation(prompt), add_generation_prompt=True)
    start = start_token(processor)
    return text if text.startswith(start) else start + text


def start_token(processor: Any) -> str:
    """The token that the tokenizer or processor adds before a text, such as "<s>", or ""."""
    tokenizer: Any = tokenizer_of(processor)
    added = tokenizer("")["input_ids"]
    if added == [tokenizer.bos_token_id]:
        return str(tokenizer.bos_token)
    return processor_start(processor)


_STARTS: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # by processor


def processor_start(processor: Any) -> str:
    """The token that a processor puts before any text without it (Molmo 2), or ""."""
    if processor not in _STARTS:
        _STARTS[processor] = _processor_start(processor)
    return _STARTS[processor]


def _processor_start(processor: Any) -> str:
    def read(text: str) -> list[int]:
        ids: list[int] = apply_processor(processor, [text], [()])["input_ids"][0].tolist()
        return ids

    text = "a"
    try:
        found = read(text)
        if found[1:] != text_ids(processor, text):
            return ""
        tokenizer: Any = tokenizer_of(processor)
        start = str(tokenizer.convert_ids_to_tokens(found[0]))
        return start if read(start + text) == found else ""
    except ModelError:  # it takes no text without images
        return ""


def completion(prompt: str, reply: str, end: str) -> str:
    """What SFT teaches after a rendered prompt: the reply and the end of turn.

    The tag that the prompt has opened is left out of the reply.
    """
    return tags.without_opening(tags.opened(prompt), reply) + end


def with_reply(processor: Any, prompt: Prompt, reply: str, end: str) -> str:
    """The rendered prompt and its completion. end: what ends the turn (`end_of_turn`).

    Raises: `ModelError` if the template fails.
    """
    text = render(processor, prompt)
    return text + completion(text, reply, end)


def end_of_turn(processor: Any, stops: set[int]) -> str:
    """What ends an answer: as the chat template writes it if that ends generation, else a token.

    stops: the tokens that end generation.
    Raises: `ModelError` if the template fails, or if there is no such token.
    """
    written = template_end(processor)
    if stops & {*text_ids(processor, written)}:
        return written
    tokenizer: Any = tokenizer_of(processor)
    if not stops:
        raise ModelError(
            "no token ends a completion of this model, so each would run to its limit: put one "
            "into generation_config.json (eos_token_id) in the model's folder"
        )
    chosen = tokenizer.eos_token_id if tokenizer.eos_token_id in stops else min(stops)
    return str(tokenizer.convert_ids_to_tokens(chosen))


def template_end(processor: Any) -> str:
    """What the chat template writes after an answer; "" if it leaves out the answer.

    Raises: `ModelError` if the template fails.
    """
    reply = "Seven."
    turns = [*conversation(Prompt("?")), _assistant(reply)]
    before, _, after = templated(processor, turns).rpartition(reply)
    return after if before else ""


def _assistant(reply: str) -> Turn:
    return {"role": "assistant", "content": [{"type": "text", "text": reply}]}


def stop_ids(policy: Policy) -> set[int]:
    """The tokens that end generation."""
    return stops_of(policy.model.generation_config.eos_token_id, policy.processor)


def stops_of(ends: int | Sequence[int] | None, processor: Any) -> set[int]:
    """The tokens that end generation. ends: the `eos_token_id` of a generation config."""
    listed = ends if isinstance(ends, Sequence) else [ends]
    return {token for token in (*listed, tokenizer_of(processor).eos_token_id) if token is not None}


def templated(processor: Any, turns: Sequence[Any], **options: Any) -> Any:
    """The text of a conversation, or what else `options` ask for.

    Raises: `ModelError` if the template fails.
    """
    try:
        made = processor.apply_chat_template(list(turns), **{"tokenize": False, **options})
    except Exception as error:  # a template is a program and may raise anything
        raise ModelError(
            f"the chat template of {type(processor).__name__} failed: {sentence(error)}. rft "
            "writes one user turn (images, then text) and one assistant turn."
        ) from error
    return made


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
