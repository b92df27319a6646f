"""Tiny Inkling and Inkling 2: attention with short convolutions, experts, patches of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
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

IMAGE, SOUND = "<|unused_200054|>", "<|unused_200053|>"
END, PAD = "<|end_message|>", "<|endoftext|>"
MARKS = (
    *("<|content_image|>", "<|content_text|>", "<|content_audio_input|>"),
    *("<|message_user|>", "<|message_assistant|>", "<|message_system|>"),
)
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|message_' + message['role'] + '|>' -}}"
    f"{content('<|content_image|>' + IMAGE)}"
    "{{- '<|end_message|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|message_assistant|>' -}}{%- endif -%}"
)
ATTENTION: Mapping[str, Any] = MappingProxyType(
    {
        "head_dim": 16,
        "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 2,
        "swa_head_dim": 16,
        "sliding_window_size": 32,
        "d_rel": 4,
        "rel_extent": 64,
        "layer_types": ["hybrid_sliding", "hybrid"],
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
    }
)


@builder(TEMPLATE)
def tiny_inkling_mm_model(chat_template: str | None) -> Parts:
    """Write an Inkling: a token per patch of 4 x 4 of a fourth of the pixels, and sound.

    Raises: ImportError if scipy is not installed, with which its few layers are planned.
    """
    from transformers import (
        InklingConfig,
        InklingFeatureExtractor,
        InklingForConditionalGeneration,
        InklingProcessor,
    )
    from transformers.models.inkling.image_processing_inkling import InklingImageProcessor

    classes: Any = (InklingProcessor, InklingImageProcessor, InklingFeatureExtractor)
    whole, of_images, hears = classes
    tokenizer = small_tokenizer((PAD, END, IMAGE, SOUND, *MARKS), pad=PAD, end=END)
    processor = whole(
        hears(feature_size=8),
        of_images(size={"height": 4, "width": 4}, rescale_image_frac=0.25),
        tokenizer,
        chat_template=chat_template,
    )
    text = {
        **TEXT,
        **ATTENTION,
        **ids_of(tokenizer, begin=None, end=END, pad=PAD),
        "n_shared_experts": 1,
        "mlp_layer_types": ["dense", "sparse"],
        "logits_mup_width_multiplier": 1.0,
    }
    config = InklingConfig(
        text_config=text,
        vision_config={"patch_size": 4, "num_hidden_layers": 3},
        audio_config={"n_mel_bins": 8, "mel_vocab_size": 16},
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        audio_token_id=tokenizer.convert_tokens_to_ids(SOUND),
        image_bos_token_id=tokenizer.convert_tokens_to_ids("<|content_image|>"),
        audio_bos_token_id=tokenizer.convert_tokens_to_ids("<|content_audio_input|>"),
    )
    generation = ends_of(END, pad=PAD)
    return Parts(InklingForConditionalGeneration, config, processor, generation)


@builder(TEMPLATE)
def tiny_inkling2(chat_template: str | None) -> Parts:
    """Write an Inkling 2: a token per 2 x 2 patches of 8 x 8 pixels, images of any shape."""
    from transformers import Inkling2Config, Inkling2ForConditionalGeneration, Inkling2Processor
    from transformers.models.inkling2.image_processing_inkling2 import Inkling2ImageProcessor

    classes: Any = (Inkling2Processor, Inkling2ImageProcessor)
    whole, of_images = classes
    tokenizer = small_tokenizer((PAD, END, IMAGE, *MARKS), pad=PAD, end=END)
    images = of_images(size={"height": 16, "width": 16})
    processor = whole(images, tokenizer, chat_template=chat_template)
    text = {name: value for name, value in TEXT.items() if name != "intermediate_size"}
    ids = ids_of(tokenizer, begin=None, end=END, pad=PAD)
    text |= {**ATTENTION, **ids, "unpadded_vocab_size": ids["vocab_size"]}
    text["n_layers_per_attn_res_block"] = 1
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 8,
        "posemb_grid_size": 8,
        "projection_hidden_dim": 64,
        "text_hidden_size": 64,
    }
    config = Inkling2Config(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
    )
    generation = ends_of(END, pad=PAD)
    return Parts(Inkling2ForConditionalGeneration, config, processor, generation)
