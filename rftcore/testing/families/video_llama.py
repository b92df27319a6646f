"""A tiny VideoLLaMA 3: Qwen2 after a tower that reads patches, each image with its merge size."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    chatml,
    ids_of,
    small_tokenizer,
)
from rftcore.testing.families.qwen import ENDS, SPECIALS


@builder(chatml("<|image_pad|>"))
def tiny_video_llama_3(chat_template: str | None) -> Parts:
    """Write a VideoLLaMA 3, whose image processor gives a merge size for each image."""
    from transformers import (
        VideoLlama3Config,
        VideoLlama3ForConditionalGeneration,
        VideoLlama3Processor,
    )
    from transformers.models.video_llama_3.image_processing_video_llama_3 import (
        VideoLlama3ImageProcessor,
    )
    from transformers.models.video_llama_3.video_processing_video_llama_3 import (
        VideoLlama3VideoProcessor,
    )

    classes: Any = (VideoLlama3Processor, VideoLlama3ImageProcessor, VideoLlama3VideoProcessor)
    whole, of_images, of_videos = classes
    tokenizer = small_tokenizer(SPECIALS, pad="<|endoftext|>", end="<|im_end|>")
    size = {"shortest_edge": 28 * 28, "longest_edge": 84 * 84}
    processor = whole(
        image_processor=of_images(size=size),
        tokenizer=tokenizer,
        video_processor=of_videos(size=size),
        chat_template=chat_template,
    )
    config = VideoLlama3Config(
        text_config={
            **TEXT,
            **ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>"),
            "model_type": "qwen2",
        },
        vision_config={**TOWER, "num_hidden_layers": 1},
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
    )
    generation = {"eos_token_id": list(ENDS), "pad_token_id": "<|endoftext|>"}
    return Parts(VideoLlama3ForConditionalGeneration, config, processor, generation)
