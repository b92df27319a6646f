"""Tiny LLaVA-1.5, ViP-LLaVA, LLaVA-NeXT and LLaVA-OneVision: CLIP or SigLIP, then a text model.

The first two read each image in one size; the others cut it into tiles as well.
"""

from __future__ import annotations

from typing import Any

from rftcore.testing.families.parts import (
    TEXT,
    TOWER,
    Parts,
    builder,
    ends_of,
    ids_of,
    small_tokenizer,
)

SIDE = 42  # pixels: 3 x 3 patches
# The answer ends with a space and no token; TRL's own rollouts begin with the tokenizer's <s>.
VICUNA = (
    "{%- for message in messages -%}"
    "{%- if message['role'] != 'system' -%}{{- message['role'] | upper + ': ' -}}{%- endif -%}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}"
    "{{- '<image>\n' -}}"
    "{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}"
    "{{- part['text'] + ' ' -}}"
    "{%- endfor -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}"
)
MISTRAL = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{- '[INST] ' -}}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}"
    "{{- '<image>\n' -}}"
    "{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}"
    "{{- part['text'] -}}"
    "{%- endfor -%}"
    "{{- ' [/INST]' -}}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{{- ' ' + message['content'][0]['text'] + '</s> ' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
)
# A turn of the assistant begins with a space that the prompt of a completion does not have.
ONEVISION = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + ' ' -}}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}"
    "{{- '<image>' -}}"
    "{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}"
    "{{- '\n' + part['text'] -}}"
    "{%- endfor -%}"
    "{{- '<|im_end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


@builder(VICUNA)
def tiny_llava(chat_template: str | None) -> Parts:
    """Write a LLaVA-1.5: an image is 9 tokens, whatever its size."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.llava.image_processing_llava import LlavaImageProcessor

    classes = (LlavaProcessor, LlavaImageProcessor)
    processor = _clip_processor(classes, chat_template)
    config = _clip_config(LlavaConfig, processor, "llama", image_seq_length=9)
    return Parts(
        LlavaForConditionalGeneration,
        config,
        processor,
        ends_of("</s>", pad="<pad>", begin="<s>"),
    )


@builder(VICUNA)
def tiny_vipllava(chat_template: str | None) -> Parts:
    """Write a ViP-LLaVA, whose projector reads three layers of the tower."""
    from transformers import LlavaProcessor, VipLlavaConfig, VipLlavaForConditionalGeneration
    from transformers.models.clip.image_processing_clip import CLIPImageProcessor

    classes = (LlavaProcessor, CLIPImageProcessor)
    processor = _clip_processor(classes, chat_template)
    config = _clip_config(VipLlavaConfig, processor, "llama", image_seq_length=9)
    config.vision_feature_layer = [-1, -2, 0]
    return Parts(
        VipLlavaForConditionalGeneration,
        config,
        processor,
        ends_of("</s>", pad="<pad>", begin="<s>"),
    )


@builder(MISTRAL)
def tiny_llava_next(chat_template: str | None) -> Parts:
    """Write a LLaVA-NeXT: an image is read whole and in up to 2 x 2 tiles."""
    from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration, LlavaNextProcessor
    from transformers.models.llava_next.image_processing_llava_next import LlavaNextImageProcessor

    grid = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    classes = (LlavaNextProcessor, LlavaNextImageProcessor)
    processor = _clip_processor(classes, chat_template, image_grid_pinpoints=grid)
    config = _clip_config(LlavaNextConfig, processor, "mistral", image_grid_pinpoints=grid)
    return Parts(
        LlavaNextForConditionalGeneration,
        config,
        processor,
        ends_of("</s>", pad="<pad>", begin="<s>"),
    )


def _clip_processor(classes: tuple[Any, Any], template: str | None, **images: Any) -> Any:
    whole, of_images = classes
    size = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    specials = ("<unk>", "<s>", "</s>", "<image>", "<pad>")
    return whole(
        image_processor=of_images(**size, **images),
        tokenizer=small_tokenizer(
            specials, pad="<pad>", end="</s>", begin="<s>", writes_begin=True
        ),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # of CLIP's class, which "default" leaves out again
        chat_template=template,
    )


def _clip_config(config: Any, processor: Any, language: str, **more: Any) -> Any:
    tokenizer = processor.tokenizer
    ids = ids_of(tokenizer, begin="<s>", end="</s>", pad="<pad>")
    tower = {**TOWER, "model_type": "clip_vision_model", "image_size": SIDE, "projection_dim": 32}
    return config(
        text_config={**TEXT, **ids, "model_type": language},
        vision_config=tower,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        **more,
    )


@builder(ONEVISION)
def tiny_llava_onevision(chat_template: str | None) -> Parts:
    """Write a LLaVA-OneVision: one image is read in tiles as well, several are read whole."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionProcessor,
    )
    from transformers.models.llava_onevision.image_processing_llava_onevision import (
        LlavaOnevisionImageProcessor,
    )
    from transformers.models.llava_onevision.video_processing_llava_onevision import (
        LlavaOnevisionVideoProcessor,
    )

    processors: Any = (
        *(LlavaOnevisionProcessor, LlavaOnevisionImageProcessor),
        LlavaOnevisionVideoProcessor,
    )
    whole, of_images, of_videos = processors
    size, grid = {"height": SIDE, "width": SIDE}, _grid(3)
    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")
    tokenizer = small_tokenizer(specials, pad="<|endoftext|>", end="<|im_end|>")
    processor = whole(
        image_processor=of_images(size=size, image_grid_pinpoints=grid),
        tokenizer=tokenizer,
        video_processor=of_videos(size=size),
        num_image_tokens=9,
        vision_feature_select_strategy="full",
        chat_template=chat_template,
        vision_aspect_ratio="anyres_max_4",
    )
    ids = ids_of(tokenizer, begin="<|endoftext|>", end="<|im_end|>", pad="<|endoftext|>")
    kind = {"model_type": "siglip_vision_model", "vision_use_head": False}
    config = LlavaOnevisionConfig(
        text_config={**TEXT, **ids, "model_type": "qwen2"},
        vision_config={**TOWER, **kind, "image_size": SIDE},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
        vision_aspect_ratio="anyres_max_4",
    )
    return Parts(
        LlavaOnevisionForConditionalGeneration,
        config,
        processor,
        ends_of("<|im_end|>", pad="<|endoftext|>"),
    )


def _grid(most: int) -> list[list[int]]:
    """All sizes of up to `most` tiles in each direction, in pixels."""
    tiles = range(1, most + 1)
    return [[SIDE * high, SIDE * wide] for high in tiles for wide in tiles]
