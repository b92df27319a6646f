"""A tiny Aria: a mixture of experts reads 4 tokens of each image."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    chatml,
    ends_of,
    ids_of,
    small_tokenizer,
)

BEGIN, END, PAD, IMAGE = "<s>", "<|im_end|>", "<unk>", "<|img|>"


@builder(chatml("<fim_prefix><|img|><fim_suffix>"))
def tiny_aria(chat_template: str | None) -> Parts:
    """Write an Aria: 4 queries for the 28 x 28 patches of an image."""
    from transformers import (
        AriaConfig,
        AriaForConditionalGeneration,
        AriaImageProcessor,
        AriaProcessor,
    )

    specials = (PAD, BEGIN, "</s>", "<|im_start|>", END, IMAGE, "<fim_prefix>", "<fim_suffix>")
    tokenizer = small_tokenizer(
        specials, pad=PAD, end=END, begin=BEGIN, names={"image_token": IMAGE}
    )
    classes: Any = (AriaProcessor, AriaImageProcessor)
    whole, of_images = classes
    side, patch = 980, 35  # pixels; the processor's class has this side and no other
    processor = whole(
        of_images(max_image_size=side),
        tokenizer,
        size_conversion={side: 4},
        chat_template=chat_template,
    )
    patches = (side // patch) ** 2
    config = AriaConfig(
        text_config={
            **TEXT,
            **ids_of(tokenizer, begin=BEGIN, end=END, pad=PAD),
            "intermediate_size": 32,
            "moe_num_experts": 4,
            "moe_topk": 2,
            "moe_num_shared_experts": 1,
        },
        vision_config={
            **TOWER,
            "model_type": "idefics3_vision",
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "patch_size": patch,
            "image_size": side,
        },
        projector_patch_to_query_dict={patches: 4},
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
    )
    generation = ends_of(END, pad=PAD, begin=BEGIN)
    return Parts(AriaForConditionalGeneration, config, processor, generation)
