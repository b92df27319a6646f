"""A tiny Granite Docling: tiles as in Idefics3, read by SigLIP and Granite."""

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

SIDE = 56  # pixels of a tile: 4 x 4 patches, of which 2 x 2 make one token
END, PAD = "<|end_of_text|>", "<|pad|>"
ROLES = ("<|start_of_role|>", "<|end_of_role|>")
MARKS = ("<image>", "<fake_token_around_image>", "<global-img>")
PLACES = tuple(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5))
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' -}}"
    f"{content('<image>')}"
    "{{- '<|end_of_text|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|start_of_role|>assistant<|end_of_role|>' -}}"
    "{%- endif -%}"
)


@builder(TEMPLATE)
def tiny_granite_docling(chat_template: str | None) -> Parts:
    """Write a Granite Docling: an image is up to 4 tiles, and the whole, of 4 tokens each."""
    from transformers import (
        GraniteDoclingConfig,
        GraniteDoclingForConditionalGeneration,
        GraniteDoclingProcessor,
    )
    from transformers.models.granite_docling.image_processing_granite_docling import (
        GraniteDoclingImageProcessor,
    )

    classes: Any = (GraniteDoclingProcessor, GraniteDoclingImageProcessor)
    whole, of_images = classes
    tokenizer = small_tokenizer((END, PAD, *ROLES, *MARKS, *PLACES), pad=PAD, end=END, begin=END)
    processor = whole(
        of_images(size={"height": SIDE, "width": SIDE}, max_patches=4),
        tokenizer,
        image_seq_len=4,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin=END, end=END, pad=PAD)
    config = GraniteDoclingConfig(
        text_config={**TEXT, **ids, "logits_scaling": 2.0, "embedding_multiplier": 1.0},
        vision_config={
            **TOWER,
            "image_size": SIDE,
            "out_hidden_size": 64,
            "scale_factor": 2,
            "use_fine_route": False,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=ids["pad_token_id"],
    )
    generation = ends_of(END, pad=PAD, begin=END)
    return Parts(GraniteDoclingForConditionalGeneration, config, processor, generation)
