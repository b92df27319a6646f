"""A tiny Idefics2: a resampler makes the same number of tokens of every image."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.idefics import template
from rftcore.testing.families.parts import TEXT, TOWER, Parts, builder, ids_of, small_tokenizer

SIDE = 70  # pixels of the longer side, at most: 5 x 5 patches
TEMPLATE = template("")


@builder(TEMPLATE)
def tiny_idefics2(chat_template: str | None) -> Parts:
    """Write an Idefics2: an image of any shape is 4 tokens."""
    from transformers import Idefics2Config, Idefics2ForConditionalGeneration, Idefics2Processor
    from transformers.models.idefics2.image_processing_idefics2 import Idefics2ImageProcessor

    marks = ("<fake_token_around_image>", "<image>", "<end_of_utterance>")
    tokenizer = small_tokenizer(
        ("<unk>", "<s>", "</s>", *marks), pad="<unk>", end="</s>", begin="<s>", writes_begin=True
    )
    processors: Any = (Idefics2Processor, Idefics2ImageProcessor)
    whole, of_images = processors
    images = of_images(size={"shortest_edge": 42, "longest_edge": SIDE})
    processor = whole(images, tokenizer, image_seq_len=4, chat_template=chat_template)
    ids = ids_of(tokenizer, begin="<s>", end="</s>", pad="<unk>")
    resampler = {
        "hidden_size": 64,
        "resampler_n_latents": 4,
        "resampler_depth": 1,
        "resampler_n_heads": 2,
        "resampler_head_dim": 16,
        "num_key_value_heads": 2,
    }
    config = Idefics2Config(
        text_config={**TEXT, **ids, "model_type": "mistral", "sliding_window": None},
        vision_config={**TOWER, "image_size": SIDE},
        perceiver_config=resampler,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return Parts(
        Idefics2ForConditionalGeneration,
        config,
        processor,
        {
            "bos_token_id": "<s>",
            "eos_token_id": ["</s>", "<end_of_utterance>"],
            "pad_token_id": "<unk>",
        },
    )
