"""Tiny MiniCPM-V 4.6 and 4.7: Qwen3.5 after a tower that reads all slices of all images as one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rftcore.testing.families.parts import Parts, builder, chatml, ids_of, small_tokenizer
from rftcore.testing.families.qwen import ENDS, linear_text

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "image_start_token": "<image>",
        "image_end_token": "</image>",
        "slice_start_token": "<slice>",
        "slice_end_token": "</slice>",
        "image_id_start_token": "<image_id>",
        "image_id_end_token": "</image_id>",
    }
)
TEMPLATE = chatml("<|image_pad|>")


@builder(TEMPLATE)
def tiny_minicpmv4_6(chat_template: str | None) -> Parts:
    """Write a MiniCPM-V 4.6: an image is read whole and in up to 4 slices."""
    return _parts("MiniCPMV4_6", {}, chat_template)


@builder(TEMPLATE)
def tiny_minicpmv4_7(chat_template: str | None) -> Parts:
    """Write a MiniCPM-V 4.7, whose position numbers follow the slices of an image."""
    marks = {
        "image_start_id": "<image>",
        "image_end_id": "</image>",
        "slice_start_id": "<slice>",
        "slice_end_id": "</slice>",
        "newline_id": "\u010a",  # a line break, as byte-level tokenizers spell it
    }
    return _parts("MiniCPMV4_7", marks, chat_template)


def _parts(name: str, marks: Mapping[str, str], chat_template: str | None) -> Parts:
    """name: what the names of the family's classes begin with. marks: tokens of its config."""
    import transformers
    from transformers.models.minicpmv4_6.image_processing_minicpmv4_6 import (
        MiniCPMV4_6ImageProcessor,
    )
    from transformers.models.minicpmv4_6.video_processing_minicpmv4_6 import (
        MiniCPMV4_6VideoProcessor,
    )

    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *NAMES.values())
    tokenizer = small_tokenizer(specials, pad="<|endoftext|>", end="<|im_end|>", names=NAMES)
    model, config, whole = (
        getattr(transformers, f"{name}{kind}")
        for kind in ("ForConditionalGeneration", "Config", "Processor")
    )
    classes: Any = (MiniCPMV4_6ImageProcessor, MiniCPMV4_6VideoProcessor)
    of_images, of_videos = (one(scale_resolution=56, max_slice_nums=4) for one in classes)
    processor = whole(of_images, of_videos, tokenizer, chat_template=chat_template)
    ids = ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>")
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 14,
        "image_size": 112,
    }
    of_config = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>", **marks}
    return Parts(
        model,
        config(
            text_config={**linear_text(), **ids, "model_type": "qwen3_5_text"},
            vision_config=vision,
            insert_layer_id=0,
            image_size=56,
            **{n: tokenizer.convert_tokens_to_ids(token) for n, token in of_config.items()},
        ),
        processor,
        {"eos_token_id": list(ENDS), "pad_token_id": "<|endoftext|>"},
    )
