"""A tiny Step 3.7: experts, full and sliding attention, after a tower that convolves."""

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

SIDE = 64  # pixels of the whole image: 8 x 8 patches, of which 4 x 4 make one token
END, PAD = "<|im_end|>", "<|endoftext|>"
MARKS = ("<im_start>", "<im_end>", "<patch_start>", "<patch_end>", "<patch_newline>")
TEMPLATE = chatml("<im_patch>")


@builder(TEMPLATE)
def tiny_step3p7(chat_template: str | None) -> Parts:
    """Write a Step 3.7: an image is read whole; a large or elongated one also in patches."""
    from transformers import Step3p7Config, Step3p7ForConditionalGeneration, Step3p7Processor
    from transformers.models.step3p7.image_processing_step3p7 import Step3p7ImageProcessor

    classes: Any = (Step3p7Processor, Step3p7ImageProcessor)
    whole, of_images = classes
    specials = (PAD, "<|im_start|>", END, "<im_patch>", *MARKS)
    tokenizer = small_tokenizer(specials, pad=PAD, end=END)
    images = of_images(size={"height": SIDE, "width": SIDE}, patch_size=32, max_image_size=128)
    images.vision_patch_size = 8
    processor = whole(images, tokenizer, chat_template=chat_template)
    text = {
        **TEXT,
        **ids_of(tokenizer, begin=None, end=END, pad=PAD),
        "head_dim": 16,
        "moe_intermediate_size": 32,
        "share_expert_dim": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "mlp_layer_types": ["dense", "sparse"],
        "layer_types": ["full_attention", "sliding_attention"],
        "sliding_window": 32,
    }
    tower = {**TOWER, "hidden_size": 16, "patch_size": 8, "mlp_ratio": 2.0}
    config = Step3p7Config(
        text_config=text,
        vision_config={**tower, "image_size": SIDE, "max_position_embeddings": 64},
        image_token_id=tokenizer.convert_tokens_to_ids("<im_patch>"),
    )
    generation = ends_of(END, pad=PAD)
    return Parts(Step3p7ForConditionalGeneration, config, processor, generation)
