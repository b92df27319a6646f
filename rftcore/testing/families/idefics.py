"""Tiny Idefics3 and SmolVLM: an image is cut into rows and columns, with a token for each place."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 56  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
TOKENS = 4
PLACES = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))
MARKS = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")


def template(begin: str) -> str:
    """The family's chat template after a start token."""
    return (
        f"{{{{- '{begin}' -}}}}"
        "{%- for message in messages -%}"
        "{{- message['role'] | capitalize + ':' -}}"
        "{%- if message['content'][0]['type'] != 'image' -%}{{- ' ' -}}{%- endif -%}"
        "{%- for part in message['content'] -%}"
        "{%- if part['type'] == 'image' -%}{{- '<image>' -}}"
        "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}"
        "{%- endfor -%}"
        "{{- '<end_of_utterance>\n' -}}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}"
    )


SMOLVLM = template("<|im_start|>")
IDEFICS3 = template("<|begin_of_text|>")


@builder(IDEFICS3)
def tiny_idefics3(chat_template: str | None) -> Parts:
    """Write an Idefics3: an image is read whole and in up to 2 x 2 tiles, 4 tokens each."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_idefics3 import Idefics3ImageProcessor

    begin, end, pad = "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"
    specials = (begin, end, pad, "<|eot_id|>", *MARKS, *PLACES)
    tokenizer = small_tokenizer(specials, pad=pad, end=end, begin=begin, writes_begin=True)
    processors: Any = (Idefics3Processor, Idefics3ImageProcessor)
    whole, of_images = processors
    processor = whole(
        of_images(**_sizes()), tokenizer, image_seq_len=TOKENS, chat_template=chat_template
    )
    config = _config(Idefics3Config, tokenizer, ids_of(tokenizer, begin=begin, end=end, pad=pad))
    return Parts(
        Idefics3ForConditionalGeneration,
        config,
        processor,
        {
            "bos_token_id": begin,
            "eos_token_id": [end, "<|eot_id|>", "<end_of_utterance>"],
            "pad_token_id": pad,
        },
    )


@builder(SMOLVLM)
def tiny_smolvlm(chat_template: str | None) -> Parts:
    """Write a SmolVLM: an image is read whole and in up to 2 x 2 tiles, 4 tokens each.

    Raises: ImportError if torchvision or num2words is not installed.
    """
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMProcessor
    from transformers.models.smolvlm.image_processing_smolvlm import SmolVLMImageProcessor
    from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

    begin, end, pad = "<|im_start|>", "<end_of_utterance>", "<|im_end|>"
    specials = ("<|endoftext|>", begin, pad, *MARKS, *PLACES)
    tokenizer = small_tokenizer(specials, pad=pad, end=end, begin=begin)
    processors: Any = (SmolVLMProcessor, SmolVLMImageProcessor, SmolVLMVideoProcessor)
    whole, of_images, of_videos = processors
    processor = whole(
        of_images(**_sizes()),
        tokenizer,
        of_videos(size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}),
        image_seq_len=TOKENS,
        chat_template=chat_template,
    )
    config = _config(SmolVLMConfig, tokenizer, ids_of(tokenizer, begin=begin, end=end, pad=pad))
    return Parts(
        SmolVLMForConditionalGeneration,
        config,
        processor,
        ends_of(end, pad=pad, begin=begin),
    )


def _sizes() -> dict[str, dict[str, int]]:
    return {"size": {"longest_edge": 2 * SIDE}, "max_image_size": {"longest_edge": SIDE}}


def _config(config: Any, tokenizer: Any, ids: dict[str, int]) -> Any:
    return config(
        text_config={**TEXT, **ids, "model_type": "llama"},
        vision_config={**TOWER, "image_size": SIDE},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=ids["pad_token_id"],
    )
