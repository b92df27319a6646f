"""A tiny Qianfan-OCR: InternVL's tiles before Qwen3."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.internvl import NAMES, SIDE
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


@builder(chatml("<image>\n"))
def tiny_qianfan_ocr(chat_template: str | None) -> Parts:
    """Write a Qianfan-OCR: an image is read whole and in up to 4 tiles, 4 tokens each."""
    from transformers import (
        QianfanOCRConfig,
        QianfanOCRForConditionalGeneration,
        QianfanOCRProcessor,
    )
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor

    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", *NAMES.values())
    tokenizer = small_tokenizer(specials, pad="<|endoftext|>", end="<|im_end|>", names=NAMES)
    classes: Any = (QianfanOCRProcessor, GotOcr2ImageProcessor)
    whole, of_images = classes
    size = {"height": SIDE, "width": SIDE}
    processor = whole(
        of_images(size=size, crop_to_patches=True, max_patches=4),
        tokenizer,
        image_seq_length=4,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>")
    config = QianfanOCRConfig(
        text_config={**TEXT, **ids, "model_type": "qwen3", "head_dim": 16},
        vision_config={
            **TOWER,
            "image_size": [SIDE, SIDE],
            "patch_size": [14, 14],
            "drop_path_rate": 0.0,  # at random: two runs would differ
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    generation = ends_of("<|im_end|>", pad="<|endoftext|>")
    return Parts(QianfanOCRForConditionalGeneration, config, processor, generation)
