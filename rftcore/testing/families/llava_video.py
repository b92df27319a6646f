"""A tiny LLaVA-NeXT-Video, which reads images as LLaVA-NeXT does."""

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
    specials = ("<unk>", "<s>", "</s>", "<image>", "<video>", "<pad>")
    tokenizer = small_tokenizer(specials, pad="<pad>", end="</s>", begin="<s>", writes_begin=True)
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
