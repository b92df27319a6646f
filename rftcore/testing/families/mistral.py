"""A tiny Mistral 3 with Pixtral's tower: images of any shape, with a token after each row."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    content,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 112  # pixels of the longer side, at most: 4 x 4 tokens of 28 x 28 pixels
MARKS = ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
IMAGES = ("[IMG]", "[IMG_BREAK]", "[IMG_END]")
TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    f"{{{{- '[INST]' -}}}}{content('[IMG]')}{{{{- '[/INST]' -}}}}"
    f"{{%- else -%}}{content('[IMG]')}{{{{- eos_token -}}}}{{%- endif -%}}"
    "{%- endfor -%}"
)


@builder(TEMPLATE)
def tiny_mistral3(chat_template: str | None) -> Parts:
    """Write a Mistral 3, whose processor makes one tensor of a batch by default."""
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, PixtralProcessor
    from transformers.models.pixtral.image_processing_pixtral import PixtralImageProcessor

    specials = ("<unk>", "<s>", "</s>", "<pad>", *MARKS, *IMAGES)
    tokenizer = small_tokenizer(specials, pad="<pad>", end="</s>", begin="<s>", writes_begin=True)
    processors: Any = (PixtralProcessor, PixtralImageProcessor)
    whole, of_images = processors
    processor = whole(
        of_images(size={"longest_edge": SIDE}, patch_size=14),
        tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin="<s>", end="</s>", pad="<pad>")
    rope = {"rope_type": "axial", "rope_theta": 10000.0}
    config = Mistral3Config(
        text_config={
            **TEXT,
            **ids,
            "model_type": "mistral",
            "head_dim": 16,
            "sliding_window": None,
        },
        vision_config={
            **TOWER,
            "model_type": "pixtral",
            "image_size": SIDE,
            "rope_parameters": rope,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    return Parts(
        Mistral3ForConditionalGeneration,
        config,
        processor,
        ends_of("</s>", pad="<pad>", begin="<s>"),
    )
