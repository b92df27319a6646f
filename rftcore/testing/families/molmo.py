"""A tiny Molmo 2: tokens of an image are pools of patches, by their numbers in the whole batch."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    Parts,
    builder,
    chatml,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 56  # pixels of a crop: 4 x 4 patches
END = "<|im_end|>"
MARKS = {
    "image_patch_id": "<im_patch>",
    "image_start_token_id": "<im_start>",
    "low_res_image_start_token_id": "<low_res_im_start>",
    "image_end_token_id": "<im_end>",
    "frame_start_token_id": "<frame_start>",
    "frame_end_token_id": "<frame_end>",
}


@builder(chatml("<|image|>"))
def tiny_molmo2(chat_template: str | None) -> Parts:
    """Write a Molmo 2, whose processor puts its start token before any text."""
    from transformers import Molmo2Config, Molmo2ForConditionalGeneration, Molmo2Processor
    from transformers.models.molmo2.image_processing_molmo2 import Molmo2ImageProcessor
    from transformers.models.molmo2.video_processing_molmo2 import Molmo2VideoProcessor

    classes: Any = (Molmo2Processor, Molmo2ImageProcessor, Molmo2VideoProcessor)
    whole, of_images, of_videos = classes
    names = {"image_token": "<|image|>", "video_token": "<|video|>"}
    more = ("<im_col>", "<im_low>")
    specials = ("<|endoftext|>", "<|im_start|>", END, *names.values(), *MARKS.values(), *more)
    tokenizer = small_tokenizer(specials, pad="<|endoftext|>", end=END, names=names)
    size = {"height": SIDE, "width": SIDE}
    processor = whole(
        of_images(size=size, max_crops=4, overlap_margins=[1, 1]),
        of_videos(size=size),
        tokenizer,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin=None, end=END, pad="<|endoftext|>")
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    tower = {"hidden_size": 32, "intermediate_size": 64, **heads}
    config = Molmo2Config(
        text_config={**TEXT, **ids, "head_dim": 16, "additional_vocab_size": 0},
        vision_config={**tower, "num_hidden_layers": 2, "image_size": [SIDE, SIDE]},
        adapter_config={**tower, "text_hidden_size": 64, "vision_feature_layer": [1, 0]},
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in MARKS.items()},
    )
    generation = ends_of(END, pad="<|endoftext|>")
    return Parts(Molmo2ForConditionalGeneration, config, processor, generation)
