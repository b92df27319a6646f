"""The tiny thinkers of Qwen2.5-Omni and Qwen3-Omni: text from images and sound."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import Parts, builder, ends_of, ids_of, small_tokenizer
from rftcore.testing.families.qwen import (
    CHATML,
    ENDS,
    EXPERTS,
    OF_QWEN3,
    SPECIALS,
    TOWER,
    VISION,
    rope_text,
)

SOUND = {
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "d_model": 16,
    "num_mel_bins": 16,
    "output_dim": 64,
}
NAMES = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "audio_token": "<|audio_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}


@builder(CHATML)
def tiny_qwen2_5_omni_thinker(chat_template: str | None) -> Parts:
    """Write the thinker of a Qwen2.5-Omni: Qwen2.5-VL with an encoder of sound."""
    windows = {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    return _parts("Qwen2_5Omni", rope_text([2, 3, 3]), windows, SOUND, chat_template)


@builder(CHATML)
def tiny_qwen3_omni_moe_thinker(chat_template: str | None) -> Parts:
    """Write the thinker of a Qwen3-Omni: Qwen3-VL-MoE with an encoder of sound."""
    text = {**rope_text([4, 2, 2]), **EXPERTS, "head_dim": 16, "decoder_sparse_step": 1}
    text["rope_parameters"]["mrope_interleaved"] = True
    vision = {**OF_QWEN3, "deepstack_visual_indexes": [0]}
    sound = {**SOUND, "downsample_hidden_size": 8}
    return _parts("Qwen3OmniMoe", text, vision, sound, chat_template)


def _parts(
    name: str,
    text: dict[str, Any],
    vision: dict[str, Any],
    sound: dict[str, Any],
    chat_template: str | None,
) -> Parts:
    """name: what the names of the family's classes begin with."""
    import transformers

    more = ("<|audio_pad|>", "<|audio_start|>", "<|audio_end|>")
    tokenizer = small_tokenizer(
        (*SPECIALS, *more), pad="<|endoftext|>", end="<|im_end|>", names=NAMES
    )
    patch = vision["patch_size"]
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": 128 * 128}
    whole, of_images, of_videos, hears = (
        getattr(transformers, each)
        for each in (
            *(f"{name}Processor", "Qwen2VLImageProcessor", "Qwen2VLVideoProcessor"),
            "WhisperFeatureExtractor",
        )
    )
    processor = whole(
        image_processor=of_images(size=size, patch_size=patch),
        video_processor=of_videos(size=size, patch_size=patch),
        feature_extractor=hears(feature_size=16),
        tokenizer=tokenizer,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>")
    marks = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "audio_token_id": "<|audio_pad|>",
        "audio_start_token_id": "<|audio_start|>",
        "audio_end_token_id": "<|audio_end|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    config = getattr(transformers, f"{name}ThinkerConfig")(
        text_config={**text, **ids},
        vision_config={**VISION, **TOWER, **vision},
        audio_config=dict(sound),
        **{mark: tokenizer.convert_tokens_to_ids(token) for mark, token in marks.items()},
    )
    model = getattr(transformers, f"{name}ThinkerForConditionalGeneration")
    generation = ends_of(list(ENDS), pad="<|endoftext|>")
    return Parts(model, config, processor, generation)
