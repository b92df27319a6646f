"""Tiny LightOnOCR, PaddleOCR-VL and GOT-OCR2: towers of three kinds before small text models."""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    chatml,
    content,
    ends_of,
    ids_of,
    small_tokenizer,
)

CHATML_IDS = ends_of("<|im_end|>", pad="<|endoftext|>")
CHATML_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ROPE = {"rope_type": "axial", "rope_theta": 10000.0}


@builder(chatml("<|image_pad|>"))
def tiny_lighton_ocr(chat_template: str | None) -> Parts:
    """Write a LightOnOCR: Pixtral's tower, no token after a row of an image, Qwen3."""
    from transformers import (
        LightOnOcrConfig,
        LightOnOcrForConditionalGeneration,
        LightOnOcrProcessor,
    )
    from transformers.models.pixtral.image_processing_pixtral import PixtralImageProcessor

    names = {
        "image_token": "<|image_pad|>",
        "image_break_token": "<|vision_pad|>",
        "image_end_token": "<|vision_end|>",
    }
    tokenizer = small_tokenizer(
        (*CHATML_MARKS, *names.values()), pad="<|endoftext|>", end="<|im_end|>", names=names
    )
    classes: Any = (LightOnOcrProcessor, PixtralImageProcessor)
    whole, of_images = classes
    processor = whole(
        of_images(size={"longest_edge": 112}, patch_size=14),
        tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=chat_template,
    )
    ids = ids_of(tokenizer, begin=None, end="<|im_end|>", pad="<|endoftext|>")
    config = LightOnOcrConfig(
        text_config={**TEXT, **ids, "model_type": "qwen3", "head_dim": 16},
        vision_config={
            **TOWER,
            "model_type": "pixtral",
            "head_dim": 16,
            "image_size": 112,
            "rope_parameters": ROPE,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
    )
    return Parts(LightOnOcrForConditionalGeneration, config, processor, CHATML_IDS)


PADDLE = (
    "{{- '<|begin_of_sentence|>' -}}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{- 'User: ' -}}"
    f"{content('<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>')}{{{{- '\n' -}}}}"
    f"{{%- else -%}}{{{{- 'Assistant: ' -}}}}{content('')}{{{{- '</s>' -}}}}{{%- endif -%}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'Assistant: ' -}}{%- endif -%}"
)


@builder(PADDLE)
def tiny_paddleocr_vl(chat_template: str | None) -> Parts:
    """Write a PaddleOCR-VL: images of any shape, Ernie 4.5 with positions of three axes."""
    from transformers import (
        PaddleOCRVLConfig,
        PaddleOCRVLForConditionalGeneration,
        PaddleOCRVLImageProcessor,
        PaddleOCRVLProcessor,
    )

    begin = "<|begin_of_sentence|>"
    marks = {
        "image_token_id": "<|IMAGE_PLACEHOLDER|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|IMAGE_START|>",
        "vision_end_token_id": "<|IMAGE_END|>",
    }
    tokenizer = small_tokenizer(
        ("<unk>", begin, "</s>", *marks.values()),
        pad="<unk>",
        end="</s>",
        begin=begin,
        names={"image_token": marks["image_token_id"]},
    )
    classes: Any = (PaddleOCRVLProcessor, PaddleOCRVLImageProcessor)
    whole, of_images = classes
    size = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    ids = ids_of(tokenizer, begin=begin, end="</s>", pad="<unk>")
    config = PaddleOCRVLConfig(
        text_config={**TEXT, **ids, "head_dim": 16, "rope_parameters": rope},
        vision_config={**TOWER, "image_size": 56},
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in marks.items()},
    )
    return Parts(
        PaddleOCRVLForConditionalGeneration,
        config,
        whole(of_images(size=size), tokenizer, chat_template=chat_template),
        ends_of("</s>", pad="<unk>", begin=begin),
    )


@builder(chatml("<img><imgpad></img>\n"))
def tiny_got_ocr2(chat_template: str | None) -> Parts:
    """Write a GOT-OCR2: 256 tokens per image, and no text without an image."""
    from transformers import (
        GotOcr2Config,
        GotOcr2ForConditionalGeneration,
        GotOcr2ImageProcessor,
        GotOcr2Processor,
    )

    tokenizer = small_tokenizer(
        (*CHATML_MARKS, "<img>", "<imgpad>", "</img>"), pad="<|endoftext|>", end="<|im_end|>"
    )
    classes: Any = (GotOcr2Processor, GotOcr2ImageProcessor)
    whole, of_images = classes
    ids = ids_of(tokenizer, begin=None, end="<|im_end|>", pad="<|endoftext|>")
    config = GotOcr2Config(
        text_config={**TEXT, **ids, "model_type": "qwen2"},
        vision_config={
            "hidden_size": 32,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 1024,
            "patch_size": 16,
            "use_abs_pos": False,
            "global_attn_indexes": [],
            "mlp_dim": 64,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<imgpad>"),
        image_seq_length=256,
    )
    processor = whole(
        of_images(size={"height": 1024, "width": 1024}), tokenizer, chat_template=chat_template
    )
    return Parts(GotOcr2ForConditionalGeneration, config, processor, CHATML_IDS)
