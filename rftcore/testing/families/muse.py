"""Tiny Muse Glimmer and Muse Spark: a tower with windows, capped logits; Spark has experts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rftcore.testing.families.llama4 import TEMPLATE
from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ends_of,
    ids_of,
    small_tokenizer,
)

BEGIN, END, PAD = "<|begin_of_text|>", "<|eot|>", "<|finetune_right_pad|>"
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "image_token": "<|patch|>",
        "image_start_token": "<|image_start|>",
        "image_end_token": "<|image_end|>",
        "video_token": "<|video|>",
        "video_sep_token": "<|vid_frame_separator|>",
        "video_start_token": "<|vid_start|>",
        "video_end_token": "<|vid_end|>",
        "audio_token": "<|audio|>",
        "audio_start_token": "<|soft_audio_start|>",
        "audio_end_token": "<|soft_audio_end|>",
    }
)
OURS = TEMPLATE.replace("<|image|>", "<|patch|>")


@builder(OURS)
def tiny_muse_glimmer(chat_template: str | None) -> Parts:
    """Write a Muse Glimmer: one token per 28 x 28 pixels, images of any shape."""
    return _parts("MuseGlimmer", {}, None, chat_template)


@builder(OURS)
def tiny_muse_spark(chat_template: str | None) -> Parts:
    """Write a Muse Spark: Muse Glimmer with experts in its second text layer, and sound."""
    experts = {
        "moe_hidden_size": 32,
        "moe_intermediate_size": 32,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "mlp_layer_types": ["dense", "sparse"],
    }
    sound = {
        "patch_sizes": [4, 4],
        "hidden_sizes": [8, 8],
        "depths": [1, 1],
        "num_hidden_layers": 2,
        "out_hidden_size": 64,
    }
    return _parts("MuseSpark", experts, sound, chat_template)


def _parts(
    name: str, text: Mapping[str, Any], sound: Mapping[str, Any] | None, chat_template: str | None
) -> Parts:
    """name: what the names of the family's classes begin with. sound: its encoder of sound."""
    import transformers
    from transformers.models.muse_glimmer.image_processing_muse_glimmer import (
        MuseGlimmerImageProcessor,
    )
    from transformers.models.muse_glimmer.video_processing_muse_glimmer import (
        MuseGlimmerVideoProcessor,
    )

    model, config, whole = (
        getattr(transformers, f"{name}{kind}")
        for kind in ("ForConditionalGeneration", "Config", "Processor")
    )
    classes: Any = (MuseGlimmerImageProcessor, MuseGlimmerVideoProcessor)
    of_images, of_videos = classes
    marks = ("<|end_of_text|>", "<|header_start|>", "<|header_end|>")
    tokenizer = small_tokenizer(
        (BEGIN, END, PAD, *marks, *NAMES.values()), pad=PAD, end=END, begin=BEGIN
    )
    hears: dict[str, Any] = {}
    own: dict[str, Any] = {}
    if sound is not None:
        extractor: Any = transformers.MuseSparkFeatureExtractor
        hears["feature_extractor"] = extractor(samples_per_token=16)
        own["audio_config"] = dict(sound)
        own["audio_token_id"] = tokenizer.convert_tokens_to_ids("<|audio|>")
    processor = whole(
        image_processor=of_images(max_image_tokens=16),
        video_processor=of_videos(),
        tokenizer=tokenizer,
        chat_template=chat_template,
        **hears,
    )
    vision: dict[str, Any] = {
        "pos_emb_height": 4,
        "pos_emb_width": 4,
        "max_position_embeddings": 16,
    }
    vision["layer_types"] = ["window_attention", "full_attention"]
    kinds = {
        "head_dim": 16,
        "sliding_window": 32,
        "layer_types": ["sliding_attention", "full_attention"],
        "layer_rope_theta": [10000.0, 0],
    }
    return Parts(
        model,
        config(
            text_config={
                **TEXT,
                **ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD),
                **kinds,
                **text,
            },
            vision_config={
                **TOWER,
                **vision,
                "layer_types": ["window_attention", "full_attention"],
            },
            image_token_id=tokenizer.convert_tokens_to_ids("<|patch|>"),
            video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
            out_hidden_size=128,
            projector_hidden_size=64,
            **own,
        ),
        processor,
        ends_of([END, "<|end_of_text|>"], pad=PAD, begin=BEGIN),
    )
