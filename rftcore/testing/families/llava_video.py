"""Tiny LLaVA-NeXT-Video and Video-LLaVA, which read images as LLaVA-NeXT and LLaVA-1.5 do."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.llava import SIDE, VICUNA
from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ends_of,
    ids_of,
    small_tokenizer,
)

SPECIALS = ("<unk>", "<s>", "</s>", "<image>", "<video>", "<pad>")


@builder(VICUNA)
def tiny_llava_next_video(chat_template: str | None) -> Parts:
    """Write a LLaVA-NeXT-Video: an image is read whole and in up to 2 x 2 tiles."""
    from transformers import (
        LlavaNextVideoConfig,
        LlavaNextVideoForConditionalGeneration,
        LlavaNextVideoProcessor,
    )
    from transformers.models.llava_next.image_processing_llava_next import LlavaNextImageProcessor
    from transformers.models.llava_next_video.video_processing_llava_next_video import (
        LlavaNextVideoVideoProcessor,
    )

    classes: Any = (LlavaNextVideoProcessor, LlavaNextImageProcessor, LlavaNextVideoVideoProcessor)
    whole, of_images, of_videos = classes
    tokenizer = small_tokenizer(SPECIALS, pad="<pad>", end="</s>", begin="<s>", writes_begin=True)
    grid = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    size = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    processor = whole(
        of_videos(**size),
        of_images(**size, image_grid_pinpoints=grid),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # of CLIP's class, which "default" leaves out again
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin="<s>", end="</s>", pad="<pad>")
    tower = {**TOWER, "model_type": "clip_vision_model", "image_size": SIDE, "projection_dim": 32}
    config = LlavaNextVideoConfig(
        text_config={**TEXT, **ids, "model_type": "llama"},
        vision_config=tower,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
    )
    generation = ends_of("</s>", pad="<pad>", begin="<s>")
    return Parts(LlavaNextVideoForConditionalGeneration, config, processor, generation)


@builder(VICUNA)
def tiny_video_llava(chat_template: str | None) -> Parts:
    """Write a Video-LLaVA, which has one tower for images and one for videos."""
    from transformers import (
        VideoLlavaConfig,
        VideoLlavaForConditionalGeneration,
        VideoLlavaProcessor,
    )
    from transformers.models.video_llava.image_processing_video_llava import (
        VideoLlavaImageProcessor,
    )
    from transformers.models.video_llava.video_processing_video_llava import (
        VideoLlavaVideoProcessor,
    )

    classes: Any = (VideoLlavaProcessor, VideoLlavaImageProcessor, VideoLlavaVideoProcessor)
    whole, of_images, of_videos = classes
    tokenizer = small_tokenizer(SPECIALS, pad="<pad>", end="</s>", begin="<s>", writes_begin=True)
    size = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    processor = whole(
        of_images(**size),
        of_videos(**size),
        tokenizer,
        patch_size=14,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin="<s>", end="</s>", pad="<pad>")
    tower = {**TOWER, "model_type": "clip_vision_model", "image_size": SIDE, "projection_dim": 32}
    config = VideoLlavaConfig(
        text_config={**TEXT, **ids, "model_type": "llama"},
        vision_config=tower,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_seq_length=9,
    )
    generation = ends_of("</s>", pad="<pad>", begin="<s>")
    return Parts(VideoLlavaForConditionalGeneration, config, processor, generation)
