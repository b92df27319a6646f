"""Tiny Gemma 3, Gemma 4 and PaliGemma: image tokens attend to each other in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rftcore.testing.families.parts import TEXT, TOWER, Parts, builder, ids_of, small_tokenizer

SIDE = 56  # pixels: 4 x 4 patches
GEMMA: Mapping[str, Any] = MappingProxyType({**TEXT, "head_dim": 16})


def _template(start: str, end: str, image: str) -> str:
    return (
        "{{- bos_token -}}"
        "{%- for message in messages -%}"
        "{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}"
        f"{{{{- '{start}' + role + '\n' -}}}}"
        "{%- if message['content'] is string -%}{{- message['content'] | trim -}}"
        "{%- else -%}"
        "{%- for part in message['content'] -%}"
        f"{{%- if part['type'] == 'image' -%}}{{{{- '{image}' -}}}}"
        "{%- elif part['type'] == 'text' -%}{{- part['text'] | trim -}}{%- endif -%}"
        "{%- endfor -%}"
        "{%- endif -%}"
        f"{{{{- '{end}\n' -}}}}"
        "{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- '{start}model\n' -}}}}{{%- endif -%}}"
    )


GEMMA3 = _template("<start_of_turn>", "<end_of_turn>", "<start_of_image>")
GEMMA3N = _template("<start_of_turn>", "<end_of_turn>", "<image_soft_token>")
GEMMA4 = _template("<|turn>", "<turn|>", "<|image|>")
# The hub's have none: images, the question, a newline, which the processor writes, the answer.
PALIGEMMA = (
    "{%- for message in messages -%}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}"
    "{{- '<image>' -}}"
    "{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}"
    "{{- part['text'] -}}"
    "{%- endfor -%}"
    "{%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}"
    "{%- endfor -%}"
)
# What the tokenizers of Gemma add of their own: <bos>.
ORDINARY: Mapping[str, Any] = MappingProxyType(
    {"pad": "<pad>", "end": "<eos>", "begin": "<bos>", "writes_begin": True}
)
SAMPLING: Mapping[str, Any] = MappingProxyType({"do_sample": True, "top_k": 64, "top_p": 0.95})


@builder(GEMMA3)
def tiny_gemma3(chat_template: str | None) -> Parts:
    """Write a Gemma 3: an image is 4 tokens; one text layer attends to a window of 32 tokens."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor
    from transformers.models.gemma3.image_processing_gemma3 import Gemma3ImageProcessor

    names = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    turns = ("<start_of_turn>", "<end_of_turn>")
    specials = ("<pad>", "<eos>", "<bos>", "<unk>", *turns, *names.values())
    tokenizer = small_tokenizer(specials, names=names, **ORDINARY)
    processors: Any = (Gemma3Processor, Gemma3ImageProcessor)
    whole, of_images = processors
    size = {"height": SIDE, "width": SIDE}
    processor = whole(
        of_images(size=size), tokenizer, chat_template=chat_template, image_seq_length=4
    )
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 32}
    config = Gemma3Config(
        text_config={**GEMMA, **ids(tokenizer), **layers, "query_pre_attn_scalar": 16},
        vision_config={**TOWER, "model_type": "siglip_vision_model", "image_size": SIDE},
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    return Parts(
        Gemma3ForConditionalGeneration, config, processor, {**ends("<end_of_turn>"), **SAMPLING}
    )


@builder(GEMMA4)
def tiny_gemma4(chat_template: str | None) -> Parts:
    """Write a Gemma 4: an image of any shape is scaled to at most 70 tokens of 12 x 12 pixels.

    As in its small sizes, each layer has an embedding of its own for every token, and the last
    two of four layers reuse keys and values.
    """
    from transformers import Gemma4Config, Gemma4ForConditionalGeneration

    names = {
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "image_token": "<|image|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
        "audio_token": "<|audio|>",
    }
    marks = ("<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>", "<|video|>")
    specials = ("<pad>", "<eos>", "<bos>", "<unk>", *marks, *names.values())
    tokenizer = small_tokenizer(specials, names=names, **ORDINARY)
    kinds = ["sliding_attention", "full_attention"] * 2
    text = {
        **GEMMA,
        **ids(tokenizer),
        "num_hidden_layers": 4,
        "layer_types": kinds,
        "sliding_window": 128,
        "global_head_dim": 32,
        "num_kv_shared_layers": 2,
        "vocab_size_per_layer_input": len(tokenizer),
        "hidden_size_per_layer_input": 8,
    }
    vision = {
        **TOWER,
        "head_dim": 16,
        "num_key_value_heads": 2,
        "patch_size": 4,
        "pooling_kernel_size": 3,
        "position_embedding_size": 256,
    }
    marked = {f"{name}_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in names.items()}
    marked["eoa_token_index"] = marked.pop("eoa_token_id")
    config = Gemma4Config(
        text_config=text,
        vision_config=vision,
        audio_config=None,
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
        **marked,
    )
    processor = _gemma4_processor(tokenizer, chat_template)
    generation = {**ends("<turn|>"), **SAMPLING}
    return Parts(Gemma4ForConditionalGeneration, config, processor, generation)


def _gemma4_processor(tokenizer: Any, template: str | None) -> Any:
    from transformers import Gemma4Processor
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
    from transformers.models.gemma4.image_processing_gemma4 import Gemma4ImageProcessor
    from transformers.models.gemma4.video_processing_gemma4 import Gemma4VideoProcessor

    sizes = {"patch_size": 4, "pooling_kernel_size": 3, "max_soft_tokens": 70}
    processors: Any = (Gemma4Processor, Gemma4ImageProcessor, Gemma4VideoProcessor)
    whole, of_images, of_videos = processors
    hears: Any = Gemma4AudioFeatureExtractor
    return whole(
        hears(),
        of_images(**sizes),
        tokenizer,
        of_videos(**sizes),
        chat_template=template,
        image_seq_length=70,
    )


@builder(PALIGEMMA)
def tiny_paligemma(chat_template: str | None) -> Parts:
    """Write a PaliGemma: an image is 16 tokens; the prompt attends in both directions.

    Its processor adds 1,152 tokens for places and segments.
    """
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration, PaliGemmaProcessor
    from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor

    specials = ("<pad>", "<eos>", "<bos>", "<unk>", "<image>")
    tokenizer = small_tokenizer(specials, names={"image_token": "<image>"}, **ORDINARY)
    processors: Any = (PaliGemmaProcessor, SiglipImageProcessor)
    whole, of_images = processors
    images = of_images(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = 16
    processor = whole(images, tokenizer, chat_template=chat_template)
    kind = {"model_type": "siglip_vision_model", "image_size": SIDE, "vision_use_head": False}
    config = PaliGemmaConfig(
        text_config={**GEMMA, **ids(tokenizer), "model_type": "gemma"},
        vision_config={**TOWER, **kind},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=64,
        hidden_size=64,
        vocab_size=len(tokenizer),
    )
    return Parts(PaliGemmaForConditionalGeneration, config, processor, ends())


def ids(tokenizer: Any) -> dict[str, int]:
    """The entries of a text configuration that follow from Gemma's tokenizer."""
    return ids_of(tokenizer, begin="<bos>", end="<eos>", pad="<pad>")


def ends(*turn: str) -> dict[str, Any]:
    """Entries of generation_config.json. turn: a token that ends a turn."""
    return {"eos_token_id": ["<eos>", *turn], "bos_token_id": "<bos>", "pad_token_id": "<pad>"}
