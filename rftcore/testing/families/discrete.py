"""Tiny Chameleon and Emu3: an image is tokens of the vocabulary, which an encoder chooses."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    Parts,
    builder,
    content,
    ends_of,
    ids_of,
    small_tokenizer,
)

CODES = 32  # tokens that an image may be made of
SMALL = {"hidden_size": 24, "intermediate_size": 48}  # the encoders have 32 channels or more
BEGIN, END, PAD = "<|extra_203|>", "<|extra_204|>", "<|endoftext|>"
NAMES = {
    "image_token": "<image>",
    "boi_token": "<|image start|>",
    "eoi_token": "<|image end|>",
    "image_wrapper_token": "<|image token|>",
    "eof_token": "<|extra_201|>",
}
EMU3 = (
    "{%- for message in messages -%}"
    "{{- message['role'] | upper + ': ' -}}"
    f"{content('<image>')}"
    "{{- eos_token if message['role'] == 'assistant' else ' ' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}"
)
# The processor ends the prompt (and any text) by itself.
CHAMELEON = f"{{%- for message in messages -%}}{content('<image>')}{{%- endfor -%}}"


@builder(EMU3)
def tiny_emu3(chat_template: str | None) -> Parts:
    """Write an Emu3: a token per 8 x 8 pixels and per row, images of any shape."""
    from transformers import Emu3Config, Emu3ForConditionalGeneration, Emu3Processor
    from transformers.models.emu3.image_processing_emu3 import Emu3ImageProcessor

    classes: Any = (Emu3Processor, Emu3ImageProcessor)
    whole, of_images = classes
    codes = [f"<|visual token {code:06d}|>" for code in range(CODES)]
    specials = (PAD, BEGIN, END, "<|extra_200|>", *NAMES.values(), *codes)
    tokenizer = small_tokenizer(specials, pad=PAD, end=END, begin=BEGIN, names=NAMES)
    images = of_images(min_pixels=32 * 32, max_pixels=64 * 64)
    processor = whole(images, tokenizer, chat_template=chat_template)
    vision = {
        "codebook_size": CODES,
        "temporal_downsample_factor": 1,
        "base_channels": 32,
        "channel_multiplier": [1, 1, 1, 1],
        "num_res_blocks": 0,
        "attn_resolutions": [],
        "hidden_size": 32,
    }
    vocabulary = {token: tokenizer.convert_tokens_to_ids(token) for token in specials}
    config = Emu3Config(
        text_config={**TEXT, **ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD), **SMALL},
        vq_config=vision,
        vocabulary_map=vocabulary,
    )
    generation = ends_of(END, pad=PAD, begin=BEGIN)
    return Parts(Emu3ForConditionalGeneration, config, processor, generation)


@builder(CHAMELEON)
def tiny_chameleon(chat_template: str | None) -> Parts:
    """Write a Chameleon: an image is 16 tokens, whatever its size."""
    from transformers import (
        ChameleonConfig,
        ChameleonForConditionalGeneration,
        ChameleonProcessor,
    )
    from transformers.models.chameleon.image_processing_chameleon import ChameleonImageProcessor

    classes: Any = (ChameleonProcessor, ChameleonImageProcessor)
    whole, of_images = classes
    letters = "ABCDEFGHIJ"  # its codes are spelled by letters in place of digits
    codes = [f"IMGIMG{letters[code // 10]}{letters[code % 10]}Z" for code in range(CODES)]
    marks = ("<image>", "<racm3:break>", "<eoss>", "<reserved08706>")
    specials = ("<pad>", "<s>", "</s>", *marks, *codes)
    tokenizer = small_tokenizer(specials, pad="<pad>", end="</s>", begin="<s>", writes_begin=True)
    tokenizer.sep_token = "<reserved08706>"
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    processor = whole(of_images(**size), tokenizer, image_seq_length=16)
    processor.chat_template = chat_template
    vision = {
        "embed_dim": 16,
        "num_embeddings": CODES,
        "latent_channels": 16,
        "resolution": 32,
        "base_channels": 32,
        "channel_multiplier": [1, 1, 1, 1],
        "num_res_blocks": 0,
    }
    vocabulary = {token: tokenizer.convert_tokens_to_ids(token) for token in specials}
    config = ChameleonConfig(
        **{**TEXT, **ids_of(tokenizer, begin="<s>", end="</s>", pad="<pad>"), **SMALL},
        vq_config=vision,
        vocabulary_map=vocabulary,
    )
    generation = ends_of("</s>", pad="<pad>", begin="<s>")
    return Parts(ChameleonForConditionalGeneration, config, processor, generation)
