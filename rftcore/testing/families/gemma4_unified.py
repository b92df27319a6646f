"""A tiny Gemma 4 of one decoder: patches of pixels enter the text model without a tower."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.gemma import GEMMA, GEMMA4, ORDINARY, SAMPLING, ends, ids
from rftcore.testing.families.parts import Parts, builder, small_tokenizer

NAMES = {
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "image_token": "<|image|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
    "audio_token": "<|audio|>",
}


@builder(GEMMA4)
def tiny_gemma4_unified(chat_template: str | None) -> Parts:
    """Write a Gemma 4 unified: an image is at most 70 tokens of 12 x 12 pixels."""
    import transformers
    from transformers.models.gemma4_unified import (
        feature_extraction_gemma4_unified,
        image_processing_gemma4_unified,
        video_processing_gemma4_unified,
    )

    marks = ("<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>", "<|video|>")
    specials = ("<pad>", "<eos>", "<bos>", "<unk>", *marks, *NAMES.values())
    tokenizer = small_tokenizer(specials, names=NAMES, **ORDINARY)
    sizes = {"patch_size": 4, "pooling_kernel_size": 3, "max_soft_tokens": 70}
    of_sound: Any = feature_extraction_gemma4_unified.Gemma4UnifiedAudioFeatureExtractor
    of_images: Any = image_processing_gemma4_unified.Gemma4UnifiedImageProcessor
    of_videos: Any = video_processing_gemma4_unified.Gemma4UnifiedVideoProcessor
    whole: Any = transformers.Gemma4UnifiedProcessor
    processor = whole(
        of_sound(),
        of_images(**sizes),
        tokenizer,
        of_videos(**sizes),
        chat_template=chat_template,
        image_seq_length=70,
    )
    marked = {f"{name}_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in NAMES.items()}
    marked["eoa_token_index"] = marked.pop("eoa_token_id")
    config = transformers.Gemma4UnifiedConfig(
        text_config={
            **GEMMA,
            **ids(tokenizer),
            "layer_types": ["sliding_attention", "full_attention"],
            "sliding_window": 128,
            "global_head_dim": 32,
        },
        vision_config={
            "patch_size": 4,
            "pooling_kernel_size": 3,
            "mm_embed_dim": 32,
            "mm_posemb_size": 64,
            "output_proj_dims": 32,
        },
        audio_config=None,
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
        **marked,
    )
    model = transformers.Gemma4UnifiedForConditionalGeneration
    return Parts(model, config, processor, {**ends("<turn|>"), **SAMPLING})
